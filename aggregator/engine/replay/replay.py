"""Replay of a recorded history through the engine's own rules, on the engine's clock: no row is seen before its time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from aggregator.engine.replay.clock import ReplayClock
from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.instant import Instant
from aggregator.publish.alerts.monitor import Monitor
from aggregator.publish.alerts.observations import Observed


def replay(
    history: Sequence[Observed],
    monitor: Monitor | None = None,
    clock: ReplayClock | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Alert]:
    """Alerts of a history in the order of time. `progress` is told how many rows have been taken."""
    monitor = monitor if monitor is not None else Monitor()
    clock = clock if clock is not None else ReplayClock()
    taken = 0
    for moment, rows in groupby(history, key=lambda one: one.t):
        together = list(rows)
        for at, alerts in moments(monitor, moment, together):
            clock.advance(max(at, clock.now()))
            yield from alerts
        taken += len(together)
        if progress is not None:
            progress(taken)


def moments(monitor: Monitor, now: Instant, observed: Iterable[Observed]) -> Iterator[tuple[Instant, list[Alert]]]:
    """Bring a monitor to a moment: first what was overdue before these observations came, each at its time, then they themselves."""
    while (deadline := monitor.deadline()) is not None and deadline < now:
        yield deadline, monitor.late(deadline)
    yield now, monitor.advance(now, observed)
