"""A chain that is rewritten while it is read: a reading of the new chain, or a gap that says so, and never something of both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from aggregator.engine.chain import REORGANISATIONS
from aggregator.localnet import controls
from aggregator.localnet.network import local_network
from aggregator.localnet.world import World
from aggregator.model.identifiers import evm_chain
from tests.engine.support import Sight, Urls, assert_not_calmer, engine_on, look, look_once, time_of
from tests.faults import Exchange, Fault
from tests.faulty_endpoint import FaultyEndpoint

pytestmark = pytest.mark.localnet

REWRITTEN = 8453
CHAIN = evm_chain(REWRITTEN)


@dataclass
class Meanwhile(Fault):
    """Something happens on the chain just before a request is passed on, at the requests with these numbers (from 0)."""

    act: Callable[[], Awaitable[None]]
    at: frozenset[int]
    seen: int = field(default=0)

    async def before(self, exchange: Exchange) -> web.StreamResponse | None:
        if self.seen in self.at:
            await self.act()
        self.seen += 1
        return None


@pytest.fixture(scope="module")
async def own() -> AsyncIterator[World]:
    """A network of our own: reorganisations drop the snapshots by which a shared one is put back."""
    async with local_network() as world:
        yield world


@pytest.fixture(scope="module")
async def who(own: World) -> str:
    return own.owner("three-chains").address


@asynccontextmanager
async def in_front(world: World) -> AsyncIterator[tuple[FaultyEndpoint, Urls]]:
    async with FaultyEndpoint(upstream=world.chains[REWRITTEN].url, chain=REWRITTEN) as proxy:
        yield proxy, {chain_id: (chain.url,) for chain_id, chain in world.chains.items()} | {REWRITTEN: (proxy.url,)}


async def spend(world: World, who: str) -> None:
    """A block in which the owner pays a hundred dollars: what a rewritten chain does not know."""
    token = world.token(REWRITTEN, "USDC").address
    await world.chains[REWRITTEN].send(who, token, "transfer(address,uint256)", world.owner("empty").address, 100_000_000)


def dollars(sight: Sight) -> int:
    """USDC in the wallet on the rewritten chain."""
    return next(leg.amount for one in sight.held([REWRITTEN])[1] if one.protocol == "wallet" for leg in one.legs if leg.symbol == "USDC")


@pytest.mark.parametrize("request_number", [1, 2])
async def test_between_the_head_and_the_reads(request_number: int, own: World, who: str) -> None:
    """Also between the first round and the second."""
    async with in_front(own) as (proxy, urls):
        now = await time_of(own)
        untouched = await look_once(urls, [who], now=now)
        await spend(own, who)

        async def rewrite() -> None:
            await controls.reorganise(own, REWRITTEN, 1)

        proxy.inject(Meanwhile(rewrite, frozenset({request_number})))
        sight = await look_once(urls, [who], now=now)
        proxy.heal()
        afterwards = await look_once(urls, [who], now=now)
    assert dollars(sight) == dollars(untouched)
    assert sight.held() == afterwards.held()
    assert sight.document.snapshots == afterwards.document.snapshots
    assert sight.document.health == afterwards.document.health
    assert sight.missing == afterwards.missing == []


async def test_at_every_attempt(own: World, who: str) -> None:
    """A chain that does not stand still for one reading is a gap, and costs a bounded number of requests."""
    async with in_front(own) as (proxy, urls):
        now = await time_of(own)
        await spend(own, who)
        whole = await look_once(urls, [who], now=now)

        async def rewrite() -> None:
            # the next attempt finds a block that has something in it, and will not be there either
            await controls.reorganise(own, REWRITTEN, 1)
            await spend(own, who)

        proxy.record.clear()
        proxy.inject(Meanwhile(rewrite, frozenset(range(1_000))), method="eth_call")
        sight = await look_once(urls, [who], now=now)
    ((chain, protocol, what, why),) = sight.missing
    assert (chain, protocol, what) == (CHAIN, "*", "everything on this chain")
    assert f"(after {REORGANISATIONS} attempts)" in why
    assert sight.held([1, 42161]) == whole.held([1, 42161])
    assert sight.held([REWRITTEN]) == ([], [])
    assert_not_calmer(sight, whole)
    assert proxy.requests <= 20


@pytest.mark.parametrize("more", [1, 20])
async def test_between_two_snapshots_of_one_engine(more: int, own: World, who: str) -> None:
    """What was learnt of blocks that are gone is forgotten: the engine sees what one that starts afresh sees, histories included."""
    async with in_front(own) as (_, urls):
        now = await time_of(own)
        async with engine_on(urls, now=now) as engine:
            untouched = await look(engine, [who], chains=(REWRITTEN,))
            head, prices = await own.chains[REWRITTEN].head(), dict(own.prices)
            await spend(own, who)
            await own.set_price(REWRITTEN, "ETH / USD", own.prices["ETH"] * 2)
            await own.chains[REWRITTEN].mine(more)
            spent = await look(engine, [who], chains=(REWRITTEN,))
            await controls.reorganise(own, REWRITTEN, await own.chains[REWRITTEN].head() - head)
            own.prices = prices
            seen = await look(engine, [who], chains=(REWRITTEN,))
            again = await look(engine, [who], chains=(REWRITTEN,))
        afresh = await look_once({REWRITTEN: urls[REWRITTEN]}, [who], now=now)
    assert dollars(spent) == dollars(untouched) - 100_000_000
    assert dollars(seen) == dollars(untouched)
    assert spent.document.health.equity_usd != seen.document.health.equity_usd
    assert seen.held() == afresh.held() == again.held()
    assert seen.document.health == afresh.document.health == again.document.health


async def test_a_pinned_number_follows_the_chain(own: World, who: str) -> None:
    """The block of that number is another one afterwards."""
    async with in_front(own) as (proxy, urls):
        await spend(own, who)
        number = await own.chains[REWRITTEN].head()

        async def rewrite() -> None:
            await controls.reorganise(own, REWRITTEN, 1)

        before = await look_once(urls, [who])
        proxy.inject(Meanwhile(rewrite, frozenset({1})))
        async with engine_on(urls) as engine:
            sight = await look(engine, [who], blocks={REWRITTEN: number})
    assert dollars(sight) == dollars(before) + 100_000_000
    assert sight.missing == []
