"""Figures and names as a person reads them in a terminal."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from rich.text import Text

from aggregator.model.units import to_decimal
from aggregator.reading.text import clean_text

_SYMBOL_LENGTH = 16


def unknown() -> Text:
    """A figure that coverage does not support."""
    return Text("unknown", "bold magenta")


def money(value: str | Decimal | None, price: bool = False) -> str:
    """`$1,234.56`; a price below ten dollars keeps five significant digits; None is `unknown`."""
    if value is None:
        return "unknown"
    exact = Decimal(value)
    sign, size = ("−" if exact < 0 else ""), abs(exact)
    if size == 0:
        return "$0.00"
    if price and size < 10:
        return f"{sign}${_significant(size, 5)}"
    if size >= 10**12:
        return f"{sign}${size / 10**9:,.0f} bn"
    return f"{sign}${size:,.2f}" if size >= Decimal("0.01") else f"{sign}<$0.01"


def amount(raw: int, decimals: int) -> str:
    """A token amount with six significant digits, or all digits before the point where there are more; never rounded up."""
    value = to_decimal(raw, decimals)
    if value == 0:
        return "0"
    if value >= 10**15:
        return f"{value:.3e}"
    if value >= 1000:
        return f"{value.quantize(Decimal('0.01'), rounding=ROUND_DOWN):,f}"
    return _significant(value, 6)


def share(value: str | Decimal) -> str:
    """A fraction in per cent: `12.2 %`, with more digits when it is small."""
    per_cent = Decimal(value) * 100
    if per_cent == 0:
        return "0 %"
    if per_cent < Decimal("0.001"):
        return "<0.001 %"
    return f"{per_cent:.1f} %" if per_cent >= 1 else f"{_significant(per_cent, 2)} %"


def move(value: str | Decimal) -> str:
    """A signed relative move: `−31.0 %`."""
    exact = Decimal(value) * 100
    return f"{'−' if exact < 0 else '+'}{abs(exact):.1f} %"


def name_of(symbol: str) -> str:
    """A token's symbol, cleaned; `?` where nothing printable is left."""
    return clean_text(symbol, _SYMBOL_LENGTH) or "?"


def short_owner(owner: str) -> str:
    """`0x1234…abcd` of a CAIP-10 account."""
    address = owner.rpartition(":")[2]
    return f"{address[:6]}…{address[-4:]}" if len(address) > 12 else address


def _significant(value: Decimal, digits: int) -> str:
    """So many significant digits, towards zero, without an exponent or trailing zeros."""
    places = max(0, digits - 1 - value.adjusted())
    text = f"{value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
