"""How patient we are: time-outs, how often to ask again, and how long to wait in between."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Policy:
    """Applies to every endpoint of a process. Times in seconds."""

    rounds: int = 4
    """how often all usable endpoints are tried before a request is given up"""
    backoff_base_seconds: float = 0.25
    backoff_cap_seconds: float = 8.0
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 20.0
    """silence between two pieces of an answer"""
    request_timeout_seconds: float = 30.0
    """one HTTP request from first to last byte"""
    deadline_seconds: float = 60.0
    """everything that is done for one `batch`, where its caller names no deadline"""
    longest_wait_seconds: float = 30.0
    """an endpoint that asks for more patience than this is not waited for"""
    barred_seconds: float = 300.0
    """how long an endpoint is left alone that denied access"""
    maximum_answer_bytes: int = 32 * 1024 * 1024
    """of one HTTP answer, after decompression"""

    def backoff(self, round_number: int, chance: random.Random) -> float:
        """Exponential back-off with full jitter: between nothing and base · 2^round, so that callers do not return in step."""
        return chance.uniform(0.0, min(self.backoff_cap_seconds, self.backoff_base_seconds * 2.0**round_number))


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a `Retry-After` header, which holds seconds or an HTTP date (RFC 9110 §10.2.3); None where it says nothing."""
    if header is None:
        return None
    text = header.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, IndexError, TypeError):
            return None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
