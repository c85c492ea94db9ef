"""One thing observed again and again: what was known when, how often it comes, and whether it still does."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from aggregator.contagion.indicators import cadence
from aggregator.publish.alerts.instant import DAY, Instant
from aggregator.publish.alerts.observations import Observed

O = TypeVar("O", bound=Observed)  # noqa: E741

KEPT = 31 * DAY
"""how far back a rule may look"""
WHOLE = 8 * DAY
"""how far back every observation is kept of what rules look at for a week; before that, one a day"""
GAPS = 9
"""distances between observations from which the usual one is taken"""
LATE = 1.75
"""an observation is missing when nothing has come for this many usual distances; a single one left out makes it 2"""
FRESH = 2
"""observations on time before a series counts as fresh again"""


class Series(Generic[O]):
    """Observations of one thing in the order of time."""

    def __init__(self, whole: int = WHOLE) -> None:
        """`whole`: how far back every observation is kept."""
        self._whole = whole
        self._tidied: Instant | None = None
        self._times: list[Instant] = []
        self._items: list[O] = []
        self._complete: list[bool] = []
        self._gaps: deque[int] = deque(maxlen=GAPS)
        self._on_time: deque[bool] = deque(maxlen=GAPS)
        self._fresh = FRESH

    def add(self, item: O, complete: bool = True) -> None:
        """Append; of two for the same moment the later one stands. One that is not complete counts as one that has not come."""
        if self._times and self._times[-1] == item.t:
            self._items[-1], self._complete[-1] = item, complete
            return
        if self._times:
            gap = item.t - self._times[-1]
            usual = self.usual_gap
            in_time = usual is None or gap <= LATE * usual
            left_out = 0 if usual is None or in_time else round(gap / usual) - 1
            self._on_time.extend([False] * min(left_out, GAPS) + [complete])
            self._fresh = self._fresh + 1 if in_time and complete else 0
            self._gaps.append(gap)
        self._times.append(item.t)
        self._items.append(item)
        self._complete.append(complete)
        if self._tidied is None or item.t - self._tidied >= DAY:
            self._tidied = item.t
            self._tidy(item.t)

    def _tidy(self, now: Instant) -> None:
        """Of those too old to be kept whole, keep the last complete one of each day; and one from before all that counts."""
        first, whole = max(bisect_left(self._times, now - KEPT) - 1, 0), bisect_left(self._times, now - self._whole)
        by_day: dict[int, int] = {}
        for place in range(first, whole):
            day = self._times[place] // DAY
            if day not in by_day or self._complete[place] or not self._complete[by_day[day]]:
                by_day[day] = place
        kept = [*by_day.values(), *range(max(first, whole), len(self._times))]
        if len(kept) < len(self._times):
            self._times = [self._times[place] for place in kept]
            self._items = [self._items[place] for place in kept]
            self._complete = [self._complete[place] for place in kept]

    def unsay(self, gone: Callable[[O], bool], unknown: Callable[[O], O]) -> list[Instant]:
        """Put what is not known in the place of the latest observations, as far back as they are `gone`; their times."""
        times: list[Instant] = []
        for place in range(len(self._items) - 1, -1, -1):
            if not gone(self._items[place]):
                break
            self._items[place], self._complete[place] = unknown(self._items[place]), False
            times.append(self._times[place])
        return times

    def drop(self, gone: Callable[[O], bool]) -> None:
        """Take away the latest observations, as far back as they are `gone`."""
        while self._items and gone(self._items[-1]):
            self._items.pop()
            self._times.pop()
            self._complete.pop()

    def __bool__(self) -> bool:
        return bool(self._items)

    @property
    def usual_gap(self) -> int | None:
        """Microseconds between observations; None until there are two gaps to tell it from."""
        return cadence(self._gaps) if len(self._gaps) >= FRESH else None

    @property
    def latest(self) -> O:
        return self._items[-1]

    def at(self, moment: Instant, known: Callable[[O], bool] | None = None) -> O | None:
        """The last observation at or before a moment, of those in which what is wanted is known."""
        place = bisect_right(self._times, moment)
        if known is None:
            return self._items[place - 1] if place else None
        return next((item for item in reversed(self._items[:place]) if known(item)), None)

    def since(self, moment: Instant) -> Iterator[O]:
        """Observations from a moment on."""
        return iter(self._items[bisect_left(self._times, moment) :])

    def deadline(self) -> Instant | None:
        """When the next observation is overdue; None where nobody knows how often they come."""
        usual = self.usual_gap
        return None if usual is None else self._times[-1] + int(LATE * usual)

    def overdue(self, now: Instant) -> bool:
        deadline = self.deadline()
        return deadline is not None and now >= deadline

    def usable(self, now: Instant) -> bool:
        """Not older than two usual distances: may stand for the present."""
        usual = self.usual_gap
        return now - self._times[-1] <= (2 * usual if usual is not None else DAY)

    def missing(self, now: Instant) -> int:
        """How many of the latest observations that were to be expected have not come."""
        usual, late = self.usual_gap, 0
        if usual is not None and self.overdue(now):
            late = int((now - self._times[-1]) / usual)
        return late + sum(not came for came in self._on_time)

    def known_share(self, now: Instant) -> float:
        """Share of the expected recent observations that came."""
        usual = self.usual_gap
        late = int((now - self._times[-1]) / usual) if usual is not None and self.overdue(now) else 0
        expected = 1 + len(self._on_time) + late
        return (1 + sum(self._on_time)) / expected

    def fresh(self, now: Instant) -> bool:
        """Comes on time, and has for the last two observations."""
        return not self.overdue(now) and self._fresh >= FRESH
