"""One chain, read once: a pinned block, every adapter, the feeds, and the history of what was found, in as few rounds as they need."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from aggregator.chains.client import ChainClient
from aggregator.chains.heads import Head, find_head
from aggregator.chains.pinned import PinnedReads
from aggregator.chains.work import Abilities
from aggregator.engine.assemble import Found
from aggregator.engine.factors import factors, major_factors
from aggregator.model.errors import EndpointError
from aggregator.model.identifiers import Address, ChainId
from aggregator.model.price import PriceSeries
from aggregator.model.snapshot import Block, Gap, Remark, Snapshot, SnapshotStatus
from aggregator.prices.answers import FeedAnswers
from aggregator.prices.reader import PriceReader
from aggregator.reading.adapter import Adapter, Holdings, Memory, Scope
from aggregator.reading.manifest import Deployment
from aggregator.reading.registry import registry

log = logging.getLogger(__name__)
T = TypeVar("T")

REORGANISATIONS = 3
"""times that a chain is read again because its block went away under us"""
STALE_BLOCKS = 50
"""a head older than this many block times, and than STALE_SECONDS, is called stale"""
STALE_SECONDS = 600
SETTLING_TICKS = 2
"""turns of the event loop that adapters have after the feeds' answers to be done with the first round; fewer than a round waits"""


@dataclass(slots=True)
class ChainMemory:
    """What outlives a snapshot of one chain: what endpoints can do, and structural facts of each deployment."""

    abilities: Abilities = field(default_factory=Abilities)
    deployments: dict[tuple[str, str], Memory] = field(default_factory=dict)
    reader: PriceReader | None = None
    read_at: Block | None = None
    """the last block that was read"""
    wanted: set[str] = field(default_factory=set)
    """factors with a feed whose history was wanted for owners"""

    def forget(self) -> None:
        """Keep nothing that a block taught; what endpoints can do stays."""
        self.deployments.clear()
        self.reader = self.read_at = None

    def prices(self, chain: ChainId) -> PriceReader:
        if self.reader is None:
            self.reader = PriceReader(chain)
        return self.reader

    def of(self, slug: str, deployment: Deployment) -> Memory:
        return self.deployments.setdefault((slug, deployment.market), Memory())


@dataclass(frozen=True, slots=True)
class ChainReading:
    """Everything that one chain told at one block; `snapshot.block` is None where it could not be reached."""

    snapshot: Snapshot
    found: tuple[Found, ...] = ()
    feeds: FeedAnswers | None = None
    history: tuple[PriceSeries, ...] = ()
    gaps: tuple[Gap, ...] = ()
    remarks: tuple[Remark, ...] = ()
    rounds: int = 0
    """dependent rounds of requests, the head included"""


Progress = Callable[[ChainId, str], None]
Clock = Callable[[], float]
"""seconds since the epoch"""


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """What to read of one chain. `number` pins a block; None takes the latest."""

    owners: tuple[Address, ...]
    adapters: tuple[Adapter, ...]
    number: int | None = None
    discover: bool = False


async def read_chain(
    client: ChainClient, request: ChainRequest, memory: ChainMemory, progress: Progress, clock: Clock = time.time
) -> ChainReading:
    """Read one chain. Never raises for what endpoints or contracts do: what is missing is named in the reading's gaps."""

    async def work(reads: PinnedReads) -> ChainReading:
        return await _ChainSnapshot(client, request, memory, reads, progress, clock).take()

    reading = await at_one_block(client, request.number, memory, progress, clock, work)
    if isinstance(reading, str):
        return _unreachable(client.chain, reading)
    memory.read_at = reading.snapshot.block
    return reading


async def at_one_block(
    client: ChainClient,
    number: int | None,
    memory: ChainMemory,
    progress: Progress,
    clock: Clock,
    work: Callable[[PinnedReads], Awaitable[T]],
) -> T | str:
    """What `work` read at one block, which was still there when it was done; or why there is nothing.

    `number` pins the block, None takes the latest. What a block taught that is no longer there is forgotten.
    """
    progress(client.chain, "head")
    lost = ""
    for _ in range(REORGANISATIONS):
        try:
            head = await _head(client, number, memory, clock)
        except EndpointError as error:
            return str(error)
        async with PinnedReads(client, head.block, memory.abilities) as reads:
            done = await work(reads)
        if not reads.orphaned:
            return reads.silence or done
        # the block was replaced, or never was: nothing that it taught is kept, and whoever gave it is asked last
        memory.forget()
        client.doubt(head.source)
        lost = reads.orphaned
        progress(client.chain, "reorganised, reading again")
    return f"{lost} (after {REORGANISATIONS} attempts)"


async def _head(client: ChainClient, number: int | None, memory: ChainMemory, clock: Clock) -> Head:
    """The block to read at; of a stale endpoint and another the newer one. Forgets what a block taught that is no longer there."""
    head = await find_head(client, number, memory.read_at)
    if number is None and client.has_alternatives and stale(head.block, client, clock()):
        client.doubt(head.source)
        other = await find_head(client, None, memory.read_at)
        head = other if other.block.timestamp > head.block.timestamp else head
    if not head.follows:
        memory.forget()
    return head


