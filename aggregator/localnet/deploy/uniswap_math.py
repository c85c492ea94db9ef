"""Integer maths of concentrated liquidity, exact to the contracts: ticks, square-root prices, liquidity.

A square-root price is sqrt(token1 raw / token0 raw) in 64.96 fixed point, as Uniswap v3 and v4 store it.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from math import isqrt

MIN_TICK = -887_272
MAX_TICK = 887_272
Q96 = 1 << 96
_Q128 = 1 << 128
_WORD = (1 << 256) - 1

# sqrt(1.0001^-(2^i)) in 128-bit fixed point for i = 0…19, rounded as TickMath has them
_FACTORS = (
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


def sqrt_price_at_tick(tick: int) -> int:
    """TickMath's value for ``tick``, rounded up as there. Raises ValueError outside ±887,272."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise ValueError(f"tick {tick} is out of range")
    ratio = _Q128
    for bit, factor in enumerate(_FACTORS):
        if abs(tick) >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = _WORD // ratio
    return _divided_up(ratio, 1 << 32)


def tick_at_sqrt_price(sqrt_price: int) -> int:
    """The greatest tick whose square-root price is not above ``sqrt_price``."""
    if not sqrt_price_at_tick(MIN_TICK) <= sqrt_price < sqrt_price_at_tick(MAX_TICK):
        raise ValueError(f"square-root price {sqrt_price} is out of range")
    low, high = MIN_TICK, MAX_TICK
    while high - low > 1:
        middle = (low + high) // 2
        if sqrt_price_at_tick(middle) <= sqrt_price:
            low = middle
        else:
            high = middle
    return low


def sqrt_price_of(price: Decimal, decimals0: int, decimals1: int) -> int:
    """Square-root price of ``price`` whole token1 for one whole token0, rounded down."""
    with localcontext() as context:
        context.prec = 100
        scaled = price.scaleb(decimals1 - decimals0) * (Q96 * Q96)
    return isqrt(int(scaled))


def price_of(sqrt_price: int, decimals0: int, decimals1: int) -> Decimal:
    """Whole token1 for one whole token0."""
    with localcontext() as context:
        context.prec = 60
        return (Decimal(sqrt_price) / Q96) ** 2 * Decimal(10) ** (decimals0 - decimals1)


def usable_tick(tick: int, spacing: int) -> int:
    """``tick`` moved down to a multiple of ``spacing``, inside the range."""
    lowest, highest = full_range(spacing)
    return min(max(tick // spacing * spacing, lowest), highest)


def full_range(spacing: int) -> tuple[int, int]:
    """The widest range a position of this spacing can have."""
    widest = MAX_TICK // spacing * spacing
    return -widest, widest


def ticks_around(tick: int, width: Decimal, spacing: int) -> tuple[int, int]:
    """Usable ticks at least ``width`` (0.1 = 10 %) below and above ``tick``."""
    distance = max(spacing, int((1 + width).ln() / Decimal("1.0001").ln()))
    return usable_tick(tick - distance, spacing), usable_tick(tick + distance + spacing, spacing)


def liquidity_for_amounts(sqrt_price: int, sqrt_lower: int, sqrt_upper: int, amount0: int, amount1: int) -> int:
    """The most liquidity that the two amounts pay for at ``sqrt_price``, rounded down."""
    if sqrt_price <= sqrt_lower:
        return _liquidity0(sqrt_lower, sqrt_upper, amount0)
    if sqrt_price >= sqrt_upper:
        return _liquidity1(sqrt_lower, sqrt_upper, amount1)
    return min(_liquidity0(sqrt_price, sqrt_upper, amount0), _liquidity1(sqrt_lower, sqrt_price, amount1))


def amounts_for_liquidity(sqrt_price: int, sqrt_lower: int, sqrt_upper: int, liquidity: int) -> tuple[int, int]:
    """What ``liquidity`` costs at ``sqrt_price``, each amount rounded up (what a depositor pays)."""
    at = min(max(sqrt_price, sqrt_lower), sqrt_upper)
    amount0 = _divided_up(_divided_up((liquidity << 96) * (sqrt_upper - at), sqrt_upper), at)
    return amount0, _divided_up(liquidity * (at - sqrt_lower), Q96)


def liquidity_worth(sqrt_price: int, tick_lower: int, tick_upper: int, worth: Decimal, unit0: int, unit1: int) -> int:
    """The liquidity of a range whose cost is ``worth``, where ``unit0`` and ``unit1`` raw of each token are worth 1."""
    low, high = sqrt_price_at_tick(tick_lower), sqrt_price_at_tick(tick_upper)
    probe = 10**24
    amount0, amount1 = amounts_for_liquidity(sqrt_price, low, high, probe)
    return int(probe * worth / (Decimal(amount0) / unit0 + Decimal(amount1) / unit1))


def _divided_up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def _liquidity0(sqrt_lower: int, sqrt_upper: int, amount0: int) -> int:
    return amount0 * (sqrt_lower * sqrt_upper // Q96) // (sqrt_upper - sqrt_lower)


def _liquidity1(sqrt_lower: int, sqrt_upper: int, amount1: int) -> int:
    return amount1 * Q96 // (sqrt_upper - sqrt_lower)
