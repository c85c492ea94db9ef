"""A little life while something runs on the chains: time passes as fast as ours, prices swing, others trade and borrow.

``life`` lets days pass at once; this goes in small steps for as long as somebody looks. A step is one block on every
chain, at the time that the clock shows. Prices are pulled back to where they stood at the beginning and never leave a
narrow band around it, so that nobody is liquidated by hours of it; feeds speak when their price moved or when they are
due, and the pools are brought back to them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import cast

from aggregator.localnet import history, life, trading
from aggregator.localnet.deploy import lending, morpho, rwa
from aggregator.localnet.deploy.feed_listings import LISTINGS
from aggregator.localnet.deploy.shared import raw
from aggregator.localnet.history import HOUR
from aggregator.localnet.life import DAY, HOUSE
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.together import together
from aggregator.localnet.world import World

log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
BAND = 0.004
"""how far a price goes from where it stood, as a share of it"""
_PULL = 0.1  # of the way back that a price goes in one step
_SWING = 0.0008  # standard deviation of a step of ETH; other prices in proportion to their volatility
_SPEAKS_AT = Decimal("0.001")  # the change at which a feed speaks before it is due
_BUSY, _TYPICAL = 0.2, 0.0001  # of the pools in one step, and how much of their liquidity is traded
_LENT = 20_000  # USDC that the house supplies; half of it is borrowed
_PAID = 20  # USDC that somebody is paid at most
_ROUND = "latestRoundData()(uint80,int256,uint256,uint256,uint80)"
_BALANCE = "balanceOf(address)(uint256)"
_VOLATILE = {name: model for name, model in history.MODELS.items() if isinstance(model, history.Volatile)}


class Activity:
    """What happens follows from the world's seed and the number of steps; when it happens, from the clock."""

    def __init__(self, world: World, clock: Callable[[], float], every_seconds: float = EVERY_SECONDS) -> None:
        """``clock``: the chains' time now, seconds since the epoch; it goes as fast as ours."""
        self._world, self._clock, self._every_seconds = world, clock, every_seconds
        self.steps = 0
        self._away = dict.fromkeys(_VOLATILE, 0.0)
        """how far each price is from where it stood, in logarithms"""
        self._payees: dict[int, list[str]] = {}
        self._lived = int(clock())

    async def run(self) -> None:
        """Until cancelled; a step that fails is logged, and the next comes in its time."""
        while True:
            await asyncio.sleep(self._every_seconds)
            try:
                await self.step()
            except Exception:  # whatever it is, what runs on the chains goes on
                log.exception("a step of the local market failed")

    async def step(self) -> None:
        """One block on every chain, and once a day the day's income and the funds' prices."""
        world, source = self._world, Random(f"{self._world.seed}/activity/{self.steps}")
        self.steps += 1
        redeemable = await life.redeemable_rates(world)
        life.reprice(world, self._swing(source), redeemable)
        world.prices["USDY"] = Decimal(await rwa.issuer_price(world, "USDY")).scaleb(-18)
        paid = sorted(world.chains)[self.steps % len(world.chains)]
        await together(*(self._block(chain_id, redeemable, Random(source.random()), pays=chain_id == paid) for chain_id in world.chains))
        now = int(self._clock())
        for closing in range(_closing_after(self._lived), now + 1, DAY):
            await life.publish_funds(world, closing)
            await life.pay_out(world)
        self._lived = now

    def _swing(self, source: Random) -> dict[str, float]:
        """By what each price moves now."""
        common = source.gauss(0, 1)
        ratios: dict[str, float] = {}
        for name, model in _VOLATILE.items():
            before = self._away[name]
            drawn = model.beta * common + math.sqrt(1 - model.beta**2) * source.gauss(0, 1)
            moved = before * (1 - _PULL) + _SWING * model.volatility / _VOLATILE["ETH"].volatility * drawn
            self._away[name] = after = max(-BAND, min(BAND, moved))
            ratios[name] = math.exp(after - before)
        return ratios

    async def _block(self, chain_id: int, redeemable: Mapping[str, Decimal], source: Random, *, pays: bool) -> None:
        world, chain = self._world, self._world.chains[chain_id]
        time = max(int(self._clock()), await chain.now() + 1)
        due = await self._due(chain_id, time, redeemable)
        where = lending.aave(world, chain_id)
        (owed,) = await chain.call(where.reserves["USDC"].variable_debt_token, _BALANCE, HOUSE)
        payee = source.choice(await self._payees_on(chain_id)) if pays else None
        await chain.rpc("evm_setNextBlockTimestamp", hex(time))
        async with chain.block():
            for aggregator, answer in due:
                await chain.send(DEPLOYER, aggregator, "transmit(int192)", answer)
            await trading.queue_arbitrage(world, chain_id, world.prices)
            await trading.queue_business(world, chain_id, source, _BUSY, _TYPICAL)
            await _lend(world, where, cast(int, owed))
            await morpho.accrue_interest(
                world, source.choice([one for one in morpho.deployment(world, chain_id).markets if one.collateral])
            )
            if payee is not None:
                await world.mint(chain_id, "USDC", payee, source.randrange(1, raw(_PAID, world.token(chain_id, "USDC").decimals)))

    async def _due(self, chain_id: int, time: int, redeemable: Mapping[str, Decimal]) -> list[tuple[str, int]]:
        """The feeds that speak now, by aggregator, and their answers: those whose price moved, and those that would soon be overdue."""
        feeds = [(self._world.feed(chain_id, listing.description), listing) for listing in LISTINGS[chain_id]]
        shown = await self._world.chains[chain_id].calls([(feed.aggregator, _ROUND, ()) for feed, _ in feeds])
        soon = max(60.0, 4 * self._every_seconds)
        spoken: list[tuple[str, int]] = []
        for (feed, listing), answered in zip(feeds, shown, strict=True):
            old, updated = cast(int, answered[1]), cast(int, answered[3])
            answer = raw(life.quote(self._world, listing, redeemable), feed.decimals)
            if time - updated >= feed.heartbeat - soon or abs(Decimal(answer) / old - 1) >= _SPEAKS_AT:
                spoken.append((feed.aggregator, answer))
        return spoken

    async def _payees_on(self, chain_id: int) -> list[str]:
        """Owners who had dollars at the beginning: to be paid some more is nothing new for them."""
        if chain_id not in self._payees:
            owners, token = self._world.owners, self._world.token(chain_id, "USDC").address
            held = await self._world.chains[chain_id].calls([(token, _BALANCE, (owner.address,)) for owner in owners])
            self._payees[chain_id] = [owner.address for owner, (amount,) in zip(owners, held, strict=True) if cast(int, amount) > 0]
        return self._payees[chain_id]


def _closing_after(time: int) -> int:
    """When the next day's business closes."""
    closing = time - time % DAY + rwa.PUBLISHING_HOUR * HOUR
    return closing if closing > time else closing + DAY


async def _lend(world: World, where: lending.LendingMarket, owed: int) -> None:
    """The house supplies and borrows a little, or takes it back where it already owes that: a block that was replaced confuses nobody."""
    amount = raw(_LENT, world.token(where.chain_id, "USDC").decimals)
    await world.mint(where.chain_id, "USDC", HOUSE, amount)
    if owed < amount // 4:
        await lending.supply(world, where, HOUSE, "USDC", amount)
        await lending.borrow(world, where, HOUSE, "USDC", amount // 2)
    else:
        await lending.repay(world, where, HOUSE, "USDC", amount // 2)
        await lending.withdraw(world, where, HOUSE, "USDC", amount - amount // 1_000)
