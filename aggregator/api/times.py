"""Microseconds since the epoch as RFC 3339, and cursors that tell nothing of what they stand for."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta

from aggregator.api.problem import Problem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST = 2**62


def shown(moment: int) -> str:
    """`2026-01-31T12:00:00.123456Z`."""
    return (_EPOCH + timedelta(microseconds=moment)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def cursor(number: int) -> str:
    """An opaque name of a place in a list."""
    return base64.urlsafe_b64encode(number.to_bytes(8, "big")).rstrip(b"=").decode()


def place(text: str | None) -> int | None:
    """The place that a cursor names. Problem 400 for one that was not given out here."""
    if text is None:
        return None
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    number = int.from_bytes(raw, "big")
    if len(raw) != 8 or number > _LARGEST:
        raise Problem(400, "bad-cursor", "expected a cursor that an earlier answer gave")
    return number
