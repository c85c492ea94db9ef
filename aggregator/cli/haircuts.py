"""`crossmargin haircuts backtest --history FILE`: how well the dynamic haircut covered a recorded history, beside the plain models."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aggregator.cli.common import SlowWork, add_json_option, console
from aggregator.model.errors import InputError

BACKTEST = "backtest"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="backtest", nargs="*", help="`backtest`: measure the haircut on a recorded history")
    group = parser.add_argument_group("backtest")
    group.add_argument(
        "--history", metavar="FILE", type=Path, help="CSV or Parquet with symbol,timestamp,close[,low,high,volume]; hourly or daily bars"
    )
    group.add_argument("--aim", choices=("close", "path"), help="cover the close or the path (default: the path with hourly bars)")
    group.add_argument("--warm-up", metavar="DAYS", type=int, default=250, help="days of an asset that are not scored (default 250)")
    group.add_argument("--plot", metavar="DIR", type=Path, help="write the haircuts' history as plots to this folder")
    group.add_argument("--plot-format", choices=("png", "svg"), default="png", help="of the plots (default png)")
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 with a record; InputError (2) for a bad file; IncompleteError (3) where no asset has enough history."""
    if arguments.words != [BACKTEST]:
        raise InputError("expected `crossmargin haircuts backtest --history FILE`")
    return _backtest(arguments)


def _backtest(arguments: argparse.Namespace) -> int:
    if arguments.history is None:
        raise InputError("haircuts backtest needs --history FILE")
    if not 20 <= arguments.warm_up <= 5_000:
        raise InputError(f"--warm-up: {arguments.warm_up} is not between 20 and 5000 days")
    if arguments.plot is not None:
        from aggregator.cli.plots import require_matplotlib

        require_matplotlib()
    from aggregator.engine.haircuts_backtest import backtest
    from aggregator.engine.haircuts_schema import backtest_document
    from aggregator.engine.history_file import read_history
    from aggregator.risk.market_risk.dynamic import Target

    with SlowWork() as work:
        work.report(f"reading {arguments.history}")
        history = read_history(arguments.history)
        record = backtest(history, Target(arguments.aim) if arguments.aim else None, arguments.warm_up, work.report)
        paths: list[Path] = []
        if arguments.plot is not None:
            from aggregator.cli.haircuts_plots import write_histories

            work.report("drawing")
            paths = write_histories(record, arguments.plot, arguments.plot_format)
    if arguments.json:
        sys.stdout.write(backtest_document(record).model_dump_json(by_alias=True, indent=2) + "\n")
        return 0
    from aggregator.cli.haircuts_report import print_backtest

    shown = console()
    print_backtest(record, shown)
    for path in paths:
        shown.print(f"wrote {path}", soft_wrap=True)
    return 0
