"""What venues answer, checked at the edge: numbers are exact decimals, names are cleaned, fields that nobody reads are ignored.

A venue adds fields at any time, so unknown ones are no error; a missing or misshapen one that is read here is.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from aggregator.reading.text import clean_text

MAXIMUM_DIGITS = 120
"""characters that a number may have: more is no amount of anything"""
MAXIMUM_EXPONENT = 60
NAME_LENGTH = 64


class Answer(BaseModel):
    """Base of every answer: frozen; what is not declared is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def _number(value: Any) -> Decimal:
    """A decimal of a JSON string or number; ValueError for anything else, for NaN, infinities and absurd magnitudes."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError("expected a decimal number")
    text = repr(value) if isinstance(value, float) else str(value)
    try:
        number = Decimal(text) if len(text) <= MAXIMUM_DIGITS else Decimal("NaN")
    except InvalidOperation:
        raise ValueError("expected a decimal number") from None
    if not number.is_finite() or (number and not -MAXIMUM_EXPONENT <= number.adjusted() <= MAXIMUM_EXPONENT):
        raise ValueError("expected a decimal number of a sensible size")
    return number


def _whole(value: Any) -> int:
    """An integer of a JSON number or of a string of digits."""
    number = _number(value)
    if number != number.to_integral_value():
        raise ValueError("expected a whole number")
    return int(number)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text")
    name = clean_text(value, NAME_LENGTH)
    if not name:
        raise ValueError("expected text")
    return name


def _note(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("expected text")
    return clean_text(value, NAME_LENGTH)


Number = Annotated[Decimal, BeforeValidator(_number)]
"""exact; JSON strings and numbers"""
Whole = Annotated[int, BeforeValidator(_whole)]
Name = Annotated[str, BeforeValidator(_name)]
"""printable and not empty"""
Note = Annotated[str, BeforeValidator(_note)]
"""printable, perhaps empty; null is empty"""

DIGITS = 2 * MAXIMUM_DIGITS
"""precision of decimal contexts in which products and sums of such numbers are exact"""
