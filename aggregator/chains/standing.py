"""What an endpoint is worth at the moment: a score from its failures and its speed, and until when it is to be left alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

_WEIGHT = 0.3
"""of the newest observation in the moving averages"""
_HALF_LIFE_SECONDS = 30.0
"""after which an old failure counts half: an endpoint that was bad is tried again later"""
_FAILURE_SECONDS = 20.0
"""of latency that a certain failure is worth"""
_UNKNOWN_LATENCY_SECONDS = 0.5
"""assumed of an endpoint that was never asked"""


@dataclass(slots=True)
class Standing:
    """Exponentially weighted failure rate and latency of one endpoint. Times are of the event loop's clock."""

    latency_seconds: float | None = None
    failure_rate: float = 0.0
    observed_at: float = 0.0
    waiting_until: float = 0.0
    """it asked for patience (`Retry-After`)"""
    barred_until: float = 0.0
    """it denied access"""
    out: str | None = None
    """why it is not used again in this process"""

    def succeeded(self, latency_seconds: float, now: float) -> None:
        old = self.latency_seconds
        self.latency_seconds = latency_seconds if old is None else old + _WEIGHT * (latency_seconds - old)
        self.failure_rate = self.failure_rate_at(now) * (1.0 - _WEIGHT)
        self.observed_at = now

    def failed(self, now: float) -> None:
        rate = self.failure_rate_at(now)
        self.failure_rate = rate + _WEIGHT * (1.0 - rate)
        self.observed_at = now

    def failure_rate_at(self, now: float) -> float:
        """Failure rate in [0, 1], fading while nothing is observed."""
        return self.failure_rate * math.exp2(-max(0.0, now - self.observed_at) / _HALF_LIFE_SECONDS)

    def score(self, now: float) -> float:
        """Expected seconds until a good answer, roughly; the lower the better."""
        latency = _UNKNOWN_LATENCY_SECONDS if self.latency_seconds is None else self.latency_seconds
        return latency + _FAILURE_SECONDS * self.failure_rate_at(now)
