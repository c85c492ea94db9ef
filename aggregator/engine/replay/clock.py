"""The engine's clock: the system's while it runs, a history's while that is replayed. Both say seconds since the epoch when called."""

from __future__ import annotations

import time

from aggregator.publish.alerts.instant import SECOND, Instant


class SystemClock:
    """What the machine says."""

    def __call__(self) -> float:
        return time.time()

    def now(self) -> Instant:
        return time.time_ns() // 1_000


class ReplayClock:
    """Stands where the history has come to, and only goes forward."""

    def __init__(self, start: Instant = 0) -> None:
        self._now = start

    def __call__(self) -> float:
        return self._now / SECOND

    def now(self) -> Instant:
        return self._now

    def advance(self, moment: Instant) -> None:
        """ValueError where the moment lies in the past."""
        if moment < self._now:
            raise ValueError("a clock does not go backwards")
        self._now = moment
