"""Market life: time passes on all chains, prices move, and others trade, borrow, stake and are paid.

A step is half a day, at ten in the morning and in the evening (UTC). At each, on every chain, the feeds speak when they
are due or when their price moved, others trade in the pools and the pools are brought back to the market, the house
borrows and lends a little so that interest is written down; on Ethereum validators' and vaults' income is paid out,
and funds publish their net asset values when business days close.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import cast

from aggregator.localnet import history, market, outlook, trading
from aggregator.localnet.deploy import lending, lido, morpho, rates, rwa, vaults
from aggregator.localnet.deploy.feed_listings import LISTINGS, Listing
from aggregator.localnet.deploy.feeds import CHAIN_NOISE
from aggregator.localnet.deploy.shared import raw
from aggregator.localnet.history import HOUR
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.outlook import STEPS_A_DAY
from aggregator.localnet.together import together
from aggregator.localnet.world import World

HOUSE = "0x0000000000000000000000000000000000001e4d"
"""Lends and borrows a little at every step, so that the markets write their interest down."""
DAY = 24 * HOUR
STEP = DAY // STEPS_A_DAY
_FIRST_HOUR = 10
_HOURS_A_STEP = STEP // HOUR
_SPEAKS_AT = MappingProxyType({True: Decimal("0.005"), False: Decimal("0.0025")})
"""The change at which a feed speaks before it is due: of what moves, and of what hardly does."""
_STAKING_YIELD = Decimal("0.028") / 365
_STAKED_USDE_YIELD = Decimal("0.061") / 365
_LENT = 300_000  # USD that the house lends and borrows more in one step
_ROUND = "latestRoundData()(uint80,int256,uint256,uint256,uint80)"
_RATE = " Exchange Rate"


@dataclass(frozen=True, slots=True)
class Course:
    """Hourly levels by model, relative to the first hour's, and how many steps of them are already lived."""

    levels: Mapping[str, list[float]]

    def ratios(self, step: int) -> dict[str, float]:
        """By what each model moves in the step (counted from 0)."""
        start, end = step * _HOURS_A_STEP, (step + 1) * _HOURS_A_STEP
        return {model: levels[end] / levels[start] for model, levels in self.levels.items()}


def course(seed: str, steps: int, ends: Mapping[str, float] | None = None) -> Course:
    """A course of ``steps``; ``ends``: where some models are to end."""
    models = sorted({listing.model for listings in LISTINGS.values() for listing in listings} - history.GROWING)
    return Course(outlook.paths(models, steps * _HOURS_A_STEP, seed, ends or {}))


def month(seed: int) -> Course:
    """The course of the lived month, the same one before and after its middle."""
    return course(f"{seed}/month", outlook.MONTH_STEPS, outlook.factors(seed))


async def live(world: World, days: float = 10) -> None:
    """Let ``days`` pass, in steps of half a day; what happens follows from the seed and the time it is.

    The chains' clocks are brought together first. Nobody's position is touched but by the market.
    """
    steps = max(1, round(days * STEPS_A_DAY))
    now = max([await chain.now() for chain in world.chains.values()])
    await follow(world, course(f"{world.seed}/{now}", steps), 0, steps)


async def follow(world: World, given: Course, first: int, last: int) -> None:
    """Live the steps of a course from ``first`` up to, not including, ``last``."""
    times = _step_times(max([await chain.now() for chain in world.chains.values()]), last - first)
    await together(*(trading.fund_trader(world, chain_id) for chain_id in world.chains))
    for step, time in zip(range(first, last), times, strict=True):
        source = Random(f"{world.seed}/{time}/step")
        # Read before the chains go on by themselves: the rollups' feeds tell Ethereum's rates.
        redeemable = await redeemable_rates(world)
        reprice(world, given.ratios(step), redeemable)
        steps = [_Step(world, chain_id, time, step, redeemable, Random(source.random())) for chain_id in world.chains]
        await together(*(one.live() for one in steps))
        # Accrues by announcement, with the days.
        world.prices["USDY"] = Decimal(await rwa.issuer_price(world, "USDY")).scaleb(-18)
        world.progress("life", datetime.fromtimestamp(time, UTC).strftime("%d %B, %H:%M"))


def _step_times(now: int, count: int) -> list[int]:
    first = now - now % STEP + _FIRST_HOUR * HOUR
    while first <= now + HOUR:
        first += STEP
    return [first + number * STEP for number in range(count)]


async def redeemable_rates(world: World) -> dict[str, Decimal]:
    """What one share or staking token is redeemable for, as Ethereum's contracts have it now."""
    found = {symbol: Decimal(await rates.rate(world, symbol)).scaleb(-18) for symbol in ("rETH", "cbETH", "weETH")}
    found["wstETH"] = Decimal(await lido.rate(world)).scaleb(-18)
    for symbol in ("sDAI", "sUSDS", "sUSDe", "syrupUSDC"):
        decimals = world.token(1, symbol).decimals
        assets = await vaults.convert_to_assets(world, 1, symbol, 10**decimals)
        found[symbol] = Decimal(assets).scaleb(-decimals)
    return found


