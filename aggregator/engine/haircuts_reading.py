"""What haircuts are made of, read from one chain at one block: its feeds, their history, and the pools of its tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aggregator.chains.client import ChainClient
from aggregator.chains.pinned import PinnedReads
from aggregator.engine.chain import ChainMemory, Clock, Progress, at_one_block, snapshot_of
from aggregator.engine.haircuts_depth import Pools, read_pools
from aggregator.model.price import PriceSeries
from aggregator.model.snapshot import Gap, Snapshot, SnapshotStatus
from aggregator.model.token import Token, TokenKind
from aggregator.prices.answers import FeedAnswers
from aggregator.reading.registry import Registry


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What one chain told for haircuts; nothing but the snapshot where it could not be reached."""

    snapshot: Snapshot
    feeds: FeedAnswers | None = None
    history: tuple[PriceSeries, ...] = ()
    pools: Pools = field(default_factory=Pools)
    unread: Mapping[str, str] = field(default_factory=dict)
    """factors whose history was not told, and why"""

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What is missing."""
        chain = self.snapshot.chain
        if self.snapshot.block is None:
            return (Gap(chain, "*", "prices, their history and pools", self.snapshot.detail or ""),)
        return tuple(Gap(chain, "prices", f"price history of {factor}", why) for factor, why in sorted(self.unread.items()))


async def read_facts(
    client: ChainClient,
    memory: ChainMemory,
    tokens: Sequence[Token],
    listed: Registry,
    progress: Progress,
    clock: Clock,
    number: int | None = None,
    together: int | None = None,
) -> ChainFacts:
    """Everything about `tokens` of one chain. Never raises for what endpoints or contracts do.

    `number` pins the block, None takes the latest. `together`: tokens whose pools are asked for at once; None for all, which takes the
    fewest requests, and a moment in which nothing else is done.
    """
    sold = tuple(dict.fromkeys(sold_as(token, listed) for token in tokens)) if listed.tokens(client.chain) else ()
    factors = {token.factor for token in tokens}
    size = together or len(sold) or 1

    async def work(reads: PinnedReads) -> ChainFacts:
        progress(client.chain, "feeds and pools")
        reader = memory.prices(client.chain)

        async def histories() -> tuple[FeedAnswers, tuple[PriceSeries, ...]]:
            answers = await reader.read_feeds(reads, with_history=True)
            return answers, await reader.read_history(reads, sorted(factors), answers)

        async def pools() -> Pools:
            parts = [await read_pools(reads, client.chain, sold[at : at + size], listed) for at in range(0, len(sold), size)]
            return Pools(
                tuple(pair for one in parts for pair in one.pairs),
                tuple(pool for one in parts for pool in one.pools),
                frozenset(asset for one in parts for asset in one.unread),
            )

        if together is None:
            (feeds, history), found = await asyncio.gather(histories(), pools())
        else:
            (feeds, history), found = await histories(), await pools()
        unread = {factor: why for factor, why in reader.unread_history.items() if factor in factors}
        progress(client.chain, "done")
        return ChainFacts(snapshot_of(reads.block, client, number, clock), feeds, history, found, unread)

    facts = await at_one_block(client, number, memory, progress, clock, work)
    if isinstance(facts, str):
        return ChainFacts(Snapshot(client.chain, None, SnapshotStatus.UNREACHABLE, facts))
    return facts


def sold_as(token: Token, listed: Registry) -> Token:
    """What pools know the token as."""
    return listed.wrapped_native(token.chain) if token.kind is TokenKind.NATIVE and listed.tokens(token.chain) else token
