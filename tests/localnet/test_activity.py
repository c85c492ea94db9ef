"""A little life in small steps: blocks and prices move, nothing leaves its band, and faults end nothing."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet import controls, life, trading
from aggregator.localnet.activity import BAND, Activity
from aggregator.localnet.deploy import lending
from aggregator.localnet.life import DAY
from aggregator.localnet.world import World
from tests.localnet.pools import distance

pytestmark = pytest.mark.localnet
ROUND = "latestRoundData()(uint80,int256,uint256,uint256,uint80)"
STEPS = 12
MINUTE = 60


class Clock:
    """The chains' time, set by the test."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> float:
        return float(self.now)


async def started(world: World) -> Clock:
    return Clock(max([await chain.now() for chain in world.chains.values()]))


async def test_prices_swing_within_their_band_and_blocks_keep_time(lived: World) -> None:
    clock = await started(lived)
    prices, heads = dict(lived.prices), {chain_id: await chain.head() for chain_id, chain in lived.chains.items()}
    one = Activity(lived, clock)
    seen: set[Decimal] = set()
    for _ in range(STEPS):
        clock.now += 5 * MINUTE
        await one.step()
        seen.add(lived.prices["ETH"])
        for symbol, price in lived.prices.items():
            assert abs(price / prices[symbol] - 1) <= Decimal(str(BAND)) * Decimal("1.02"), symbol
    assert len(seen) == STEPS
    for chain_id, chain in lived.chains.items():
        assert await chain.head() == heads[chain_id] + STEPS
        assert await chain.now() == clock.now
    for feed in lived.feeds.values():
        _, answer, _, updated, _ = cast("tuple[int, ...]", await lived.chains[feed.chain_id].call(feed.proxies[0], ROUND))
        assert clock.now - updated < feed.heartbeat, feed
        if feed.symbol:
            assert abs(Decimal(answer).scaleb(-feed.decimals) / lived.prices[feed.symbol] - 1) < Decimal("0.003"), feed


async def test_pools_stay_near_the_feeds_and_somebody_is_paid(lived: World) -> None:
    clock, owners = await started(lived), lived.owners
    before = [[await lived.balance(chain_id, "USDC", owner.address) for owner in owners] for chain_id in lived.chains]
    one = Activity(lived, clock)
    for _ in range(STEPS):
        clock.now += 15
        await one.step()
    for chain_id in lived.chains:
        for venue in trading.venues(lived, chain_id):
            assert await distance(lived, chain_id, venue) <= Decimal(venue.fee) / 10**6 + Decimal("0.004"), venue
    after = [[await lived.balance(chain_id, "USDC", owner.address) for owner in owners] for chain_id in lived.chains]
    paid = [(old, new) for were, are in zip(before, after, strict=True) for old, new in zip(were, are, strict=True) if new != old]
    assert paid and all(0 < old < new for old, new in paid)


async def test_the_same_steps_again_give_the_same_prices(lived: World) -> None:
    clock, prices = await started(lived), dict(lived.prices)

    async def after_three_steps() -> dict[str, Decimal]:
        lived.prices = dict(prices)
        one = Activity(lived, clock)
        for _ in range(3):
            await one.step()
        return {symbol: lived.prices[symbol] for symbol in ("ETH", "BTC", "LINK", "EUR")}

    assert await after_three_steps() == await after_three_steps()


async def test_a_day_brings_its_income_and_replaced_blocks_confuse_nobody(lived: World) -> None:
    clock = await started(lived)
    one = Activity(lived, clock)
    market = lending.aave(lived, 1)
    debt = market.reserves["USDC"].variable_debt_token

    async def owed() -> int:
        (amount,) = await lived.chains[1].call(debt, "balanceOf(address)(uint256)", life.HOUSE)
        return cast(int, amount)

    debts = []
    for _ in range(4):
        await one.step()
        debts.append(await owed())
    assert max(debts) > 9_000 * 10**6 and min(debts) < 1_000 * 10**6, "borrowed and taken back"
    fund = lived.prices["USTB"]
    staked = lived.prices["sUSDe"] / lived.prices["USDe"]
    for _ in range(4):
        clock.now += DAY
        await one.step()
    await one.step()
    assert lived.prices["USTB"] > fund and lived.prices["sUSDe"] / lived.prices["USDe"] > staked
    await controls.reorganise(lived, 1, 3)
    head = await lived.chains[1].head()
    for _ in range(3):
        await one.step()
    assert await lived.chains[1].head() == head + 3


async def test_a_step_that_fails_is_logged_and_the_next_comes(lived: World, caplog: pytest.LogCaptureFixture) -> None:
    clock = await started(lived)
    one = Activity(lived, clock, every_seconds=0.01)
    head = await lived.chains[8453].head()
    feed = lived.feeds.pop((42161, "ETH / USD"))
    with caplog.at_level(logging.ERROR):
        running = asyncio.create_task(one.run())
        async with asyncio.timeout(30):
            while one.steps < 2:  # noqa: ASYNC110  what is waited for has no event
                await asyncio.sleep(0.01)
            lived.feeds[42161, "ETH / USD"] = feed
            while await lived.chains[8453].head() < head + 3:  # noqa: ASYNC110  it is another process
                await asyncio.sleep(0.01)
        assert not running.done()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert any("a step of the local market failed" in record.message for record in caplog.records)
