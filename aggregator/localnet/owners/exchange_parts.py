"""Liquidity of owners in Uniswap v2, v3 and v4."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

from aggregator.localnet import outlook
from aggregator.localnet.deploy import uniswap_math as maths
from aggregator.localnet.deploy import uniswap_v2, uniswap_v3, uniswap_v4
from aggregator.localnet.owners.profile import Part
from aggregator.localnet.world import World

_TICK = math.log(1.0001)
WHOLE = (-math.inf, math.inf)
Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairShare(Part):
    """``usd`` of a v2 pair."""

    chain_id: int = 1
    pair: tuple[str, str]
    usd: int

    async def open(self, world: World, owner: str) -> None:
        await uniswap_v2.add_liquidity_worth(world, self.chain_id, *self.pair, owner, self.usd)


def ticks(world: World, symbols: tuple[str, str], spacing: int, here: int, bounds: Range, at_end: bool) -> tuple[int, int]:
    """Usable ticks of a range given by its bounds as parts of the price (-0.1 and 0.1: ten per cent below and above).

    ``at_end``: of the price at the end of the month instead of today's.
    """
    if bounds == WHOLE:
        return maths.full_range(spacing)
    centre = here
    if at_end:
        fall = outlook.factor(world.seed, symbols[0]) / outlook.factor(world.seed, symbols[1])
        centre += round(math.log(fall) / _TICK)
    lower, upper = (maths.usable_tick(centre + round(math.log1p(bound) / _TICK), spacing) for bound in bounds)
    return lower, max(upper, lower + spacing)


Act = Literal["nothing", "poke", "halve", "empty", "burn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position(Part):
    """A v3 position NFT. ``bounds`` as in ``ticks``; ``act`` is what its owner does with it halfway:

    ``poke``: the fees so far are written down as owed, and more come after; ``halve``: half of the liquidity is taken
    out and not collected; ``empty``: all of it, not collected; ``burn``: all of it, collected, and the empty NFT kept.
    """

    chain_id: int = 1
    pool: tuple[str, str, int]
    bounds: Range
    usd: int
    at_end: bool = False
    act: Act = "nothing"

    async def open(self, world: World, owner: str) -> None:
        pool = uniswap_v3.deployment(world, self.chain_id).pool(*self.pool)
        here = (await uniswap_v3.slot0(world, pool)).tick
        symbols = (pool.symbol0, pool.symbol1)
        lower, upper = ticks(world, symbols, pool.tick_spacing, here, self.bounds, self.at_end)
        await uniswap_v3.mint_worth(world, pool, owner, lower, upper, self.usd)

    async def halfway(self, world: World, owner: str) -> None:
        if self.act == "nothing":
            return
        token_id = await last_token(world, self.chain_id, owner)
        if self.act == "poke":
            await _poke(world, self.chain_id, owner, token_id)
            return
        liquidity = await uniswap_v3.liquidity_of(world, self.chain_id, token_id)
        taken = liquidity // 2 if self.act == "halve" else liquidity
        await uniswap_v3.decrease_liquidity(world, self.chain_id, owner, token_id, taken)
        if self.act == "burn":
            await uniswap_v3.collect(world, self.chain_id, owner, token_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder(Part):
    """``steps`` v3 positions side by side, each ``width`` of the price wide, around where the price ends."""

    chain_id: int = 1
    pool: tuple[str, str, int]
    steps: int
    width: float
    usd: int

    async def open(self, world: World, owner: str) -> None:
        for step in range(self.steps):
            low = (step - self.steps / 2) * self.width
            position = Position(chain_id=self.chain_id, pool=self.pool, bounds=(low, low + self.width), usd=self.usd, at_end=True)
            await position.open(world, owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTick(Part):
    """A v3 position one of whose bounds is the pool's price at the end, to the last unit.

    ``edge``: which bound; ``coming``: from where the price came to it, which decides whether the pool, at the very
    same price, counts the bound's tick as reached.
    """

    chain_id: int = 1
    pool: tuple[str, str, int]
    edge: Literal["lower", "upper"]
    coming: Literal["up", "down"]
    usd: int

    async def open(self, world: World, owner: str) -> None:
        """Nothing before the price at the end is known."""

    async def settle(self, world: World, owner: str) -> None:
        pool = uniswap_v3.deployment(world, self.chain_id).pool(*self.pool)
        here = (await uniswap_v3.slot0(world, pool)).tick
        tick = maths.usable_tick(here, pool.tick_spacing)
        if tick == here or self.coming == "up":
            tick += pool.tick_spacing
        if self.coming == "down":
            # One step above first, so that the price comes down to the tick.
            await uniswap_v3.move_to_tick(world, pool, tick + 1)
        lower = tick if self.edge == "lower" else tick - 60 * pool.tick_spacing
        await uniswap_v3.mint_worth(world, pool, owner, lower, lower + 60 * pool.tick_spacing, self.usd)
        await uniswap_v3.move_to_tick(world, pool, tick)


@dataclass(frozen=True, slots=True, kw_only=True)
class SingletonPosition(Part):
    """A v4 position NFT; ``emptied``: all its liquidity is taken out again and the NFT kept."""

    chain_id: int = 1
    pool: tuple[str, str, int]
    bounds: Range
    usd: int
    at_end: bool = False
    emptied: bool = False

    async def open(self, world: World, owner: str) -> None:
        pool = uniswap_v4.deployment(world, self.chain_id).pool(*self.pool)
        _, here = await uniswap_v4.sqrt_price_and_tick(world, pool)
        symbols = (pool.symbol0, pool.symbol1)
        lower, upper = ticks(world, symbols, pool.tick_spacing, here, self.bounds, self.at_end)
        token_id = await uniswap_v4.mint_worth(world, pool, owner, lower, upper, self.usd)
        if self.emptied:
            liquidity = await uniswap_v4.liquidity_of(world, self.chain_id, token_id)
            await uniswap_v4.decrease_liquidity(world, pool, owner, token_id, liquidity)


async def last_token(world: World, chain_id: int, owner: str) -> int:
    """The id of the v3 NFT that ``owner`` got last."""
    chain, manager = world.chains[chain_id], uniswap_v3.POSITION_MANAGER[chain_id]
    (count,) = await chain.call(manager, "balanceOf(address)(uint256)", owner)
    (token_id,) = await chain.call(manager, "tokenOfOwnerByIndex(address,uint256)(uint256)", owner, cast(int, count) - 1)
    return cast(int, token_id)


async def _poke(world: World, chain_id: int, owner: str, token_id: int) -> None:
    """Collect one raw unit of each token: everything else that is due becomes owed."""
    manager = uniswap_v3.POSITION_MANAGER[chain_id]
    signature = "collect((uint256,address,uint128,uint128))"
    await world.chains[chain_id].send(owner, manager, signature, (token_id, owner, 1, 1))
