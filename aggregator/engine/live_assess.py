"""Assessing off the event loop: pictures go to worker processes, finished documents come back, and the loop stays free to answer."""

from __future__ import annotations

import asyncio
import copyreg
import gzip
import hashlib
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from types import MappingProxyType
from typing import ParamSpec, TypeVar

from aggregator.engine.judgement import judge, policy_for
from aggregator.engine.schema import HealthDocument
from aggregator.engine.snapshot import Picture
from aggregator.model.snapshot import Block
from aggregator.publish.attestation.statement import MarginScore, StatementError
from aggregator.publish.attestation.summary import ScoreWithheld, summarise
from aggregator.reading.catalogue import adapters
from aggregator.risk.assessment import Assessment
from aggregator.store.chronicle import Figures

P = ParamSpec("P")
T = TypeVar("T")

MOST_THREADS = 4


def _frozen(items: dict[object, object]) -> MappingProxyType[object, object]:
    return MappingProxyType(items)


# pictures hold read-only mappings, and go to workers
copyreg.pickle(MappingProxyType, lambda proxy: (_frozen, (dict(proxy),)))


@dataclass(frozen=True, slots=True)
class AssetHaircut:
    """An asset's haircut as decimals between 0 and 1; `parts` by name."""

    asset: str
    symbol: str
    haircut: str
    parts: tuple[tuple[str, str], ...]


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
    haircuts: tuple[AssetHaircut, ...]
    """of what is owned, each asset once"""
    statement: MarginScore | str
    """what may be signed of it, or why nothing may"""
    _compressed: bytes | None = field(default=None, repr=False)

    @property
    def compressed(self) -> bytes:
        """The body in gzip, made when it is first asked for."""
        if self._compressed is None:
            self._compressed = gzip.compress(self.body, 5, mtime=0)
        return self._compressed


def assess(picture: Picture) -> Assessed:
    """The whole way from a picture to what is served. Pure; runs in a worker."""
    assessment, document = judge(picture)
    body = document.model_dump_json(by_alias=True).encode()
    figures = document.health
    healths = [one.health_factor for one in document.margin_accounts if one.health_factor is not None]
    snapshot = hashlib.sha256(body)
    return Assessed(
        snapshot=snapshot.hexdigest(),
        body=body,
        figures=Figures(
            figures.score,
            figures.margin_ratio,
            figures.equity_usd,
            figures.collateral_usd,
            figures.debt_usd,
            figures.requirement_usd,
            document.coverage.complete,
        ),
        probability=figures.liquidation_probability,
        lowest_health=min(healths, key=float, default=None),
        nearest_move=_nearest(document),
        model=f"{figures.model} {figures.score_version}",
        blocks=tuple((one.chain, one.block) for one in picture.portfolio.snapshots if one.block is not None),
        haircuts=_haircuts(document),
        statement=_statement(picture, assessment, snapshot.digest()),
    )


def _statement(picture: Picture, assessment: Assessment, snapshot: bytes) -> MarginScore | str:
    (owner,) = picture.portfolio.owners
    try:
        return summarise(owner.address, picture.portfolio, assessment, policy_for(adapters()), snapshot)
    except (ScoreWithheld, StatementError) as withheld:
        return str(withheld)


def _haircuts(document: HealthDocument) -> tuple[AssetHaircut, ...]:
    positions = (*document.positions, *(one for account in document.margin_accounts for one in account.positions))
    found: dict[str, AssetHaircut] = {}
    for leg in (leg for position in positions for leg in position.legs):
        if leg.haircut is not None and leg.haircut_parts is not None:
            parts = tuple((name, str(value)) for name, value in leg.haircut_parts.model_dump().items())
            known = found.get(leg.asset)
            if known is None or float(known.haircut) < float(leg.haircut):
                found[leg.asset] = AssetHaircut(leg.asset, leg.symbol, leg.haircut, parts)
    return tuple(found.values())


def _nearest(document: HealthDocument) -> float:
    moves = [abs(float(one.liquidation.market_move)) for one in document.margin_accounts if one.liquidation.market_move is not None]
    return min([0.0 if any(one.liquidation.liquidatable for one in document.margin_accounts) else float("inf"), *moves])


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
    """A worker ignores Ctrl-C, which is for its parent, and ends when that is gone, however it went."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(0)
