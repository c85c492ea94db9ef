"""Moments as whole microseconds since the epoch, and as RFC 3339 UTC where people or files meet them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

Instant = int
"""microseconds since the epoch"""
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|\+00:00)\Z", re.ASCII)


def parse_instant(text: str) -> Instant:
    """An RFC 3339 time in UTC, such as 2025-10-01T00:00:00Z. ValueError says what is wrong."""
    if not _RFC3339.match(text):
        raise ValueError("expected RFC 3339 in UTC, such as 2025-10-01T00:00:00Z")
    try:
        moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except ValueError:
        raise ValueError("no such day or time") from None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def show_instant(moment: Instant) -> str:
    """RFC 3339 in UTC with `Z`, fractions of a second only where there are any."""
    return (_EPOCH + timedelta(microseconds=moment)).isoformat().replace("+00:00", "Z")


def show_span(span: int) -> str:
    """A length of time in words: `6 h`, `2 d`, `90 s`."""
    for unit, letter in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if span >= unit and span % unit == 0 and not (unit == DAY and span < 2 * DAY):
            return f"{span // unit} {letter}"
    return f"{span / SECOND:g} s"
