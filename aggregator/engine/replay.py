"""Replay of a recorded history through the engine's own rules, on the engine's clock: no row is seen before its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from aggregator.engine.clock import ReplayClock
from aggregator.publish.alerts.alert import Alert
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
        # what was overdue by then was so before these rows came
        while (deadline := monitor.deadline()) is not None and deadline < moment:
            clock.advance(max(deadline, clock.now()))
            yield from monitor.late(deadline)
        clock.advance(moment)
        together = list(rows)
        yield from monitor.advance(moment, together)
        taken += len(together)
        if progress is not None:
            progress(taken)