def snapshot_of(block: Block, client: ChainClient, number: int | None, clock: Clock) -> Snapshot:
    """How a reading at a block is named: stale where it is old though the latest was asked for."""
    age = stale(block, client, clock()) if number is None else ""
    return Snapshot(client.chain, block, SnapshotStatus.STALE if age else SnapshotStatus.OK, age or None)


def stale(block: Block, client: ChainClient, now: float) -> str:
    """In words, that a head is too old to be the latest; empty where it may be."""
    age = int(now) - block.timestamp
    limit = max(STALE_SECONDS, int(STALE_BLOCKS * client.configuration.block_time_seconds))
    return f"the latest block is {age} seconds old" if age > limit else ""


def _unreachable(chain: ChainId, why: str) -> ChainReading:
    snapshot = Snapshot(chain, None, SnapshotStatus.UNREACHABLE, why)
    return ChainReading(snapshot, gaps=(Gap(chain, "*", "everything on this chain", why),))


class _ChainSnapshot:
    """The work of one reading at one block."""

    def __init__(
        self, client: ChainClient, request: ChainRequest, memory: ChainMemory, reads: PinnedReads, progress: Progress, clock: Clock
    ) -> None:
        self.client, self.request, self.memory, self.reads = client, request, memory, reads
        self.progress, self.clock = progress, clock
        self.chain = client.chain
        self.prices = memory.prices(self.chain)
        self.series: dict[str, PriceSeries] = {}
        self.asked: set[str] = set()
        self.held: set[str] = set()
        self.expected: set[str] = set()

    async def take(self) -> ChainReading:
        self.progress(self.chain, "positions and prices")
        feeds = asyncio.ensure_future(self.prices.read_feeds(self.reads, with_history=True, factors=self.memory.wanted or None))
        work = [
            asyncio.ensure_future(self._adapter(adapter, deployment, feeds))
            for adapter in self.request.adapters
            for deployment in adapter.manifest.deployments.get(self.chain, ())
        ]
        found, answers, _ = await asyncio.gather(asyncio.gather(*work), feeds, self._foresee(work, feeds))
        self.progress(self.chain, "done")
        return ChainReading(
            snapshot=snapshot_of(self.reads.block, self.client, self.request.number, self.clock),
            found=tuple(found),
            feeds=answers,
            # what was foreseen in vain stays out: whether anything is foreseen depends on what is remembered
            history=tuple(series for factor, series in sorted(self.series.items()) if factor in self.held),
            gaps=self._gaps(),
            remarks=self._remarks(),
            rounds=1 + self.reads.rounds,
        )

    async def _adapter(self, adapter: Adapter, deployment: Deployment, feeds: asyncio.Future[FeedAnswers]) -> Found:
        known = registry()
        scope = Scope(
            chain=self.chain,
            block=self.reads.block,
            deployment=deployment,
            owners=self.request.owners,
            reads=self.reads,
            tokens=known.tokens(self.chain),
            native=known.native(self.chain),
            memory=self.memory.of(adapter.slug, deployment),
            discover=self.request.discover,
            expect=self._expect,
        )
        try:
            holdings = await adapter.read(scope)
        except Exception as error:  # a fault of ours in one adapter must not cost the others their answers
            log.exception("%s on %s failed", adapter.slug, self.chain)
            what = f"all positions{f' in {deployment.market}' if deployment.market else ''}"
            holdings = Holdings(gaps=(adapter.gap(scope, what, f"the adapter failed: {type(error).__name__}"),))
        # the histories of what was found travel with the second rounds of the other adapters
        self.held |= (held := factors(holdings))
        await self._want(held, await feeds)
        return Found(adapter.slug, holdings)

    async def _foresee(self, work: Sequence[asyncio.Future[Found]], feeds: asyncio.Future[FeedAnswers]) -> None:
        """Histories that whoever is still looking will probably want, so that they travel with the second round and need no third."""
        answers = await feeds
        for _ in range(SETTLING_TICKS):
            await asyncio.sleep(0)
        if not all(task.done() for task in work):
            await self._want({*self.expected, *major_factors(), registry().native(self.chain).factor}, answers)

    def _expect(self, addresses: Iterable[Address]) -> None:
        tokens = registry().tokens(self.chain)
        self.expected |= {tokens[address].factor for address in addresses if address in tokens}

    async def _want(self, wanted: Iterable[str], answers: FeedAnswers) -> None:
        new = frozenset(wanted) - self.asked
        self.asked |= new
        self.memory.wanted |= new & self.prices.factors
        if new:
            for series in await self.prices.read_history(self.reads, sorted(new), answers):
                self.series[series.factor] = series

    def _gaps(self) -> tuple[Gap, ...]:
        """Histories that were wanted and not told. They concern every protocol: what stands on them would look calmer than it may be."""
        by_reason: dict[str, list[str]] = {}
        for factor, why in sorted(self.prices.unread_history.items()):
            if factor in self.held:
                by_reason.setdefault(why, []).append(factor)
        return tuple(Gap(self.chain, "*", f"price history of {', '.join(names)}", why) for why, names in by_reason.items())

    def _remarks(self) -> tuple[Remark, ...]:
        if self.memory.abilities.lens is False:
            return (Remark("slow-endpoint", f"{self.chain}: the endpoint takes no state overrides, so reads took more requests"),)
        return ()
