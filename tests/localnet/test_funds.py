"""Tokenised funds on the local chain: permissions, NAV feeds with an age, the issuers' own oracles."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet.deploy import rwa
from aggregator.localnet.deploy.shared import raw
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World

pytestmark = pytest.mark.localnet

OWNER = "0x00000000000000000000000000000000000c0ffe"
OTHER = "0x0000000000000000000000000000000000000B0b"
ROUND = "latestRoundData()(uint80,int256,uint256,uint256,uint80)"
DECIMALS = {"BUIDL": 6, "USTB": 6, "TBILL": 6, "USYC": 6, "OUSG": 18, "USDY": 18}


@pytest.mark.parametrize("symbol", DECIMALS)
async def test_only_admitted_accounts_receive(world: World, symbol: str) -> None:
    chain, made = world.chains[1], rwa.fund(world, symbol)
    assert await chain.call(made.address, "decimals()(uint8)") == (DECIMALS[symbol],)
    amount = raw(100, made.decimals)
    await rwa.issue(world, symbol, OWNER, amount)
    transfer = "transfer(address,uint256)"
    if symbol == "USDY":
        await chain.send(OWNER, made.address, transfer, OTHER, amount // 2)
        await rwa.set_listed(world, symbol, [OWNER], True)
    else:
        with pytest.raises(LocalChainError, match="AccountNotPermitted"):
            await chain.send(OWNER, made.address, transfer, OTHER, amount // 2)
        await rwa.set_listed(world, symbol, [OTHER], True)
        await chain.send(OWNER, made.address, transfer, OTHER, amount // 2)
        await rwa.set_listed(world, symbol, [OWNER], False)
    assert await world.balance(1, symbol, OWNER) == await world.balance(1, symbol, OTHER) == amount // 2
    with pytest.raises(LocalChainError, match="AccountNotPermitted"):
        await chain.send(OWNER, made.address, transfer, OTHER, 1)
    await rwa.set_paused(world, symbol, True)
    with pytest.raises(LocalChainError, match="TransfersPaused"):
        await chain.send(OTHER, made.address, transfer, OTHER, 1)


@pytest.mark.parametrize(
    ("symbol", "feed", "hours"),
    [
        ("BUIDL", "0x6029F53A5Df21E5e70C460F5E4c9Aad20427B090", (1, 72)),
        ("USTB", "0x289B5036cd942e619E1Ee48670F98d214E745AAC", (1, 72)),
        ("TBILL", "0xAbE7a3643615Ed32d3431e11E0Ee5A486Cb27d48", (48, 144)),
        ("USYC", "0xE8E65Fb9116875012F5990Ecaab290B3531DbeB9", (1, 72)),
    ],
)
async def test_nav_feeds_have_history_and_an_age(world: World, symbol: str, feed: str, hours: tuple[int, int]) -> None:
    chain = world.chains[1]
    assert rwa.fund(world, symbol).feed == feed
    (decimals,) = await chain.call(feed, "decimals()(uint8)")
    round_id, answer, _, updated, _ = cast("tuple[int, int, int, int, int]", await chain.call(feed, ROUND))
    assert Decimal(answer).scaleb(-cast(int, decimals)) == world.prices[symbol]
    assert hours[0] <= (await chain.now() - updated) / 3_600 <= hours[1]
    assert datetime.fromtimestamp(updated, UTC).weekday() < 5
    signature = "getRoundData(uint80)(uint80,int256,uint256,uint256,uint80)"
    past = await chain.call(feed, signature, round_id - rwa.PAST_BUSINESS_DAYS + 1)
    assert cast(int, past[3]) < updated - 100 * 86_400
    assert 0 < cast(int, past[1]) <= answer
    await rwa.publish_price(world, symbol, world.prices[symbol] + Decimal("0.0001"))
    assert (await chain.call(feed, ROUND))[1] == answer + 10 ** (cast(int, decimals) - 4)


async def test_daily_accrual_follows_the_announced_rate(world: World) -> None:
    chain = world.chains[1]
    (first,) = await chain.call(rwa.ACCRUAL_ORACLE, "getPrice()(uint256)")
    assert first == raw("1.1214", 18)
    start = (await chain.call(rwa.ACCRUAL_ORACLE, "ranges(uint256)(uint256,uint256,uint256,uint256)", 0))[0]
    for days in (1, 30, 364):
        await chain.set_time(cast(int, start) + days * 86_400 + 3)
        price, time = await chain.call(rwa.ACCRUAL_ORACLE, "getPriceData()(uint256,uint256)")
        assert time == await chain.now()
        assert cast(int, price) % 10**10 == 0
        expected = Decimal("1.1214") * Decimal("1.042") ** (Decimal(days) / 365)
        assert abs(Decimal(cast(int, price)).scaleb(-18) - expected) < Decimal("2e-8")
    assert await rwa.issuer_price(world, "USDY") == price
    await chain.set_time(cast(int, start) + 500 * 86_400)
    assert await chain.call(rwa.ACCRUAL_ORACLE, "getPrice()(uint256)") == (price,)
    with pytest.raises(ValueError, match="accrues"):
        await rwa.publish_price(world, "USDY", Decimal(2))


async def test_hand_set_price_keeps_the_time_it_was_set(world: World) -> None:
    chain = world.chains[1]
    await rwa.publish_price(world, "OUSG", Decimal("114.5"))
    at = await chain.now()
    await chain.set_time(at + 3 * 86_400)
    assert await chain.call(rwa.MANUAL_ORACLE, "getPriceData()(uint256,uint256)") == (raw("114.5", 18), at)
    assert await rwa.issuer_price(world, "OUSG") == raw("114.5", 18)
    with pytest.raises(LocalChainError, match="price not set"):
        await chain.call(rwa.ASSET_ORACLE, "getAssetPrice(address)(uint256)", OTHER)


def test_publishing_times_skip_weekends() -> None:
    monday = int(datetime(2026, 1, 5, 9, tzinfo=UTC).timestamp())
    assert [datetime.fromtimestamp(one, UTC).day for one in rwa.publishing_times(monday, 3)] == [31, 1, 2]
