"""Lido's and the other staking tokens on the local chain: rounding, rebases, the withdrawal queue, rates."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.localnet import market
from aggregator.localnet.deploy import lido, rates
from aggregator.localnet.deploy.shared import raw
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World

pytestmark = pytest.mark.localnet

OWNER = "0x00000000000000000000000000000000000c0ffe"
OTHER = "0x0000000000000000000000000000000000000B0b"
STATUS = "getWithdrawalStatus(uint256[])((uint256,uint256,address,uint256,bool,bool)[])"


async def _number(world: World, address: str, signature: str, *arguments: object) -> int:
    (answer,) = await world.chains[1].call(address, signature, *arguments)
    return cast(int, answer)


async def test_rates_start_at_the_table(world: World) -> None:
    for symbol in ("rETH", "cbETH", "weETH"):
        assert abs(Decimal(await rates.rate(world, symbol)).scaleb(-18) / market.RATES[symbol] - 1) < Decimal("1e-5")
    assert abs(Decimal(await lido.rate(world)).scaleb(-18) / market.RATES["wstETH"] - 1) < Decimal("1e-9")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(st.integers(1, 10**24))
async def test_shares_and_ether_round_down(world: World, amount: int) -> None:
    shares_in_all = await _number(world, lido.STAKED_ETHER, "getTotalShares()(uint256)")
    pooled = await _number(world, lido.STAKED_ETHER, "getTotalPooledEther()(uint256)")
    shares = await _number(world, lido.STAKED_ETHER, "getSharesByPooledEth(uint256)(uint256)", amount)
    ether = await _number(world, lido.STAKED_ETHER, "getPooledEthByShares(uint256)(uint256)", amount)
    assert shares == amount * shares_in_all // pooled
    assert ether == amount * pooled // shares_in_all
    assert await _number(world, lido.WRAPPED_STAKED_ETHER, "getWstETHByStETH(uint256)(uint256)", amount) == shares
    assert await _number(world, lido.WRAPPED_STAKED_ETHER, "getStETHByWstETH(uint256)(uint256)", amount) == ether


async def test_balance_is_up_to_two_wei_below_what_was_sent(world: World) -> None:
    shares = await lido.give_steth(world, OWNER, raw(10, 18))
    held = await world.balance(1, "stETH", OWNER)
    assert 0 <= raw(10, 18) - held <= 2
    assert await lido.shares_of(world, OWNER) == shares
    await world.chains[1].send(OWNER, lido.STAKED_ETHER, "transfer(address,uint256)", OTHER, raw(3, 18))
    assert 0 <= raw(3, 18) - await world.balance(1, "stETH", OTHER) <= 2
    assert await lido.shares_of(world, OWNER) + await lido.shares_of(world, OTHER) == shares


async def test_rebase_reaches_everybody_and_pays_the_operator(world: World) -> None:
    await lido.give_steth(world, OWNER, raw(100, 18))
    before, wrapped = await world.balance(1, "stETH", OWNER), await lido.rate(world)
    await lido.report(world, Decimal("0.001"))
    gain = Decimal(await world.balance(1, "stETH", OWNER)) / before - 1
    assert abs(gain - Decimal("0.0009")) < Decimal("1e-6")
    assert abs(Decimal(await lido.rate(world)) / wrapped - 1 - gain) < Decimal("1e-12")
    await lido.slash(world, Decimal("0.05"))
    assert abs(Decimal(await lido.rate(world)) / wrapped - Decimal("0.95") * (1 + gain)) < Decimal("1e-9")


async def test_wrapped_tokens_are_backed_share_by_share(world: World) -> None:
    await lido.give_wsteth(world, OWNER, raw("7.5", 18))
    assert await world.balance(1, "wstETH", OWNER) == raw("7.5", 18)
    rate_before = await lido.rate(world)
    supply = await _number(world, lido.WRAPPED_STAKED_ETHER, "totalSupply()(uint256)")
    assert await lido.shares_of(world, lido.WRAPPED_STAKED_ETHER) == supply
    chain = world.chains[1]
    await chain.send(OWNER, lido.WRAPPED_STAKED_ETHER, "unwrap(uint256)", raw(2, 18))
    received = await world.balance(1, "stETH", OWNER)
    assert 0 <= 2 * rate_before - received <= 2
    await chain.send(OWNER, lido.STAKED_ETHER, "approve(address,uint256)", lido.WRAPPED_STAKED_ETHER, received)
    await chain.send(OWNER, lido.WRAPPED_STAKED_ETHER, "wrap(uint256)", received)
    assert 0 <= raw("7.5", 18) - await world.balance(1, "wstETH", OWNER) <= 2
    await chain.send(OWNER, lido.WRAPPED_STAKED_ETHER, b"", value=raw(1, 18))
    assert await world.balance(1, "wstETH", OWNER) > raw("8.3", 18)


async def test_withdrawal_requests_are_nfts_with_a_status(world: World) -> None:
    await lido.give_steth(world, OWNER, raw(50, 18))
    first, second = await lido.request_withdrawals(world, OWNER, [raw(10, 18), raw(20, 18)])
    chain, queue = world.chains[1], lido.WITHDRAWAL_QUEUE
    assert await chain.call(queue, "getWithdrawalRequests(address)(uint256[])", OWNER) == ((first, second),)
    (statuses,) = await chain.call(queue, STATUS, [first, second])
    one, other = cast("tuple[tuple[object, ...], ...]", statuses)
    assert (one[0], one[2], one[4], one[5]) == (raw(10, 18), OWNER, False, False)
    assert other[0] == raw(20, 18)
    with pytest.raises(LocalChainError, match="RequestNotFoundOrNotFinalized"):
        await lido.claim_withdrawal(world, OWNER, first)
    await lido.finalize_withdrawals(world, first)
    ether = await chain.balance(OWNER)
    await lido.claim_withdrawal(world, OWNER, first)
    assert 0 <= raw(10, 18) - (await chain.balance(OWNER) - ether) <= 2
    assert await chain.call(queue, "getWithdrawalRequests(address)(uint256[])", OWNER) == ((second,),)


async def test_slashing_before_finalisation_lowers_the_claim(world: World) -> None:
    await lido.give_steth(world, OWNER, raw(40, 18))
    (request,) = await lido.request_withdrawals(world, OWNER, [raw(40, 18) - 10])
    await lido.slash(world, Decimal("0.1"))
    await lido.finalize_withdrawals(world, request)
    (claimable,) = await world.chains[1].call(lido.WITHDRAWAL_QUEUE, "getClaimableEther(uint256[],uint256[])(uint256[])", [request], [])
    assert abs(Decimal(cast("tuple[int]", claimable)[0]) / raw(36, 18) - 1) < Decimal("1e-6")


@pytest.mark.parametrize("symbol", ["rETH", "cbETH", "weETH"])
async def test_rates_grow_with_time_and_fall_when_set(world: World, symbol: str) -> None:
    chain = world.chains[1]
    before = await rates.rate(world, symbol)
    await chain.set_time(await chain.now() + 365 * 86_400)
    growth = Decimal(await rates.rate(world, symbol)) / before - 1
    assert Decimal("0.024") < growth < Decimal("0.03")
    await rates.set_rate(world, symbol, Decimal("1.05"), Decimal(0))
    assert await rates.rate(world, symbol) == raw("1.05", 18)
    await world.mint(1, symbol, OWNER, raw(3, 18))
    assert await world.balance(1, symbol, OWNER) == raw(3, 18)


async def test_protocols_own_getters(world: World) -> None:
    rocket, ether_fi = world.token(1, "rETH").address, world.token(1, "weETH").address
    assert await _number(world, rocket, "getEthValue(uint256)(uint256)", 10**18) == await rates.rate(world, "rETH")
    assert await _number(world, ether_fi, "getEETHByWeETH(uint256)(uint256)", 10**18) == await rates.rate(world, "weETH")
    assert world.token(1, "cbETH").address == "0xBe9895146f7AF43049ca1c1AE358B0541Ea49704"


async def test_bridged_rate_feeds_follow_the_table(world: World) -> None:
    for chain_id in (42161, 8453):
        feed = world.feed(chain_id, "wstETH / stETH Exchange Rate")
        _, answer, *_ = await world.chains[chain_id].call(feed.proxies[0], "latestRoundData()(uint80,int256,uint256,uint256,uint80)")
        assert answer == raw(market.RATES["wstETH"], 18)
