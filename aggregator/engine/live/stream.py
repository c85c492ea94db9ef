"""The stream: events with ids that only grow, to subscribers with filters, from where each of them left off."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from aggregator.model.identifiers import Address, ChainId
from aggregator.store.chronicle import Event, events_after, newest_events, oldest_event
from aggregator.store.database import Database

BACKLOG = 2_000
"""events in memory; older ones come from the store"""
LONGEST_QUEUE = 2_000
"""events that a subscriber may be behind before it is let go; it comes back with the last id it saw"""
PAGE = 500
SEVERITIES = ("info", "warning", "critical")
RESET = "reset"
"""told first when events were lost to the one who asks: what it knows may be out of date"""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a subscriber wants; empty means everything. `private`: owners whose own alerts may be told."""

    owners: frozenset[str] = frozenset()
    chains: frozenset[ChainId] = frozenset()
    severity: str | None = None
    """the least grave; only what has a severity then passes"""
    kinds: frozenset[str] = frozenset()
    private: frozenset[Address] = frozenset()

    def passes(self, event: Event) -> bool:
        """Alerts about one owner are for those who proved to be that owner; everything else is public."""
        if event.kind == RESET:
            return True
        if event.kind == "alert" and event.owner is not None and event.owner not in self.private:
            return False
        if self.kinds and event.kind not in self.kinds:
            return False
        if self.owners and event.owner is not None and event.owner not in self.owners:
            return False
        if self.owners and event.owner is None and event.kind != "alert":
            return False
        if self.chains and event.chain is not None and event.chain not in self.chains:
            return False
        return self.severity is None or (
            event.severity in SEVERITIES and SEVERITIES.index(event.severity) >= SEVERITIES.index(self.severity)
        )


class Lagging(Exception):
    """A subscriber is too far behind."""


@dataclass(slots=True, eq=False)
class Subscriber:
    """One who listens. `event()` waits for the next."""

    wanted: Filter
    queue: deque[Event] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    lagging: bool = False
    closed: bool = False

    def offer(self, event: Event) -> None:
        if self.lagging or not self.wanted.passes(event):
            return
        if len(self.queue) >= LONGEST_QUEUE:
            self.lagging = True
        else:
            self.queue.append(event)
        self.news.set()

    async def take(self, timeout_seconds: float | None = None) -> tuple[Event, ...]:
        """Everything that has come; empty after the time or when the stream is closed. Lagging where some of it was dropped."""
        if not self.queue and not self.closed and not self.lagging:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self.news.wait()
            except TimeoutError:
                return ()
        self.news.clear()
        if self.lagging:
            raise Lagging
        taken = tuple(self.queue)
        self.queue.clear()
        return taken


class StreamHub:
    """Everybody who listens. `publish` only what is stored."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._backlog: deque[Event] = deque(maxlen=BACKLOG)
        self._subscribers: set[Subscriber] = set()
        self.last_id = 0
        self.closed = False

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    async def open(self) -> None:
        """Remember what the store has; once."""
        if self._backlog:
            return
        async with self._database.reading() as connection:
            self._backlog.extend(await newest_events(connection, BACKLOG))
        if self._backlog:
            self.last_id = self._backlog[-1].id

    def publish(self, events: Iterable[Event]) -> None:
        """Tell everybody, in the order of ids."""
        for event in events:
            assert event.id > self.last_id, "events are published once, in the order of their ids"
            self.last_id = event.id
            self._backlog.append(event)
            for one in self._subscribers:
                one.offer(event)

    async def subscribe(self, wanted: Filter, last_id: int | None = None) -> Subscriber:
        """A subscriber who has already got all that passes since `last_id`, or only what comes where that is None."""
        missed: list[Event] = []
        if last_id is not None and last_id < self.last_id:
            missed = await self._since(last_id)
        elif last_id is not None and last_id > self.last_id:
            missed = [Event(RESET, 0, '{"why":"the last event id is not one of this service"}', id=self.last_id)]
        made = Subscriber(wanted)
        newest = missed[-1].id if missed else (last_id if last_id is not None else self.last_id)
        # nothing is awaited from here on, so that no event is told twice or lost
        for event in (*missed, *(e for e in self._backlog if e.id > newest)) if last_id is not None else ():
            if wanted.passes(event):
                made.queue.append(event)
        self._subscribers.add(made)
        made.closed = self.closed
        return made

    async def _since(self, last_id: int) -> list[Event]:
        """From the store what is older than the memory; a reset before it where the store has forgotten too."""
        oldest = self._backlog[0].id if self._backlog else self.last_id + 1
        if last_id >= oldest - 1:
            return [event for event in self._backlog if event.id > last_id]
        found: list[Event] = []
        async with self._database.reading() as connection:
            kept = await oldest_event(connection)
            while page := await events_after(connection, found[-1].id if found else last_id, PAGE):
                found.extend(page)
                if len(found) >= LONGEST_QUEUE or len(page) < PAGE:
                    break
        if kept > last_id + 1 or len(found) >= LONGEST_QUEUE:
            return [Event(RESET, 0, '{"why":"events since then are no longer kept"}', id=self.last_id)]
        return found

    def leave(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)

    def close(self) -> None:
        """Wake everybody to end."""
        self.closed = True
        for one in self._subscribers:
            one.closed = True
            one.news.set()
