"""Lido on the local chains: to the wei of stETH's own rounding, through rewards, a slashing, and the withdrawal queue."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet.deploy import lido
from aggregator.localnet.world import World
from tests.adapters.local_reader import Reading, leaves, local_reader

pytestmark = pytest.mark.localnet

ETHER = 10**18


async def pooled(world: World, shares: int) -> int:
    return cast(int, (await world.chains[1].call(lido.STAKED_ETHER, "getPooledEthByShares(uint256)(uint256)", shares))[0])


async def assert_equals_lido(world: World, reading: Reading, owners: list[str]) -> None:
    for owner in owners:
        staked, wrapped = await world.balance(1, "stETH", owner), await world.balance(1, "wstETH", owner)
        found = {p.market: p.legs[0] for p in reading.positions if p.owner == owner.lower() and "token_id" not in p.identifiers}
        assert {market: leg.amount for market, leg in found.items()} == {
            address.lower(): amount for address, amount in ((lido.STAKED_ETHER, staked), (lido.WRAPPED_STAKED_ETHER, wrapped)) if amount
        }
        if wrapped:
            (inner,) = found[lido.WRAPPED_STAKED_ETHER.lower()].look_through
            assert (inner.symbol, inner.amount) == ("stETH", await pooled(world, wrapped))
            assert leaves((inner,)) == {"ETH": inner.amount}
        if staked:
            assert leaves(found[lido.STAKED_ETHER.lower()].look_through) == {"ETH": staked}


async def test_everybody_equals_lido_through_rewards_and_a_slashing(world: World) -> None:
    owners = [*(owner.address for owner in world.owners), lido.FIRST_STAKER]
    odd = "0x000000000000000000000000000000000000D001"
    await lido.give_steth(world, odd, 3)
    await lido.give_wsteth(world, odd, 123_456_789)
    owners.append(odd)
    async with local_reader(world) as reader:
        for change in (None, Decimal("0.00031"), Decimal("-0.02")):
            if change is not None:
                await lido.report(world, change)
            reading = await reader.read(["lido"], 1, owners)
            assert reading.gaps == []
            await assert_equals_lido(world, reading, owners)


async def test_the_withdrawal_queue_holds_ether_that_waits_or_is_ready(world: World) -> None:
    owner = "0x000000000000000000000000000000000000D002"
    await lido.give_steth(world, owner, 100 * ETHER)
    requests = await lido.request_withdrawals(world, owner, [10 * ETHER, 20 * ETHER, 30 * ETHER])
    async with local_reader(world) as reader:
        waiting = await reader.read(["lido"], 1, [owner])
        in_queue = [p for p in waiting.positions if "token_id" in p.identifiers]
        assert [p.identifiers["token_id"] for p in in_queue] == [str(request) for request in requests]
        # the shares that went in were rounded down, and until rewards come they are worth a little less than what was asked for
        for position, asked in zip(in_queue, (10 * ETHER, 20 * ETHER, 30 * ETHER), strict=True):
            assert asked - 3 <= position.legs[0].amount <= asked
        assert {p.legs[0].redeemable for p in in_queue} == {0}
        # together with what stayed, nothing is lost but stETH's own rounding
        total = sum(leg.amount for p in waiting.positions for leg in p.legs)
        assert 100 * ETHER - 10 <= total <= 100 * ETHER
        await lido.finalize_withdrawals(world, requests[0])
        ready = await reader.read(["lido"], 1, [owner])
        first = next(p for p in ready.positions if p.identifiers.get("token_id") == str(requests[0]))
        assert (first.identifiers["status"], first.legs[0].redeemable) == ("finalized", first.legs[0].amount)
        assert abs(first.legs[0].amount - 10 * ETHER) <= 2
        await lido.claim_withdrawal(world, owner, requests[0])
        claimed = await reader.read(["lido"], 1, [owner])
    assert str(requests[0]) not in {p.identifiers.get("token_id") for p in claimed.positions}
    assert (waiting.rounds, ready.rounds, claimed.rounds) == (2, 2, 2)


async def test_a_slashing_lowers_what_waits_in_the_queue(world: World) -> None:
    owner = "0x000000000000000000000000000000000000D003"
    await lido.give_steth(world, owner, 10 * ETHER)
    (request,) = await lido.request_withdrawals(world, owner, [9 * ETHER])
    await lido.slash(world, Decimal("0.05"))
    async with local_reader(world) as reader:
        reading = await reader.read(["lido"], 1, [owner])
    (position,) = [p for p in reading.positions if p.identifiers.get("token_id") == str(request)]
    assert abs(position.legs[0].amount - 9 * ETHER * 95 // 100) <= 10**6


@pytest.mark.parametrize("chain_id", [42161, 8453])
async def test_bridged_wsteth_is_worth_what_its_feed_says(world: World, chain_id: int) -> None:
    owner = "0x000000000000000000000000000000000000D004"
    await world.mint(chain_id, "wstETH", owner, 7 * ETHER + 1)
    feed = world.feed(chain_id, "wstETH / stETH Exchange Rate")
    async with local_reader(world) as reader:
        reading = await reader.read(["lido"], chain_id, [owner])
    answer = cast(int, (await world.chains[chain_id].call(feed.proxies[0], "latestRoundData()(uint80,int256,uint256,uint256,uint80)"))[1])
    ((leg,),) = (p.legs for p in reading.positions)
    assert leaves(leg.look_through) == {"ETH": (7 * ETHER + 1) * answer // 10**feed.decimals}
    assert reading.gaps == []
