"""The deliverer: takes messages from the outbox and sends them until they arrive. It may be killed at any moment and started again;
a receiver then sees a message twice, with the same delivery id, but never none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.instant import DAY, SECOND
from aggregator.publish.alerts.people import PeopleSender
from aggregator.publish.alerts.rules import Severity
from aggregator.publish.alerts.webhook import LONGEST_WAIT, Outcome, WebhookSender
from aggregator.store import outbox
from aggregator.store.database import Database, DatabaseUnavailable
from aggregator.store.outbox import Message, Taken

log = logging.getLogger(__name__)

WEBHOOK, PEOPLE = "webhook", "people"
FIRST_PAUSE = 5.0
GIVEN_UP_AFTER = 3 * DAY
"""a message that could not be delivered for so long is given up, so that those behind it come through"""
SETTLED_KEPT = 30 * DAY
"""how long it can be seen what became of a message"""
LEASE_SECONDS = 120.0
"""longer than any attempt takes"""
AT_ONCE = 64
"""messages on their way"""
IDLE_SECONDS = 2.0
"""how long a message may lie in the outbox before it is seen, where nobody rings"""


@dataclass(frozen=True, slots=True)
class Destination:
    """Who is told what, where. `owner`: an owner's own alerts besides; None for those that concern everybody."""

    id: str
    channel: str
    """webhook or people"""
    url: str = field(repr=False)
    secret: bytes = field(default=b"", repr=False)
    """that webhooks are signed with"""
    severity: Severity = Severity.WARNING
    """the least grave that is told"""
    owner: str | None = None

    def wants(self, alert: Alert) -> bool:
        """Whether an alert is for this destination: grave enough, and not another owner's."""
        return Severity(alert.severity).rank >= self.severity.rank and alert.owner == _address(self.owner)


def messages(alerts: Sequence[Alert], destinations: Sequence[Destination]) -> list[Message]:
    """One message for each alert and each destination that wants it, in order."""
    by_owner: dict[str | None, list[Destination]] = {}
    for destination in destinations:
        by_owner.setdefault(_address(destination.owner), []).append(destination)
    return [
        Message(f"{alert.identifier}-{destination.id}", destination.id, alert.line())
        for alert in alerts
        for destination in by_owner.get(alert.owner, ())
        if destination.wants(alert)
    ]


def _address(owner: str | None) -> str | None:
    """Of an owner on one chain or on all."""
    return None if owner is None else owner.rpartition(":")[2].lower()


Destinations = Callable[[], Awaitable[Mapping[str, Destination]]]
"""all that are subscribed now, by id"""


class Courier:
    """Sends what waits, in order to each destination and to many destinations at once."""

    def __init__(
        self,
        database: Database,
        destinations: Destinations,
        webhooks: WebhookSender,
        people: PeopleSender,
        *,
        first_pause: float = FIRST_PAUSE,
        lease: float = LEASE_SECONDS,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        """`clock`: microseconds since the epoch."""
        self._database, self._destinations = database, destinations
        self._webhooks, self._people = webhooks, people
        self._first_pause, self._lease, self._clock = first_pause, lease, clock
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Something was posted: look at once."""
        self._bell.set()

    async def resume(self) -> None:
        """Once, before `run`, where no other deliverer works on this database: what a killed one had taken does not wait for its lease."""
        now = self._clock()
        await self._database.write(lambda connection: outbox.release(connection, now, int(self._lease * SECOND)))

    async def run(self) -> None:
        """Until cancelled. A database that is away is waited for; a receiver that is slow holds up nobody but itself."""
        tidied = 0
        under_way: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            self._bell.set()

        try:
            while True:
                self._bell.clear()
                pause = IDLE_SECONDS
                try:
                    if self._clock() - tidied > DAY:
                        tidied = await self._tidy()
                    if len(under_way) < AT_ONCE:
                        for taken, destination in await self._take(AT_ONCE - len(under_way)):
                            task = asyncio.create_task(self._attempt_safely(taken, destination))
                            under_way.add(task)
                            task.add_done_callback(ended)
                        pause = await self._pause()
                except DatabaseUnavailable:
                    pass
                except Exception:  # whatever it is, what waits is looked for on
                    log.exception("messages could not be taken")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._bell.wait()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _tidy(self) -> int:
        """Remove what was settled long ago; when that was."""
        now = self._clock()
        await self._database.write(lambda connection: outbox.forget(connection, now - SETTLED_KEPT))
        return now

    async def deliver(self) -> int:
        """One round: an attempt for the oldest message of every destination that is due; how many were attempted."""
        taken = await self._take(AT_ONCE)
        await asyncio.gather(*(self._attempt(one, destination) for one, destination in taken))
        return len(taken)

    async def _take(self, most: int) -> list[tuple[Taken, Destination | None]]:
        """Messages that are due, each destination's oldest; nobody else takes them until their lease ends."""
        now = self._clock()
        taken = await self._database.write(lambda connection: outbox.take(connection, now, int(self._lease * SECOND), most))
        known = await self._destinations() if taken else {}
        return [(one, known.get(one.message.destination)) for one in taken]

    async def _attempt_safely(self, taken: Taken, destination: Destination | None) -> None:
        """A fault with one message must not end the deliverer; its lease runs out and it is tried again."""
        try:
            await self._attempt(taken, destination)
        except DatabaseUnavailable as error:
            log.error("what became of a message could not be stored: %s", error)
        except Exception:
            log.exception("a delivery failed")

    async def _attempt(self, taken: Taken, destination: Destination | None) -> None:
        if destination is None:
            outcome = Outcome("the subscription is no more", final=True)
        elif destination.channel == WEBHOOK:
            outcome = await self._webhooks.send(destination.url, destination.secret, taken.message.key, taken.message.body)
        elif destination.channel == PEOPLE:
            outcome = await self._people.send(destination.url, taken.message.body)
        else:
            outcome = Outcome(f"there is no channel {destination.channel}", final=True)
        now = self._clock()
        if outcome.error is None:
            await self._database.write(lambda connection: outbox.settle(connection, taken.id, outbox.DELIVERED, now))
        elif outcome.final or now - taken.created_at > GIVEN_UP_AFTER:
            error = outcome.error
            await self._database.write(lambda connection: outbox.settle(connection, taken.id, outbox.ABANDONED, now, error))
        else:
            due, error = now + int(self._backoff(taken.attempt, outcome) * SECOND), outcome.error
            await self._database.write(lambda connection: outbox.postpone(connection, taken.id, due, error))

    def _backoff(self, attempt: int, outcome: Outcome) -> float:
        """Seconds: doubled each time up to an hour, spread by a fifth so that many do not come back together; longer where asked."""
        pause = min(self._first_pause * 2.0 ** min(attempt - 1, 30), LONGEST_WAIT) * random.uniform(0.8, 1.2)
        return max(pause, outcome.retry_after or 0.0)

    async def _pause(self) -> float:
        """Seconds until the next message is due, at most the idle time."""
        async with self._database.reading() as connection:
            due = await outbox.next_due(connection)
        return IDLE_SECONDS if due is None else min(max((due - self._clock()) / SECOND, 0.01), IDLE_SECONDS)
