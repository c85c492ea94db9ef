"""One chain, read once: a pinned block, every adapter, the feeds, and the history of what was found, in as few rounds as they need."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aggregator.chains.client import ChainClient
from aggregator.chains.heads import pin_block
from aggregator.chains.jobs import Abilities
from aggregator.chains.pinned import PinnedReads
from aggregator.engine.assemble import Found
from aggregator.model.errors import EndpointError
from aggregator.model.identifiers import Address, AssetId, ChainId
from aggregator.model.position import Component
from aggregator.model.price import PriceSeries
from aggregator.model.snapshot import Block, Gap, Remark, Snapshot, SnapshotStatus
from aggregator.prices.answers import FeedAnswers
from aggregator.prices.reader import PriceReader
from aggregator.reading.adapter import Adapter, Holdings, Memory, Scope
from aggregator.reading.manifest import Deployment
from aggregator.reading.registry import registry

log = logging.getLogger(__name__)

REORGANISATIONS = 3
"""times that a chain is read again because its block went away under us"""
STALE_BLOCKS = 50
"""a head older than this many block times, and than STALE_SECONDS, is called stale"""
STALE_SECONDS = 600


@dataclass(slots=True)
class ChainMemory:
    """What outlives a snapshot of one chain: what endpoints can do, and structural facts of each deployment."""

    abilities: Abilities = field(default_factory=Abilities)
    deployments: dict[tuple[str, str], Memory] = field(default_factory=dict)
    reader: PriceReader | None = None

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


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """What to read of one chain. `number` pins a block; None takes the latest."""

    owners: tuple[Address, ...]
    adapters: tuple[Adapter, ...]
    number: int | None = None
    discover: bool = False


async def read_chain(client: ChainClient, request: ChainRequest, memory: ChainMemory, progress: Progress) -> ChainReading:
    """Read one chain. Never raises for what endpoints or contracts do: what is missing is named in the reading's gaps."""
    progress(client.chain, "head")
    for _ in range(REORGANISATIONS):
        try:
            block = await pin_block(client, request.number)
        except EndpointError as error:
            return _unreachable(client.chain, str(error))
        async with PinnedReads(client, block, memory.abilities) as reads:
            reading = await _ChainSnapshot(client, request, memory, reads, progress).take()
            if not reads.orphaned:
                return reading
        if request.number is not None:
            break
        progress(client.chain, "reorganised, reading again")
    return _unreachable(client.chain, "the block was reorganised away while it was read")


def _unreachable(chain: ChainId, why: str) -> ChainReading:
    snapshot = Snapshot(chain, None, SnapshotStatus.UNREACHABLE, why)
    return ChainReading(snapshot, gaps=(Gap(chain, "*", "everything on this chain", why),))


class _ChainSnapshot:
    """The work of one reading at one block."""

    def __init__(self, client: ChainClient, request: ChainRequest, memory: ChainMemory, reads: PinnedReads, progress: Progress) -> None:
        self.client, self.request, self.memory, self.reads, self.progress = client, request, memory, reads, progress
        self.chain = client.chain
        self.prices = memory.prices(self.chain)
        self.series: dict[str, PriceSeries] = {}
        self.asked: set[str] = set()

    async def take(self) -> ChainReading:
        self.progress(self.chain, "positions and prices")
        feeds = asyncio.ensure_future(self.prices.read_feeds(self.reads))
        work = [
            self._adapter(adapter, deployment, feeds)
            for adapter in self.request.adapters
            for deployment in adapter.manifest.deployments.get(self.chain, ())
        ]
        found = await asyncio.gather(*work)
        answers = await feeds
        self.progress(self.chain, "done")
        return ChainReading(
            snapshot=self._snapshot(self.reads.block),
            found=tuple(found),
            feeds=answers,
            history=tuple(self.series.values()),
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
        )
        try:
            holdings = await adapter.read(scope)
        except Exception as error:  # a fault of ours in one adapter must not cost the others their answers
            log.exception("%s on %s failed", adapter.slug, self.chain)
            what = f"all positions{f' in {deployment.market}' if deployment.market else ''}"
            holdings = Holdings(gaps=(adapter.gap(scope, what, f"the adapter failed: {type(error).__name__}"),))
        # the histories of what was found travel with the second rounds of the other adapters
        await self._want(factors(holdings), await feeds)
        return Found(adapter.slug, holdings)

    async def _want(self, wanted: Iterable[str], answers: FeedAnswers) -> None:
        new = frozenset(wanted) - self.asked
        self.asked |= new
        if new:
            for series in await self.prices.read_history(self.reads, sorted(new), answers):
                self.series[series.factor] = series

    def _snapshot(self, block: Block) -> Snapshot:
        age = int(time.time()) - block.timestamp
        limit = max(STALE_SECONDS, int(STALE_BLOCKS * self.client.configuration.block_time_seconds))
        if self.request.number is None and age > limit:
            return Snapshot(self.chain, block, SnapshotStatus.STALE, f"the latest block is {age} seconds old")
        return Snapshot(self.chain, block, SnapshotStatus.OK)

    def _remarks(self) -> tuple[Remark, ...]:
        if self.memory.abilities.lens is False:
            return (Remark("slow-endpoint", f"{self.chain}: the endpoint takes no state overrides, so reads took more requests"),)
        return ()


def factors(holdings: Holdings) -> set[str]:
    """Risk factors of everything in holdings, by the registry and the tokens that the adapter described."""
    known = registry()
    described = {token.asset: token for token in holdings.tokens}

    def factor(asset: AssetId) -> str | None:
        token = described.get(asset) or known.token(asset)
        return token.factor if token is not None else None

    def components(parts: tuple[Component, ...]) -> Iterable[AssetId]:
        for part in parts:
            yield part.asset
            yield from components(part.parts)

    legs = [leg for account in holdings.margin_accounts for leg in account.legs] + [
        leg for position in holdings.positions for leg in position.legs
    ]
    assets = {leg.asset for leg in legs} | {asset for leg in legs for asset in components(leg.look_through)}
    return {name for asset in assets if (name := factor(asset)) is not None}