def reprice(world: World, ratios: Mapping[str, float], redeemable: Mapping[str, Decimal]) -> None:
    """Move the price table: models by their ratios, what follows them with them, shares by their rates."""
    leaders = {symbol: leader for leader, followers in market.FOLLOWERS.items() for symbol in followers}
    for symbol in market.PRICES:
        model = symbol if symbol in ratios else leaders.get(symbol, "")
        if model in ratios and symbol not in redeemable:
            world.prices[symbol] = _rounded(float(world.prices[symbol]) * ratios[model])
    for symbol, rate in redeemable.items():
        world.prices[symbol] = _rounded(float(rate * world.prices[market.RATE_UNDERLYING[symbol]]))


def _rounded(price: float) -> Decimal:
    return Decimal(f"{price:.12g}")


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of one chain."""

    world: World
    chain_id: int
    time: int
    number: int
    redeemable: Mapping[str, Decimal]
    source: Random

    async def live(self) -> None:
        world, chain_id = self.world, self.chain_id
        chain = world.chains[chain_id]
        due = await self._due()
        await chain.rpc("evm_setNextBlockTimestamp", hex(self.time + self.source.randrange(60)))
        async with chain.block():
            for aggregator, answer in due:
                await chain.send(DEPLOYER, aggregator, "transmit(int192)", answer)
            await trading.queue_business(world, chain_id, self.source)
            for lender in _markets(world, chain_id):
                await _lend(world, lender, self.number)
            markets = [one for one in morpho.deployment(world, chain_id).markets if one.collateral]
            await morpho.accrue_interest(world, self.source.choice(markets))
        await trading.arbitrage(world, chain_id, world.prices)
        if chain_id == 1:
            await publish_funds(world, self.time)
            if self.number % STEPS_A_DAY:
                await pay_out(world)

    async def _due(self) -> list[tuple[str, int]]:
        """The feeds that speak now, by aggregator, and their answers."""
        feeds = [(self.world.feed(self.chain_id, listing.description), listing) for listing in LISTINGS[self.chain_id]]
        shown = await self.world.chains[self.chain_id].calls([(feed.aggregator, _ROUND, ()) for feed, _ in feeds])
        spoken: list[tuple[str, int]] = []
        for (feed, listing), answered in zip(feeds, shown, strict=True):
            old, updated = cast(int, answered[1]), cast(int, answered[3])
            price = quote(self.world, listing, self.redeemable)
            if listing.model not in history.GROWING:
                price *= Decimal(repr(1 + CHAIN_NOISE * self.source.gauss(0, 1)))
            answer = raw(price, feed.decimals)
            moved = abs(Decimal(answer) / old - 1)
            if self.time - updated >= feed.heartbeat - HOUR or moved >= _SPEAKS_AT[feed.heartbeat <= HOUR]:
                spoken.append((feed.aggregator, answer))
        return spoken


def quote(world: World, listing: Listing, redeemable: Mapping[str, Decimal]) -> Decimal:
    """What a feed has to say at the world's prices; ``redeemable`` by share or staking token."""
    base, _, other = listing.description.removesuffix(_RATE).partition(" / ")
    if listing.description.endswith(_RATE):
        return redeemable[base]
    price = world.prices[listing.symbol or {"STETH": "stETH"}.get(base, base)]
    return price if other == "USD" else price / world.prices[other]


def _markets(world: World, chain_id: int) -> list[lending.LendingMarket]:
    found: list[lending.LendingMarket] = [lending.aave(world, chain_id)]
    return [*found, lending.spark(world)] if chain_id == 1 else found


async def _lend(world: World, lender: lending.LendingMarket, step: int) -> None:
    """The house supplies and borrows a little more of one reserve, and takes it back in the step after."""
    symbols = [symbol for symbol in ("USDC", "WETH", "USDT", "DAI", "WBTC") if symbol in lender.reserves]
    # USDT and WBTC of Spark bear no other debt, or nothing at all.
    symbols = symbols[:2] if isinstance(lender, lending.SparkMarket) else symbols
    symbol = symbols[step // 2 % len(symbols)]
    # The same number of tokens in both steps, whatever the price does: an approval must be used up (USDT).
    amount = raw(_LENT / market.PRICES[symbol], world.token(lender.chain_id, symbol).decimals)
    await world.mint(lender.chain_id, symbol, HOUSE, amount)
    if step % 2 == 0:
        await lending.supply(world, lender, HOUSE, symbol, amount)
        await lending.borrow(world, lender, HOUSE, symbol, amount // 2)
    else:
        await lending.repay(world, lender, HOUSE, symbol, amount // 2)
        await lending.withdraw(world, lender, HOUSE, symbol, amount // 4)


async def publish_funds(world: World, time: int) -> None:
    """The funds' prices at the close of a business day; those that lag keep the age they are meant to have."""
    moment = datetime.fromtimestamp(time, UTC)
    if moment.hour != rwa.PUBLISHING_HOUR or moment.weekday() >= 5:
        return
    closing = int(moment.timestamp())
    for fund in world.recorded(rwa.Fund).values():
        if fund.oracle == rwa.ACCRUAL_ORACLE:
            continue
        if outlook.MONTH_END - closing > rwa.publishing_lag(fund.symbol) * DAY or closing >= outlook.MONTH_END:
            await rwa.publish_price(world, fund.symbol, rwa.next_price(world, fund.symbol))


async def pay_out(world: World) -> None:
    """A day's income of the validators and of staked dollars."""
    await lido.report(world, _STAKING_YIELD)
    staked = await world.balance(1, "USDe", vaults.STAKED_USDE)
    await vaults.distribute_rewards(world, int(staked * _STAKED_USDE_YIELD))
