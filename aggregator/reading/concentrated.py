"""Integer maths of concentrated liquidity as Uniswap v3 and v4 contracts do it, to the last unit.

A square-root price is sqrt(token1 raw / token0 raw) · 2^96. Amounts are what removing liquidity pays, so every division floors.
Fee growth is per unit of liquidity, · 2^128, and lives in unsigned 256-bit arithmetic: differences wrap by design.

Sources: TickMath, SqrtPriceMath, Tick and Position of Uniswap v3-core 1.0.1; the same libraries of v4-core, which give equal results.
Both protocols' adapters import this, and neither imports the other.
"""

from __future__ import annotations

from typing import NamedTuple

MIN_TICK = -887_272
MAX_TICK = 887_272
Q96 = 1 << 96
Q128 = 1 << 128
WORD_MASK = (1 << 256) - 1

_RATIOS = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)
"""1.0001^(−2^i / 2) · 2^128 for i = 0 … 19, the constants of TickMath"""


class Pair(NamedTuple):
    """One figure for each token of a pool: amounts in raw units, or fee growth · 2^128."""

    token0: int
    token1: int


def sqrt_ratio_at_tick(tick: int) -> int:
    """TickMath.getSqrtRatioAtTick: sqrt(1.0001^tick) · 2^96, rounded up. ValueError outside MIN_TICK … MAX_TICK."""
    magnitude = abs(tick)
    if magnitude > MAX_TICK:
        raise ValueError(f"tick {tick} is outside ±{MAX_TICK}")
    ratio = Q128
    for bit, factor in enumerate(_RATIOS):
        if magnitude >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = WORD_MASK // ratio
    return -(-ratio >> 32)


def amount0_down(sqrt_a: int, sqrt_b: int, liquidity: int) -> int:
    """Token0 between two square-root prices, floored twice as SqrtPriceMath.getAmount0Delta does. Prices are above zero."""
    low, high = sorted((sqrt_a, sqrt_b))
    return (liquidity << 96) * (high - low) // high // low


def amount1_down(sqrt_a: int, sqrt_b: int, liquidity: int) -> int:
    """Token1 between two square-root prices, floored: SqrtPriceMath.getAmount1Delta."""
    return liquidity * abs(sqrt_b - sqrt_a) >> 96


def withdrawal(liquidity: int, sqrt_price: int, sqrt_lower: int, sqrt_upper: int) -> Pair:
    """What removing all of `liquidity` pays, without fees, in raw units.

    The price decides, not the tick: right after a swap that ended exactly on a tick, the pool's tick may be one below the price's. The
    contract asks the tick, and comes to the same amounts, because they are continuous in the price. At or above the upper price all
    is token1, at or below the lower all is token0.
    """
    price = min(max(sqrt_price, sqrt_lower), sqrt_upper)
    return Pair(amount0_down(price, sqrt_upper, liquidity), amount1_down(sqrt_lower, price, liquidity))


def fee_growth_inside(tick: int, lower: int, upper: int, everywhere: Pair, outside_lower: Pair, outside_upper: Pair) -> Pair:
    """Tick.getFeeGrowthInside: fee growth inside [lower, upper), wrapped to 256 bits.

    `tick` is the pool's own current tick: the flips of the growth outside go by it, not by the price. `everywhere` is the pool's global
    growth, the others what the two ticks hold.
    """

    def inside(total: int, below_lower: int, beyond_upper: int) -> int:
        below = below_lower if tick >= lower else total - below_lower
        above = beyond_upper if tick < upper else total - beyond_upper
        return total - below - above & WORD_MASK

    return Pair(*map(inside, everywhere, outside_lower, outside_upper))


def fees_since(inside: Pair, inside_last: Pair, liquidity: int) -> Pair:
    """Fees that `liquidity` earned since `inside_last` was stored, in raw units, floored: (inside − last mod 2^256) · liquidity / 2^128."""
    return Pair(*((now - last & WORD_MASK) * liquidity >> 128 for now, last in zip(inside, inside_last, strict=True)))
