"""Moving prices, time, blocks, and breaking things on a running network."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet import controls
from aggregator.localnet.deploy import lending, rwa
from aggregator.localnet.network import local_network
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World, WorldError

pytestmark = pytest.mark.localnet


async def shown(world: World, chain_id: int, description: str) -> int:
    (answer,) = await world.chains[chain_id].call(world.feed(chain_id, description).proxies[0], "latestAnswer()(int256)")
    return cast(int, answer)


async def test_a_price_moves_on_every_chain_with_what_follows_it(lived: World) -> None:
    described = [(1, "ETH / USD"), (42161, "ETH / USD"), (8453, "ETH / USD"), (1, "STETH / USD"), (1, "BTC / USD"), (1, "STETH / ETH")]
    before = [await shown(lived, *one) for one in described]
    prices = dict(lived.prices)
    owner = lived.owner("aave-safe").address
    account = await lending.account(lived, lending.aave(lived, 1), owner)
    await controls.move_price(lived, "ETH", Decimal("0.9"))
    after = [await shown(lived, *one) for one in described]
    assert after == [int(one * Decimal("0.9")) for one in before[:4]] + before[4:]
    assert lived.prices["weETH"] == prices["weETH"] * Decimal("0.9")
    assert lived.prices["BTC"] == prices["BTC"]
    fallen = await lending.account(lived, lending.aave(lived, 1), owner)
    assert abs(Decimal(fallen.health_factor) / account.health_factor - Decimal("0.9")) < Decimal("1e-5")


async def test_a_peg_breaks_alone(lived: World) -> None:
    before = [await shown(lived, 1, one) for one in ("STETH / USD", "STETH / ETH", "ETH / USD")]
    await controls.move_price(lived, "stETH", "0.95")
    after = [await shown(lived, 1, one) for one in ("STETH / USD", "STETH / ETH", "ETH / USD")]
    assert after == [int(before[0] * Decimal("0.95")), int(before[1] * Decimal("0.95")), before[2]]
    await controls.move_price(lived, "WBTC", "0.98")
    assert await shown(lived, 1, "WBTC / BTC") < 98_500_000


async def test_a_fund_publishes_and_what_nothing_prices_is_refused(lived: World) -> None:
    price = lived.prices["USTB"]
    await controls.move_price(lived, "USTB", "1.01")
    made = rwa.fund(lived, "USTB")
    (answer,) = await lived.chains[1].call(made.feed, "latestAnswer()(int256)")
    assert answer == int(price * Decimal("1.01") * 10**made.feed_decimals)
    with pytest.raises(WorldError, match="no feed and no fund prices MKR"):
        await controls.move_price(lived, "MKR", "0.5")


async def test_mining_takes_blocks_and_time_but_leaves_the_feeds(lived: World) -> None:
    heads = {chain_id: (await chain.head(), await chain.now()) for chain_id, chain in lived.chains.items()}
    answers = await shown(lived, 1, "ETH / USD")
    await controls.mine(lived, 5, 3_600)
    for chain_id, chain in lived.chains.items():
        assert (await chain.head(), await chain.now()) == (heads[chain_id][0] + 5, heads[chain_id][1] + 3_600)
    await controls.mine(lived)
    for chain_id, chain in lived.chains.items():
        assert (await chain.head(), await chain.now()) == (heads[chain_id][0] + 6, heads[chain_id][1] + 3_600 + chain.spacing)
    assert await shown(lived, 1, "ETH / USD") == answers


async def test_a_broken_feed_blinds_whoever_holds_the_asset_until_it_is_mended(lived: World) -> None:
    market, holder, other = lending.aave(lived, 1), lived.owner("aave-bad-debt").address, lived.owner("aave-safe").address
    before = await lending.account(lived, market, holder)
    broken = await controls.break_feed(lived, 1, "LINK / USD")
    with pytest.raises(LocalChainError):
        await lending.account(lived, market, holder)
    assert (await lending.account(lived, market, other)).health_factor > 10**18
    await broken.mend(lived)
    assert await lending.account(lived, market, holder) == before


async def test_a_stopped_sequencer_is_seen_by_the_sentinel(lived: World) -> None:
    sentinel = lending.aave(lived, 42161).sentinel
    allowed = "isBorrowAllowed()(bool)"
    assert await lived.chains[42161].call(sentinel, allowed) == (True,)
    await controls.stop_sequencer(lived, 42161)
    assert await lived.chains[42161].call(sentinel, allowed) == (False,)
    await controls.stop_sequencer(lived, 42161, False)
    assert await lived.chains[42161].call(sentinel, allowed) == (False,), "the grace period"
    await controls.mine(lived, 2, 3_700)
    assert await lived.chains[42161].call(sentinel, allowed) == (True,)
    with pytest.raises(WorldError, match="no sequencer"):
        await controls.stop_sequencer(lived, 1)


async def test_what_happened_in_reorganised_blocks_did_not_happen() -> None:
    async with local_network(populated=False) as world:
        chain = world.chains[8453]
        before = await shown(world, 8453, "ETH / USD")
        untouched = await world.chains[1].rpc("eth_getBlockByNumber", "latest", False)
        parent = await chain.rpc("eth_getBlockByNumber", hex(await chain.head() - 3), False)
        number = await chain.head() + 1
        await controls.move_price(world, "ETH", "0.5")
        assert await shown(world, 8453, "ETH / USD") == int(before * Decimal("0.5"))
        old, new = await controls.reorganise(world, 8453, 3)
        assert old != new
        assert await chain.head() == number
        assert await shown(world, 8453, "ETH / USD") == before
        same = await chain.rpc("eth_getBlockByNumber", hex(number - 4), False)
        assert isinstance(parent, dict)
        assert isinstance(same, dict)
        assert parent["hash"] == same["hash"], "what is deeper stands"
        head = await world.chains[1].rpc("eth_getBlockByNumber", "latest", False)
        assert isinstance(untouched, dict)
        assert isinstance(head, dict)
        assert int(head["number"], 16) == int(untouched["number"], 16) + 1, "the other chains only got the price"
