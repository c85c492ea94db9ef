"""The engine's clock while a history is replayed: the history's own, seconds since the epoch when called."""

from __future__ import annotations

from aggregator.publish.alerts.instant import SECOND, Instant


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
