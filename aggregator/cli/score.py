"""`crossmargin score backtest --history FILE`: how well the liquidation probability foretold what came, beside plain models."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aggregator.cli.common import SlowWork, add_json_option, console
from aggregator.model.errors import InputError

BACKTEST = "backtest"
ACCOUNTS = 40
MOST_ACCOUNTS = 1_000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="backtest", nargs="*", help="`backtest`: measure the probability on a recorded history")
    group = parser.add_argument_group("backtest")
    group.add_argument("--history", metavar="FILE", type=Path, help="CSV or Parquet with symbol,timestamp,close[,low,high,volume]; hourly")
    group.add_argument(
        "--accounts", metavar="N", type=int, default=ACCOUNTS, help=f"made-up accounts every five hours (default {ACCOUNTS})"
    )
    group.add_argument("--seed", metavar="N", type=int, help="of the made-up accounts and the resampling")
    group.add_argument("--plot", metavar="DIR", type=Path, help="write reliability plots to this folder")
    group.add_argument("--plot-format", choices=("png", "svg"), default="png", help="of the plots (default png)")
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 with a record; InputError (2) for a bad file; IncompleteError (3) where the history is too short for a record."""
    if arguments.words != [BACKTEST]:
        raise InputError("expected `crossmargin score backtest --history FILE`")
    if arguments.history is None:
        raise InputError("score backtest needs --history FILE")
    if not 1 <= arguments.accounts <= MOST_ACCOUNTS:
        raise InputError(f"--accounts: {arguments.accounts} is not between 1 and {MOST_ACCOUNTS}")
    if arguments.seed is not None and not 0 <= arguments.seed < 2**63:
        raise InputError(f"--seed: {arguments.seed} is not between 0 and 2^63 − 1")
    if arguments.plot is not None:
        from aggregator.cli.plots import require_matplotlib

        require_matplotlib()
    from aggregator.engine.history_file import read_history
    from aggregator.engine.score_backtest import score_backtest
    from aggregator.engine.score_schema import score_backtest_document
    from aggregator.risk.score_backtest.population import SEED

    with SlowWork() as work:
        work.report(f"reading {arguments.history}")
        history = read_history(arguments.history)
        record = score_backtest(history, arguments.accounts, SEED if arguments.seed is None else arguments.seed, work.report)
        paths: list[Path] = []
        if arguments.plot is not None:
            from aggregator.cli.score_plots import write_reliability

            work.report("drawing")
            paths = write_reliability(record, arguments.plot, arguments.plot_format)
    if arguments.json:
        sys.stdout.write(score_backtest_document(record, history.source).model_dump_json(by_alias=True, indent=2) + "\n")
        return 0
    from aggregator.cli.score_report import print_score_backtest

    shown = console()
    print_score_backtest(record, history.source, shown)
    for path in paths:
        shown.print(f"wrote {path}", soft_wrap=True)
    return 0
