"""What can be sold into pools: liquidity by range around the price, out of their bitmaps and ticks.

Rounds: three (pools and prices, bitmaps, ticks). Ranges are looked at down to a quarter of the price and no further than
MAXIMUM_WORDS of the bitmap; beyond that nothing is taken to be there. Source: `UniswapV3Pool.sol`, `TickBitmap.sol`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.uniswap_v3.adapter import GET_POOL, SLOT0, TICKS
from aggregator.model.identifiers import Address, erc20
from aggregator.model.outcome import Outcome, Value
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Scope
from aggregator.reading.depth import PoolDepth
from aggregator.reading.reads import Read

LIQUIDITY = Function("liquidity()(uint128)")
TICK_SPACING = Function("tickSpacing()(int24)")
TICK_BITMAP = Function("tickBitmap(int16)(uint256)")
BASES = frozenset({"WETH", "USDC", "USDC.e", "USDbC", "USDT", "DAI", "WBTC", "wstETH"})
"""symbols of what most pools trade against"""
FEES = (100, 500, 3_000, 10_000)
"""in millionths; the tiers of the factory"""
REACH = 13_864
"""ticks to a quarter of the price: ln 4 / ln 1.0001"""
MAXIMUM_WORDS = 28
"""of a pool's bitmap on each side of its price, 256 initialisable ticks each"""


@dataclass(frozen=True, slots=True)
class PoolReads:
    """A pool that may be there: its state and where its liquidity changes."""

    token0: Address
    token1: Address
    fee: int
    pool: Read[Any]
    slot: Read[Any]
    liquidity: Read[Any]
    spacing: Read[Any]


@dataclass(frozen=True, slots=True)
class Ranges:
    """A pool at its price, and the words of its bitmap."""

    reads: PoolReads
    address: Address
    sqrt_price: float
    tick: int
    liquidity: int
    spacing: int
    reach: int
    """ticks that are looked at on each side"""
    words: dict[int, Read[Any]]


async def pool_depths(scope: Scope, tokens: Sequence[Address]) -> tuple[PoolDepth, ...]:
    """Depth of every pool of a token with a base, for those of the tokens that can be sold into it. What cannot be read is no pool."""
    bases = [address for address, token in scope.tokens.items() if token.symbol in BASES]
    pairs = sorted({(min(token, base), max(token, base)) for token in tokens for base in bases if token != base})
    asked = [_ask(scope, token0, token1, fee) for token0, token1 in pairs for fee in FEES]
    states = [[await read for read in (one.pool, one.slot, one.liquidity, one.spacing)] for one in asked]
    found = [ranges for reads, state in zip(asked, states, strict=True) if (ranges := _ranges(scope, reads, state)) is not None]
    bitmaps = [{word: await read for word, read in one.words.items()} for one in found]
    changes = [_ask_ticks(scope, one, words) for one, words in zip(found, bitmaps, strict=True)]
    result: list[PoolDepth] = []
    for one, ticks in zip(found, changes, strict=True):
        net = {tick: outcome.value[1] for tick, read in ticks.items() if isinstance(outcome := await read, Value)}
        if len(net) < len(ticks):
            continue
        sides = ((one.reads.token0, False), (one.reads.token1, True))
        result += [depth for token, upwards in sides if token in tokens and (depth := _depth(scope, one, net, token, upwards)) is not None]
    return tuple(result)


def _ask(scope: Scope, token0: Address, token1: Address, fee: int) -> PoolReads:
    call = scope.reads.call
    pool = call(scope.contract("factory"), GET_POOL, token0, token1, fee)
    place = pool.word(0)
    return PoolReads(
        token0,
        token1,
        fee,
        pool,
        call(place, SLOT0, when=place),
        call(place, LIQUIDITY, when=place),
        call(place, TICK_SPACING, when=place),
    )


def _ranges(scope: Scope, reads: PoolReads, outcomes: Sequence[Outcome[Any]]) -> Ranges | None:
    if not all(isinstance(outcome, Value) for outcome in outcomes):
        return None
    address, (sqrt_x96, tick), liquidity, spacing = (outcome.value for outcome in outcomes if isinstance(outcome, Value))
    if not sqrt_x96 or spacing <= 0:
        return None
    reach = min(REACH, MAXIMUM_WORDS * 256 * spacing)
    first, last = ((tick - reach) // spacing) >> 8, ((tick + reach) // spacing) >> 8
    words = {word: scope.reads.call(address, TICK_BITMAP, word) for word in range(first, last + 1)}
    return Ranges(reads, address, sqrt_x96 / 2**96, tick, liquidity, spacing, reach, words)


def _ask_ticks(scope: Scope, one: Ranges, words: dict[int, Outcome[Any]]) -> dict[int, Read[Any]]:
    ticks: dict[int, Read[Any]] = {}
    for word, outcome in words.items():
        bitmap = outcome.value if isinstance(outcome, Value) else 0
        for bit in range(256):
            if bitmap >> bit & 1:
                tick = ((word << 8) + bit) * one.spacing
                ticks[tick] = scope.reads.call(one.address, TICKS, tick)
    return ticks


def _depth(scope: Scope, one: Ranges, net: dict[int, int], token: Address, upwards: bool) -> PoolDepth | None:
    """Ranges from the price away. Selling token0 moves the pool's price down, selling token1 up; either way the price of what is sold
    falls."""
    price = one.sqrt_price**2
    ahead = sorted((tick for tick in net if (tick > one.tick) == upwards), reverse=not upwards)
    liquidity, bounds, held = one.liquidity, [1.0], list[float]()
    end = one.tick + one.reach if upwards else one.tick - one.reach
    for tick in [*(tick for tick in ahead if abs(tick - one.tick) <= one.reach), end]:
        there = math.exp(tick * math.log(1.0001))
        factor = price / there if upwards else there / price
        if factor < bounds[-1]:
            bounds.append(factor)
            held.append(liquidity * one.sqrt_price if upwards else liquidity / one.sqrt_price)
        liquidity += net.get(tick, 0) if upwards else -net.get(tick, 0)
    if not any(held):
        return None
    return PoolDepth(erc20(scope.chain, token), one.address, one.reads.fee / 1e6, tuple(bounds), tuple(max(value, 0.0) for value in held))
