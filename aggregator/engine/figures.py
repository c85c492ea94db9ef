"""Figures as text: fixed decimals, the rounding direction in the name, never an exponent."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

from aggregator.model.units import to_decimal

MONEY_DECIMALS = 6
PRICE_DECIMALS = 18
PROBABILITY_DECIMALS = 9
_WIDE = Context(prec=150)
_UNITS = tuple(Decimal(1).scaleb(-decimals) for decimals in range(64))


def _fixed(value: Decimal | float, decimals: int, rounding: str) -> str:
    exact = value if isinstance(value, Decimal) else Decimal(value)
    rounded = exact.quantize(_UNITS[decimals], rounding=rounding, context=_WIDE)
    return f"{rounded if rounded else rounded.copy_abs():f}"


def down(value: Decimal | float, decimals: int) -> str:
    """Rounded towards minus infinity."""
    return _fixed(value, decimals, ROUND_FLOOR)


def up(value: Decimal | float, decimals: int) -> str:
    """Rounded towards plus infinity."""
    return _fixed(value, decimals, ROUND_CEILING)


def money_down(value: Decimal | float) -> str:
    """USD of something owned."""
    return down(value, MONEY_DECIMALS)


def money_up(value: Decimal | float) -> str:
    """USD of something owed or required."""
    return up(value, MONEY_DECIMALS)


def fraction(value: Decimal | float, decimals: int) -> str:
    """Rounded half to even, trailing zeros removed."""
    return _stripped(_fixed(value, decimals, ROUND_HALF_EVEN))


def probability(value: float) -> str:
    """Nine decimals, rounded up: never shown as smaller than it is."""
    return up(min(1.0, value), PROBABILITY_DECIMALS)


def plain(value: Decimal) -> str:
    """As it is, up to eighteen decimals (towards zero beyond), trailing zeros removed."""
    return _stripped(_fixed(value, PRICE_DECIMALS, ROUND_DOWN))


def wad(value: int) -> str:
    """A 1e18 fixed-point number with all its decimals."""
    return f"{to_decimal(value, 18):f}"


def percent(move: float) -> str:
    """A signed move in per cent with one decimal, as people write it."""
    return f"{'−' if move < 0 else '+'}{abs(move) * 100:.1f} %"


def _stripped(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
