"""Assessing off the event loop: pictures go to worker processes, finished documents come back, and the loop stays free to answer."""

from __future__ import annotations

import asyncio
import copyreg
import gzip
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from types import MappingProxyType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from aggregator.model.snapshot import Block
from aggregator.publish.alerts.observations import WalletObserved
from aggregator.publish.attestation.statement import MarginScore
from aggregator.store.chronicle import Figures

if TYPE_CHECKING:
    from aggregator.engine.snapshot import Picture

P = ParamSpec("P")
T = TypeVar("T")

MOST_THREADS = 4


def _frozen(items: dict[object, object]) -> MappingProxyType[object, object]:
    return MappingProxyType(items)


# pictures hold read-only mappings, and go to workers
copyreg.pickle(MappingProxyType, lambda proxy: (_frozen, (dict(proxy),)))


@dataclass(slots=True)
class Assessed:
    """An owner's finished document. `snapshot`: its id, the SHA-256 of the document, 64 hex digits."""

    snapshot: str
    body: bytes
    """the health document as JSON"""
    figures: Figures
    probability: dict[str, str] | None
    """of liquidation by horizon"""
    lowest_health: str | None
    nearest_move: float
    """distance of the nearest liquidation as a share of the market's prices; infinite where there is none"""
    model: str
    blocks: tuple[tuple[str, Block], ...]
    statement: MarginScore | str
    """what may be signed of it, or why nothing may"""
    accounts: tuple[WalletObserved, ...]
    """what alerts look at: see `accounts_of`"""
    _compressed: bytes | None = field(default=None, repr=False)

    @property
    def compressed(self) -> bytes:
        """The body in gzip, made when it is first asked for."""
        if self._compressed is None:
            self._compressed = gzip.compress(self.body, 5, mtime=0)
        return self._compressed


def assess(picture: Picture, validity_seconds: int) -> Assessed:
    """Runs in a worker, which alone imports what it takes. `validity_seconds`: how long its statement is good."""
    from aggregator.engine.live.worker import assess as whole

    return whole(picture, validity_seconds)


class Workers:
    """Where long calculations run: in processes of their own, or in threads where there are to be none."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: Executor = self._open()

    def _open(self) -> Executor:
        if self._processes == 0:
            return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="crossmargin")
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._processes, mp_context=context, initializer=_begin)

    async def run(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """`work(*given)` in a worker; once more where the worker died under it."""
        assert not named
        loop = asyncio.get_running_loop()
        pool = self._pool
        try:
            return await loop.run_in_executor(pool, work, *given)
        except BrokenProcessPool:
            if pool is self._pool:
                self._pool = self._open()
            return await loop.run_in_executor(self._pool, work, *given)

    async def warm(self) -> None:
        """Start every worker now."""
        await asyncio.gather(*(self.run(os.getpid) for _ in range(max(self._processes, 1))))

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown, True, cancel_futures=True)


def _begin() -> None:
    """A worker ignores Ctrl-C, which is for its parent, and ends when that is gone, however it went. It imports what it will need."""
    import signal

    import aggregator.engine.live.worker  # noqa: F401

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(0)
