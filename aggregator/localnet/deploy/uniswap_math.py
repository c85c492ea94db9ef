"""What minting needs of concentrated liquidity, exact to the contracts: ticks of prices, ranges, liquidity of amounts.

A square-root price is sqrt(token1 raw / token0 raw) in 64.96 fixed point, as Uniswap v3 and v4 store it.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from math import isqrt

from aggregator.reading.concentrated import MAX_TICK, MIN_TICK, Q96
from aggregator.reading.concentrated import sqrt_ratio_at_tick as sqrt_price_at_tick

__all__ = ["MAX_TICK", "MIN_TICK", "Q96", "sqrt_price_at_tick"]
"""what the other room's maths gives to whoever mints here"""


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
