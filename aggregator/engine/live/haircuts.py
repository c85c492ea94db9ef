"""Haircuts of every listed asset, as they are served: read from the chains again and again, judged in the workers, kept as one table.

A chain is read whole at one block, by the same functions as for `crossmargin haircuts`, with the price memory that owners are read with.
It is read again after `CROSSMARGIN_HAIRCUTS_SECONDS`; sooner where a feed moved, as long as somebody asks for haircuts; and at once where
its blocks were replaced. How a factor moves is worked out anew only where its history is new.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from aggregator.engine.haircuts_request import USUAL_SIZE, chosen_tokens
from aggregator.engine.live.owner import moved_names
from aggregator.model.errors import IncompleteError
from aggregator.model.identifiers import AssetId, ChainId
from aggregator.model.snapshot import Gap, Snapshot, SnapshotStatus
from aggregator.model.token import Token
from aggregator.reading.registry import registry

if TYPE_CHECKING:
    from aggregator.engine.haircuts_judgement import AssetFacts
    from aggregator.engine.haircuts_reading import ChainFacts
    from aggregator.engine.live.assess import Workers
    from aggregator.engine.live.haircuts_jobs import Judged, Known
    from aggregator.engine.snapshot import Engine
    from aggregator.model.price import PriceSeries
    from aggregator.prices.answers import FeedAnswers

log = logging.getLogger(__name__)

FIRST_SECONDS = 3.0
"""after the start, in which owners are read first; sooner where somebody asks"""
WATCH_SECONDS = 2.0
"""how often it is looked whether something has to be read"""
MOVED_SECONDS = 30.0
"""between readings for feeds that moved"""
ASKED_SECONDS = 600.0
"""after the last question, in which feeds that move count"""
RETRY_SECONDS = 30.0
"""until a chain that was not reached is tried again"""
KEPT_SECONDS = 3_600.0
"""what a chain told before it fell silent is served so long"""
PATIENCE_SECONDS = 30.0
"""how long somebody waits for the first table"""
POOLS_TOGETHER = 12
"""tokens whose pools are asked for at once: between them others have their turn"""
CHAINS_TOGETHER = 3
"""chains that are read at the same time, for the same reason"""
OTHERS_WAIT_SECONDS = 5.0
"""for a chain that is slow to tell; then those that have told are judged without it"""
ROWS_TOGETHER = 40
"""assets that a worker judges at once"""
ANSWERS_KEPT = 64
"""answers of one table"""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """All listed assets that could be judged, by chain and symbol. `missing`: chains of which nothing is known, and why."""

    snapshots: Mapping[ChainId, Snapshot]
    assets: tuple[AssetFacts, ...]
    rows: Mapping[AssetId, bytes]
    """as a holding of the usual size: JSON of `AssetHaircutDocument`"""
    known: Known
    missing: Mapping[ChainId, str]
    unread: Mapping[ChainId, Mapping[str, str]]
    """factors whose history was not told, by chain, and why"""
    answers: OrderedDict[object, bytes] = field(default_factory=OrderedDict)
    """that were made of it, the last used last"""

    def answer(self, key: object) -> bytes | None:
        if key in self.answers:
            self.answers.move_to_end(key)
        return self.answers.get(key)

    def keep(self, key: object, body: bytes) -> None:
        self.answers[key] = body
        while len(self.answers) > ANSWERS_KEPT:
            self.answers.popitem(last=False)

    def gaps(self, tokens: Sequence[Token]) -> tuple[Gap, ...]:
        """What is missing of these: whole chains, and histories that a class stands in for."""
        found = []
        for chain in dict.fromkeys(token.chain for token in tokens):
            own = [token for token in tokens if token.chain == chain]
            if chain in self.missing:
                what = f"haircut of {own[0].symbol}" if len(own) == 1 else f"haircuts of {len(own)} listed assets"
                found.append(Gap(chain, "*", what, self.missing[chain]))
            factors = {token.factor for token in own}
            unread = self.unread.get(chain, {})
            found += [Gap(chain, "prices", f"price history of {name}", why) for name, why in sorted(unread.items()) if name in factors]
        return tuple(found)


class ListedHaircuts:
    """Keeps the table. `run` it; `current` gives it."""

    def __init__(
        self,
        engine: Engine,
        chains: Sequence[ChainId],
        workers: Workers,
        every_seconds: float,
        feeds: Callable[[ChainId], FeedAnswers | None] = lambda _: None,
    ) -> None:
        """`feeds`: what a chain's feeds were seen to say last by whoever follows them."""
        self._engine, self._workers, self._every, self._feeds = engine, workers, every_seconds, feeds
        self.tokens = chosen_tokens((), chains, registry())
        """all of them, by chain and symbol"""
        self.chains = tuple(dict.fromkeys(token.chain for token in self.tokens))
        self._facts: dict[ChainId, ChainFacts] = {}
        self._tried: dict[ChainId, float] = {}
        """monotonic time of the last attempt"""
        self._told: dict[ChainId, float] = {}
        """and of the last success"""
        self._reading: dict[ChainId, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(CHAINS_TOGETHER)
        self._replaced: dict[ChainId, int] = {}
        """chains whose blocks were replaced since they began to be read, and the first of those"""
        self._series: dict[str, PriceSeries] = {}
        self._table: Table | None = None
        self._made = asyncio.Event()
        self._wake = asyncio.Event()
        self._asked_at = float("-inf")

    async def run(self) -> None:
        """Read and judge until cancelled."""
        await self._sleep(FIRST_SECONDS)
        await asyncio.to_thread(_prepare)
        try:
            while True:
                try:
                    if await self._read(self._due()):
                        await self._judge()
                except Exception:  # a fault of ours must not end it
                    log.exception("haircuts of listed assets could not be made")
                    await asyncio.sleep(RETRY_SECONDS)
                await self._sleep(WATCH_SECONDS)
        finally:
            for task in self._reading.values():
                task.cancel()
            await asyncio.gather(*self._reading.values(), return_exceptions=True)

    async def current(self) -> Table:
        """The present table; waits for the first. IncompleteError where that takes too long."""
        self._asked_at = time.monotonic()
        if self._table is None:
            self._wake.set()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._made.wait()
            except TimeoutError:
                raise IncompleteError("haircuts are being read for the first time") from None
        assert self._table is not None
        return self._table

    async def rows(self, table: Table, assets: Sequence[AssetFacts], size_usd: Decimal) -> list[bytes]:
        """JSON of each as a holding of a size."""
        found = await self._judged(assets, size_usd, {}, table.known)
        return [one.body for one in found]

    def replaced(self, chain: ChainId, first: int) -> None:
        """Blocks of a chain from number `first` on are no more: what stood on them is taken back, and the chain read again."""
        self._replaced[chain] = min(first, self._replaced.get(chain, first))
        facts = self._facts.get(chain)
        if facts is None or not _stands_on(facts, first):
            return
        del self._facts[chain]
        if self._table is not None:
            self._table = replace(
                self._table,
                snapshots={one: snapshot for one, snapshot in self._table.snapshots.items() if one != chain},
                assets=tuple(one for one in self._table.assets if one.token.chain != chain),
                missing={**self._table.missing, chain: f"its blocks from {first} on were replaced; it is being read again"},
                answers=OrderedDict(),
            )
        self._wake.set()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _due(self) -> list[ChainId]:
        """Chains to be read now."""
        return [chain for chain in self.chains if chain not in self._reading and self._is_due(chain, time.monotonic())]

    def _is_due(self, chain: ChainId, now: float) -> bool:
        tried = self._tried.get(chain, float("-inf"))
        silent, taken_back = self._told.get(chain) != tried, chain in self._told and chain not in self._facts
        asked = now - self._asked_at <= ASKED_SECONDS
        since = now - tried
        if taken_back or since >= self._every:
            return True
        return (silent and since >= RETRY_SECONDS) or (asked and since >= MOVED_SECONDS and self._moved(chain))

    def _moved(self, chain: ChainId) -> bool:
        """Whether a feed that a listed asset follows says something else than when the chain was read."""
        facts, seen = self._facts.get(chain), self._feeds(chain)
        if facts is None or facts.feeds is None or seen is None or seen.block.number <= facts.feeds.block.number:
            return False
        names = {name for token in self.tokens if token.chain == chain for name in (token.symbol, token.factor)}
        return not names.isdisjoint(moved_names(facts.feeds, seen))

    async def _read(self, due: Sequence[ChainId]) -> bool:
        """Read chains, each at a block of its own; whether any told something. One that takes long is read on meanwhile."""
        for chain in due:
            self._reading[chain] = asyncio.create_task(self._read_chain(chain))
        if not self._reading:
            return False
        await asyncio.wait(self._reading.values(), timeout=OTHERS_WAIT_SECONDS)
        done = [chain for chain, task in self._reading.items() if task.done()]
        for chain in done:
            error = self._reading.pop(chain).exception()
            if error is not None:  # a fault of ours with one chain must not cost the others their figures
                log.error("%s could not be read for haircuts", chain, exc_info=error)
        return bool(done)

    async def _read_chain(self, chain: ChainId) -> None:
        """What a chain that fell silent told before stays for a while."""
        from aggregator.engine.haircuts_reading import read_facts

        async with self._room:
            self._tried[chain] = at = time.monotonic()
            self._replaced.pop(chain, None)
            client, memory = self._engine.network.client(chain), self._engine.memory.of(chain)
            tokens = [token for token in self.tokens if token.chain == chain]
            facts = await read_facts(client, memory, tokens, registry(), _silent, self._engine.clock, together=POOLS_TOGETHER)
        before = self._facts.get(chain)
        if facts.snapshot.block is not None:
            self._told[chain] = at
        elif before is not None and before.snapshot.block is not None and at - self._told[chain] < KEPT_SECONDS:
            why = f"not reached since: {facts.snapshot.detail}"
            facts = replace(before, snapshot=replace(before.snapshot, status=SnapshotStatus.STALE, detail=why))
        if chain not in self._replaced or not _stands_on(facts, self._replaced[chain]):
            self._facts[chain] = facts
        else:
            self._facts.pop(chain, None)

    async def _judge(self) -> None:
        """A new table of everything that is known."""
        from aggregator.engine.haircuts_judgement import histories
        from aggregator.engine.live.haircuts_jobs import look_at

        facts = {chain: self._facts[chain] for chain in self.chains if chain in self._facts}
        series = histories(facts.values())
        known = self._still_known(series)
        tokens = [token for token in self.tokens if token.chain in facts and facts[token.chain].snapshot.block is not None]
        assets = await self._workers.run(look_at, tokens, tuple(replace(one, history=()) for one in facts.values()))
        judged = await self._judged(assets, USUAL_SIZE, series, known)
        self._series = series
        # a chain whose blocks were replaced meanwhile is not shown
        there = {chain: one for chain, one in facts.items() if chain in self._facts}
        missing = {chain: _why_missing(there.get(chain)) for chain in self.chains}
        self._table = Table(
            {chain: one.snapshot for chain, one in there.items()},
            tuple(one for one in assets if one.token.chain in there),
            {one.asset: one.body for one in judged},
            {(one.volatility.factor, one.volatility.factor_class): one.volatility for one in judged},
            {chain: why for chain, why in missing.items() if why},
            {chain: one.unread for chain, one in there.items()},
        )
        self._made.set()

    def _still_known(self, series: Mapping[str, PriceSeries]) -> Known:
        """How factors move whose history is the one that was judged last."""
        if self._table is None:
            return {}
        return {key: one for key, one in self._table.known.items() if _same(series.get(key[0]), self._series.get(key[0]))}

    async def _judged(
        self, assets: Sequence[AssetFacts], size_usd: Decimal, series: Mapping[str, PriceSeries], known: Known
    ) -> list[Judged]:
        """In the order of `assets`, one short piece of work after the other, so that whoever waits for a worker is not held up."""
        from aggregator.engine.live.haircuts_jobs import judge

        found: dict[AssetId, Judged] = {}
        for part in _parts(assets, {name for name, _ in known}):
            names = {one.token.factor for one in part}
            own_series = {name: series[name] for name in names if name in series}
            own_known = {key: one for key, one in known.items() if key[0] in names}
            found.update((one.asset, one) for one in await self._workers.run(judge, part, size_usd, own_series, own_known))
        return [found[one.token.asset] for one in assets]


def _parts(assets: Iterable[AssetFacts], known: Set[str]) -> Iterator[tuple[AssetFacts, ...]]:
    """Assets that are judged in one go: all of a factor together, and of a few factors if none has to be worked out."""
    by_factor: dict[str, list[AssetFacts]] = {}
    for one in assets:
        by_factor.setdefault(one.token.factor, []).append(one)
    part: list[AssetFacts] = []
    for factor, own in by_factor.items():
        if factor not in known:
            yield tuple(own)
            continue
        for one in own:
            part.append(one)
            if len(part) == ROWS_TOGETHER:
                yield tuple(part)
                part = []
    if part:
        yield tuple(part)


def _same(one: PriceSeries | None, other: PriceSeries | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.source == other.source and np.array_equal(one.timestamps, other.timestamps) and np.array_equal(one.prices, other.prices)


def _stands_on(facts: ChainFacts, first: int) -> bool:
    """Whether the block is not below a number."""
    return facts.snapshot.block is not None and facts.snapshot.block.number >= first


def _why_missing(facts: ChainFacts | None) -> str:
    """Empty where something is known of the chain."""
    if facts is None:
        return "the chain is being read"
    return facts.snapshot.detail or "not reached" if facts.snapshot.block is None else ""


def _prepare() -> None:
    """Import what takes long, off the event loop."""
    import aggregator.engine.live.haircuts_jobs  # noqa: F401


def _silent(_: ChainId, __: str) -> None:
    """No progress is wanted."""
