"""What the commands share: options, consoles, progress, and running the engine."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aggregator.model.identifiers import ChainId

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from aggregator.engine.snapshot import Picture

T = TypeVar("T")

PROGRESS_DELAY_SECONDS = 1.0
MINIMUM_WIDTH = 40


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """`--json`: only JSON on stdout."""
    parser.add_argument("--json", action="store_true", help="print only JSON on stdout")


def add_chain_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that reads chains."""
    group = parser.add_argument_group("which chains, and through what")
    group.add_argument("--chains", metavar="FILE", type=Path, help="chains.yaml to use instead of the shipped one")
    group.add_argument(
        "--rpc", metavar="CHAIN=URL", action="append", default=[], help="endpoint of a chain, instead of its own (repeatable)"
    )
    group.add_argument(
        "--chain", metavar="CHAIN", action="append", default=[], help="read only this chain: eip155:1, 1 or eth (repeatable)"
    )
    group.add_argument("--block", metavar="CHAIN=N", action="append", default=[], help="read a chain at this block (repeatable)")
    group.add_argument(
        "--discover", action="store_true", help="also find tokens through Transfer logs, and recognise vaults by their interface"
    )


def add_venue_options(parser: argparse.ArgumentParser) -> None:
    """The options of commands that also read trading venues. None is asked unless one of them is given."""
    group = parser.add_argument_group("trading venues")
    group.add_argument("--venues", action="store_true", help="also ask the venues that know the owners by address, for 5 seconds at most")
    group.add_argument(
        "--venue-account",
        metavar="VENUE=ACCOUNT",
        action="append",
        default=[],
        help="an account of one venue: derive=130837, dydx-v4=dydx1… (repeatable)",
    )
    group.add_argument("--venue", metavar="VENUE=URL", action="append", default=[], help="API of a venue, instead of its own (repeatable)")
    group.add_argument("--record", metavar="DIR", type=Path, help="write what the venues were asked and answered, without names, to DIR")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C cancels, lets connections close, and comes out as KeyboardInterrupt."""
    _quiet_logs()
    return asyncio.run(work)


def take_picture(arguments: argparse.Namespace) -> Picture:
    """Read the owners that were asked for, with the options of `add_chain_options` and `add_venue_options`, and show the progress."""
    from aggregator.engine.snapshot import SnapshotRequest, take

    request = SnapshotRequest(
        owners=tuple(arguments.owners),
        chains_file=arguments.chains,
        rpc=tuple(arguments.rpc),
        only_chains=tuple(arguments.chain),
        blocks=tuple(arguments.block),
        discover=arguments.discover,
        venues=arguments.venues,
        venue_accounts=tuple(arguments.venue_account),
        venue_urls=tuple(arguments.venue),
        record=arguments.record,
    )
    with ProgressDisplay() as progress:
        return run_async(take(request, progress.report))


def _quiet_logs() -> None:
    """Logs on stderr, one line each; how many is for CROSSMARGIN_LOG to say (ERROR by default), tracebacks for CROSSMARGIN_DEBUG."""

    class OneLine(logging.Formatter):
        def formatException(self, ei: Any) -> str:  # noqa: N802
            return super().formatException(ei) if os.environ.get("CROSSMARGIN_DEBUG") else ""

        def format(self, record: logging.LogRecord) -> str:
            text = super().format(record)
            return text if os.environ.get("CROSSMARGIN_DEBUG") else " ".join(text.split())

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("crossmargin: %(levelname)s %(name)s: %(message)s"))
    level = os.environ.get("CROSSMARGIN_LOG", "ERROR").upper()
    logging.basicConfig(handlers=[handler], level=level if level in logging.getLevelNamesMapping() else "ERROR", force=True)


def console(width: int | None = None) -> Console:
    """Stdout as a rich console. Without a terminal and without COLUMNS it is 100 columns wide and plain; NO_COLOR is respected."""
    from rich.console import Console

    if width is None and not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        width = 100

    class Pipe(Console):
        """One whose reader may leave: that is no fault, and the command's own business."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    made = Pipe(width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if made.width < MINIMUM_WIDTH:
        made.width = MINIMUM_WIDTH
    return made


class ProgressDisplay(AbstractContextManager["ProgressDisplay"]):
    """A line on stderr that says what each chain is at, once the work has taken over a second; nothing without a terminal."""

    def __init__(self) -> None:
        self._stages: dict[ChainId, str] = {}
        self._status: Status | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def report(self) -> Callable[[ChainId, str], None] | None:
        """What to hand to the engine; None where nobody would see it."""
        return self._report if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _report(self, chain: ChainId, stage: str) -> None:
        self._stages[chain] = stage
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PROGRESS_DELAY_SECONDS, self._start)
        if self._status is not None:
            self._status.update(self.line())

    def _start(self) -> None:
        from rich.console import Console
        from rich.status import Status

        self._status = Status(self.line(), console=Console(stderr=True, markup=False, highlight=False))
        self._status.start()

    def line(self) -> str:
        """Such as `2 of 3 chains read · eip155:8453: positions and prices`."""
        done = sum(stage == "done" for stage in self._stages.values())
        busy = [f"{chain}: {stage}" for chain, stage in sorted(self._stages.items()) if stage != "done"]
        return " · ".join([f"{done} of {len(self._stages)} chains read", *busy[:2]])


class SlowWork(AbstractContextManager["SlowWork"]):
    """A line on stderr that says what is being done, once it has taken over a second; nothing without a terminal."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def report(self, stage: str) -> None:
        """Say what comes next."""
        if self._status is not None:
            self._status.update(stage)
        elif sys.stderr.isatty() and time.monotonic() - self._started > PROGRESS_DELAY_SECONDS:
            from rich.console import Console
            from rich.status import Status

            self._status = Status(stage, console=Console(stderr=True, markup=False, highlight=False))
            self._status.start()
