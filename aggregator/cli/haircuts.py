"""`crossmargin haircuts [ASSET…] [--size USD]`: the haircut of assets as they stand, with all its parts.

`crossmargin haircuts backtest --history FILE`: how well the dynamic haircut covered a recorded history, beside the plain models.
"""

from __future__ import annotations

import argparse
import sys
from decimal import Decimal
from pathlib import Path

from aggregator.cli.common import ProgressDisplay, SlowWork, add_chain_options, add_json_option, console, run_async
from aggregator.model.errors import IncompleteError, InputError

BACKTEST = "backtest"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "assets", metavar="ASSET", nargs="*", help="symbol or CAIP-19 id (default: every listed token); or `backtest` and its --history"
    )
    parser.add_argument("--size", metavar="USD", default="10000", help="value of the holding, for the cost of selling it (default 10000)")
    parser.add_argument(
        "--implied",
        metavar="FACTOR=VOL",
        action="append",
        default=[],
        help="a year's implied volatility, such as ETH=0.62 (repeatable)",
    )
    add_chain_options(parser)
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
    """0 with an answer; InputError (2) for bad input; IncompleteError (3) where no chain told anything or no asset has enough history."""
    if arguments.assets == [BACKTEST]:
        return _backtest(arguments)
    if arguments.history is not None or arguments.plot is not None:
        raise InputError("--history and --plot belong to `crossmargin haircuts backtest`")
    if arguments.discover:
        raise InputError("--discover finds what owners hold; haircuts are of assets that are named")
    return _live(arguments)


def _live(arguments: argparse.Namespace) -> int:
    from aggregator.engine.haircuts import take_haircuts
    from aggregator.engine.haircuts_document import haircuts_document
    from aggregator.engine.haircuts_request import HaircutRequest
    from aggregator.model.snapshot import SnapshotStatus

    request = HaircutRequest(
        assets=tuple(arguments.assets),
        size_usd=_size(arguments.size),
        implied=dict(_implied(text) for text in arguments.implied),
        chains_file=arguments.chains,
        rpc=tuple(arguments.rpc),
        only_chains=tuple(arguments.chain),
        blocks=tuple(arguments.block),
    )
    with ProgressDisplay() as progress:
        done = run_async(take_haircuts(request, progress.report))
    document = haircuts_document(done)
    if arguments.json:
        sys.stdout.write(document.model_dump_json(by_alias=True, indent=2) + "\n")
    if all(snapshot.status is SnapshotStatus.UNREACHABLE for snapshot in done.snapshots):
        reasons = "; ".join(f"{snapshot.chain}: {snapshot.detail}" for snapshot in done.snapshots)
        raise IncompleteError(f"no chain could be read: {reasons}")
    if not arguments.json:
        from aggregator.cli.haircuts_report import print_haircuts

        print_haircuts(document, console())
    return 0


def _size(text: str) -> Decimal:
    from aggregator.engine.haircuts_request import parse_size

    try:
        return parse_size(text)
    except InputError as error:
        raise InputError(f"--size: {error}") from None


def _implied(text: str) -> tuple[str, float]:
    factor, equals, number = text.partition("=")
    try:
        value = float(number.removesuffix("%")) / (100.0 if number.endswith("%") else 1.0)
    except ValueError:
        value = -1.0
    if not (factor and equals and 0.0 < value <= 10.0):
        raise InputError(f"--implied: {text!r}: expected FACTOR=VOL with a yearly volatility above 0 and at most 1000 %, such as ETH=0.62")
    return factor, value


def _backtest(arguments: argparse.Namespace) -> int:
    if arguments.history is None:
        raise InputError("haircuts backtest needs --history FILE")
    if not 20 <= arguments.warm_up <= 5_000:
        raise InputError(f"--warm-up: {arguments.warm_up} is not between 20 and 5000 days")
    if arguments.plot is not None:
        from aggregator.cli.plots import require_matplotlib

        require_matplotlib()
    from aggregator.engine.haircuts_backtest import backtest
    from aggregator.engine.haircuts_backtest_document import backtest_document
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
