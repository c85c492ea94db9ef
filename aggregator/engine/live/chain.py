"""One chain's part of the loop: its head, its blocks, and who is to be read again, the most urgent first."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from aggregator.chains.arguments import OwnerAddress
from aggregator.chains.pinned import PinnedReads
from aggregator.engine.chain import ChainReading, ChainRequest, read_chain
from aggregator.engine.live.blocks import Advance, Trail
from aggregator.engine.live.head import HeadFollower
from aggregator.engine.live.owner import Concerned, Followed, moved_names, of_owner, shared_gaps
from aggregator.engine.settings import Settings
from aggregator.engine.snapshot import Engine
from aggregator.model.errors import EndpointError
from aggregator.model.identifiers import Address, ChainId
from aggregator.model.snapshot import Block
from aggregator.prices.answers import FeedAnswers
from aggregator.reading.catalogue import adapters
from aggregator.store.database import DatabaseUnavailable

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
SWEEP_SECONDS = 0.5
PRICES_SECONDS = 0.5
"""how often prices are looked at where blocks come faster"""
PAUSE_SECONDS = 0.2
"""after blocks that could not be looked through"""


class Urgency(IntEnum):
    TOUCHED = 0
    """named by a block, or standing on one that was replaced"""
    MOVED = 1
    """exposed to a price that moved"""
    DUE = 2
    """not read for a while, or at all"""


class Keeper(Protocol):
    """What the chains share: the followed, and what is done with what was read of them."""

    followed: dict[str, Followed]
    concerned: Concerned

    async def withdraw(self, chain: ChainId, head: Block, orphaned: Sequence[Block], keys: Iterable[str]) -> Collection[str]:
        """Take back what stands on blocks that were replaced; who has to be read again beside these."""

    def returned(self, blocks: Iterable[Block]) -> bool:
        """These belong to the chain; whether one of them had been replaced before."""

    async def renew(self, chain: ChainId, readings: Mapping[str, ChainReading]) -> int:
        """Take in what was read of a chain, by owner, and publish what comes of it; how many owners were published."""

    async def passed(self, chain: ChainId, head: Block) -> None:
        """Everything up to this block is done."""

    def lag(self, chain: ChainId, seconds: float) -> None:
        """How long it took from hearing of a block until what it changed was published."""


@dataclass(frozen=True, slots=True)
class ChainState:
    """What is known of a chain now, for coverage and readiness."""

    chain: ChainId
    head: Block | None
    mode: str
    trouble: str
    waiting: int
    """owners still to be read"""
    seen_at: float


class ChainLoop:
    """See the module. `read` may also be called from outside, for an owner who is new."""

    def __init__(self, engine: Engine, follower: HeadFollower, trail: Trail, keeper: Keeper, settings: Settings) -> None:
        self.chain = follower.chain
        self.follower = follower
        self._client = engine.network.client(self.chain)
        self._engine, self._trail, self._keeper = engine, trail, keeper
        self._settings = settings
        self._queue: dict[str, tuple[Urgency, float]] = {}
        self._swept = float("-inf")
        """loop time at which it was last looked for whom to read again"""
        self._priced = float("-inf")
        """loop time at which prices were last looked at without anybody's being read"""
        self._unpriced: Block | None = None
        """the newest head, while its prices have not been looked at"""
        self._busy = 0
        """owners who are being read"""
        self._reading = asyncio.Lock()
        self._feeds: FeedAnswers | None = None
        self.reads = 0
        """owners that were read"""

    @property
    def state(self) -> ChainState:
        follower = self.follower
        return ChainState(self.chain, self._trail.tip, follower.mode, follower.trouble, len(self._queue) + self._busy, follower.seen_at)

    @property
    def feeds(self) -> FeedAnswers | None:
        """What the chain's feeds said when they were looked at last."""
        return self._feeds

    def push(self, keys: Iterable[str], urgency: Urgency) -> None:
        """To be read; what is waiting already may only become more urgent."""
        for key in keys:
            one = self._keeper.followed.get(key)
            if one is None or one.owner.chain not in (None, self.chain):
                continue
            nearest = one.assessed.nearest_move if one.assessed is not None else 0.0
            place = (urgency, nearest)
            if key not in self._queue or place < self._queue[key]:
                self._queue[key] = place

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._turn()
            except EndpointError as error:
                log.info("%s: %s", self.chain, error)
                self.follower.again()
                await asyncio.sleep(PAUSE_SECONDS)
            except DatabaseUnavailable as error:
                log.error("%s: %s", self.chain, error)
                self.push(tuple(self._keeper.followed), Urgency.DUE)
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception:  # whatever it is, the chain is followed on
                log.exception("%s: a turn of the loop failed", self.chain)
                await asyncio.sleep(IDLE_SECONDS)

    async def _turn(self) -> None:
        head = await self.follower.next(0.0 if self._queue else PRICES_SECONDS if self._unpriced else IDLE_SECONDS)
        advance = await self._trail.advance(self._client, head) if head is not None else None
        self._push_due()
        if advance is None:
            await self._look_at_prices()
            await self._work()
            return
        await self._take(advance)
        touched = await self._work(Urgency.TOUCHED)
        if touched:
            while await self._work(Urgency.TOUCHED):
                pass
            self._keeper.lag(self.chain, asyncio.get_running_loop().time() - self.follower.seen_at)
        elif self._keeper.followed:
            self._unpriced = advance.head
            await self._look_at_prices()
        await self._keeper.passed(self.chain, advance.head)
        # where blocks come faster than they are worked on there is no turn without one: whoever waits has a part of every turn
        await self._work()

    async def _take(self, advance: Advance) -> None:
        if self._keeper.returned(advance.blocks):
            # whatever was read of them while they counted as replaced was thrown away
            self.push((key for key, one in self._keeper.followed.items() if one.assessed is None), Urgency.TOUCHED)
        if advance.orphaned:
            hashes = {block.hash for block in advance.orphaned}
            standing = [
                key
                for key, one in self._keeper.followed.items()
                if (block := one.standing_on(self.chain)) is not None and block.hash in hashes
            ]
            doubtful = await self._keeper.withdraw(self.chain, advance.head, advance.orphaned, standing)
            self.push((*standing, *doubtful), Urgency.TOUCHED)
        if advance.touches is None:
            self.push(tuple(self._keeper.followed), Urgency.MOVED)
        else:
            self.push(self._keeper.concerned.touched(self.chain, advance.touches), Urgency.TOUCHED)

    def _push_due(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._swept + SWEEP_SECONDS:
            return
        self._swept, oldest, never = now, now - self._settings.sweep_seconds, float("-inf")
        self.push((key for key, one in self._keeper.followed.items() if one.read_at.get(self.chain, never) < oldest), Urgency.DUE)

    async def _work(self, least: Urgency = Urgency.DUE) -> int:
        """Read the most urgent; how many they were."""
        waiting = ((place, key) for key, place in self._queue.items() if place[0] <= least)
        keys = [key for _, key in heapq.nsmallest(self._settings.batch_owners, waiting)]
        for key in keys:
            del self._queue[key]
        ones = [self._keeper.followed[key] for key in keys if key in self._keeper.followed]
        if not ones:
            return 0
        self._busy = len(ones)
        try:
            readings = await self.read([one.owner for one in ones])
            await self._keeper.renew(self.chain, {one.key: readings[one.owner] for one in ones})
        except BaseException:
            self.push(keys, Urgency.MOVED)
            raise
        finally:
            self._busy = 0
        return len(ones)

    async def read(self, owners: Sequence[OwnerAddress]) -> dict[OwnerAddress, ChainReading]:
        """What the chain tells of each now. Several are read together, and each alone where something is missing that may be anybody's."""
        addresses = tuple(dict.fromkeys(owner.address for owner in owners))
        async with self._reading:
            together = await self._read(addresses)
            if len(addresses) > 1 and shared_gaps(together, addresses):
                parts = {address: await self._read((address,)) for address in addresses}
            else:
                parts = {address: of_owner(together, address, addresses) for address in addresses}
        return {owner: parts[owner.address] for owner in owners}

    async def _read(self, addresses: tuple[Address, ...]) -> ChainReading:
        self.reads += len(addresses)
        request = ChainRequest(addresses, adapters(), None, self._settings.discover)
        reading = await read_chain(self._client, request, self._engine.memory.of(self.chain), _silent, self._engine.clock)
        if reading.snapshot.block is not None:
            self._trail.note(reading.snapshot.block)
        if reading.feeds is not None:
            self._unpriced = None
            self._compare(reading.feeds, addresses)
        return reading

    async def _look_at_prices(self) -> None:
        """Of the newest head whose prices nobody has seen yet; where blocks come fast, of some of them."""
        head, now = self._unpriced, asyncio.get_running_loop().time()
        if head is None or now < self._priced + PRICES_SECONDS:
            return
        self._priced, self._unpriced = now, None
        memory = self._engine.memory.of(self.chain)
        async with self._reading, PinnedReads(self._client, head, memory.abilities) as reads:
            answers = await memory.prices(self.chain).read_feeds(reads)
            if not reads.orphaned and not reads.silence:
                self._compare(answers, ())

    def _compare(self, answers: FeedAnswers, read_already: Sequence[Address]) -> None:
        """Whoever is exposed to a price that moved is to be read again, but for those who have just been."""
        moved = moved_names(self._feeds, answers)
        self._feeds = answers
        if moved:
            followed = self._keeper.followed
            exposed = self._keeper.concerned.exposed(moved)
            self.push((key for key in exposed if key in followed and followed[key].owner.address not in read_already), Urgency.MOVED)


def _silent(_: ChainId, __: str) -> None:
    """No progress is wanted."""
