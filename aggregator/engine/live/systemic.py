"""Systemic figures as they are served: of the population or the network that the settings name, calculated once each time it is read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from aggregator.chains.network import Network
from aggregator.model.errors import CrossmarginError, InputError
from aggregator.model.identifiers import ChainId
from aggregator.model.snapshot import Gap, Snapshot

if TYPE_CHECKING:
    from aggregator.contagion.curves import Curve
    from aggregator.contagion.evidence import Evidence
    from aggregator.contagion.network import ExposureNetwork
    from aggregator.contagion.ranking import Ranking
    from aggregator.engine.chain import Clock
    from aggregator.engine.systemic.population import LivePopulation, PopulationReader
    from aggregator.model.book import Book

log = logging.getLogger(__name__)
T = TypeVar("T")

LIVE = "live"
MAIN_FACTORS = 6
"""curves that are shown where nobody names an asset"""
MOST_NODES = 2_000
"""of a network up to which everybody's failure is played through"""
RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """What was read: a book, or a network alone. `missing` in words."""

    name: str
    version: int
    book: Book | None
    network: ExposureNetwork | None
    evidence: Evidence
    snapshots: tuple[Snapshot, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(slots=True)
class Systemic:
    """`source`: a file of a book or a network, `live` for everybody on the chains, None for nothing."""

    source: str | None
    network: Network
    chains: tuple[str, ...]
    every_seconds: float
    changed: Callable[[Population], object] = lambda _: None
    """told of every new population"""
    clock: Clock = time.time
    listeners: list[Callable[[LivePopulation], Awaitable[object]]] = field(default_factory=list)
    """given every population that was read from the chains, before its figures are served"""
    population: Population | None = None
    trouble: str = "no population is read: CROSSMARGIN_POPULATION names none"
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _made: dict[object, object] = field(default_factory=dict)
    _locks: dict[object, asyncio.Lock] = field(default_factory=dict)
    """by kind of figure, so that no stranger's words are kept"""

    async def run(self) -> None:
        """Read the file once, or the chains again and again, until cancelled."""
        if self.source is None:
            return
        self.trouble = "the population is being read"
        await asyncio.to_thread(_prepare)
        from aggregator.engine.systemic.population import PopulationReader

        reader = PopulationReader(self.network, clock=self.clock)
        while True:
            pause = self.every_seconds
            try:
                found = await self._read(reader) if self.source == LIVE else await asyncio.to_thread(self._load, Path(self.source))
                self.population, self.trouble = found, ""
                self._made.clear()
                self.changed(found)
            except CrossmarginError as error:
                self.trouble, pause = str(error), RETRY_SECONDS
                log.warning("population: %s", error)
            if self.source != LIVE and not self.trouble:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            self._woken.clear()

    def replaced(self, chain: ChainId, first: int) -> None:
        """Blocks of a chain were replaced, from `first` on: what stands on them is read anew."""
        standing = () if self.population is None else (one.block for one in self.population.snapshots if one.chain == chain)
        if any(block is not None and block.number >= first for block in standing):
            self._woken.set()

    async def _read(self, reader: PopulationReader) -> Population:
        from aggregator.engine.systemic.population import PopulationRequest

        found = await reader.take(PopulationRequest(only_chains=self.chains))
        if found.book is None:
            raise CrossmarginError(f"no account was found: {found.gaps[0].why if found.gaps else 'nobody is there'}")
        for listener in self.listeners:
            try:
                await listener(found)
            except Exception:  # a fault of ours in one of them must not cost the others their figures
                log.exception("a listener of populations failed")
        return Population("everybody on the chains", time.time_ns(), found.book, None, found.evidence, found.snapshots, found.gaps)

    def _load(self, path: Path) -> Population:
        from aggregator.contagion.evidence import of_book
        from aggregator.engine.systemic import analysis

        version = path.stat().st_mtime_ns if path.is_file() else 0
        if path.suffix == ".json":
            network = analysis.load_network(path)
            return Population(path.name, version, None, network, network.evidence())
        book = analysis.load_book(path)
        return Population(path.name, version, book, None, of_book(book))

    async def curves(self, asset: str | None) -> Mapping[str, Curve] | None:
        """Static curves by what falls; None without a book. InputError for an asset that the population does not have."""
        population = self.population
        if population is None or population.book is None:
            return None
        book = population.book
        return await self._once(("curves", asset), lambda: _curves(book, asset))

    async def ranking(self) -> tuple[Ranking, Evidence] | None:
        """Who matters; None without anything to rank."""
        population = self.population
        if population is None:
            return None
        return await self._once("ranking", lambda: _ranking(population))

    async def exposures(self) -> ExposureNetwork | None:
        """Who has lent to whom."""
        population = self.population
        if population is None:
            return None
        return await self._once("exposures", lambda: _network(population))

    async def _once(self, key: object, work: Callable[[], T]) -> T:
        """Calculated once, however many ask at the same time; not on the event loop."""
        kind = key[0] if isinstance(key, tuple) else key
        async with self._locks.setdefault(kind, asyncio.Lock()):
            if key not in self._made:
                self._made[key] = await asyncio.to_thread(work)
            return self._made[key]  # type: ignore[return-value]  # what this key's work gave


def _prepare() -> None:
    """Import what takes long, off the event loop: the service answers before it has a population."""
    import aggregator.engine.systemic.analysis  # noqa: F401


def _curves(book: Book, asset: str | None) -> dict[str, Curve]:
    from aggregator.contagion.curves import static_curve
    from aggregator.engine.systemic import analysis

    names = [asset] if asset is not None else _factors(book)
    return {name: static_curve(book, np.minimum(analysis.basket(book, [name]), 1.0)) for name in names}


def _factors(book: Book) -> list[str]:
    """What most collateral follows, the most first."""
    from aggregator.engine.systemic import analysis

    held = analysis.collateral_held(book)
    worth: dict[str, float] = {}
    for reserve, usd in enumerate(held.tolist()):
        symbol = book.assets[int(book.reserves.asset[reserve])].symbol
        worth[symbol] = worth.get(symbol, 0.0) + usd
    return sorted((name for name in worth if worth[name] > 0), key=lambda name: (-worth[name], name))[:MAIN_FACTORS]


def _network(population: Population) -> ExposureNetwork:
    if population.network is not None:
        return population.network
    from aggregator.contagion.lenders import lender_network

    assert population.book is not None
    return lender_network(population.book)


def _ranking(population: Population) -> tuple[Ranking, Evidence]:
    from aggregator.contagion.evidence import together
    from aggregator.engine.systemic import analysis

    network = _network(population)
    if len(network) > MOST_NODES:
        raise InputError(f"a network of {len(network)} nodes is too large to be ranked here; see crossmargin contagion rank")
    found = analysis.rank(network)
    return found, together([found.evidence, population.evidence])
