"""Messages that must arrive: written in the transaction that made them, taken out when the receiver has acknowledged them.

A destination gets its messages in order and one at a time: the oldest that waits is tried until it arrives or is given up, so that
`resolved` never comes before `opened`, and a destination that is down costs one attempt at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aggregator.store.tables import AlertRow, Moment, OutboxRow, table

OUTBOX, ALERTS = table(OutboxRow), table(AlertRow)
WAITING, DELIVERED, ABANDONED = "waiting", "delivered", "abandoned"
LONGEST_ERROR = 200
_CHUNK = 500
"""values that one statement names: databases limit their parameters"""


@dataclass(frozen=True, slots=True)
class Message:
    """`key`: the same for the same content to the same destination."""

    key: str
    destination: str
    body: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that is being sent; `attempt` counts from 1."""

    id: int
    message: Message
    attempt: int
    created_at: Moment


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of a destination's messages."""

    waiting: int
    delivered: int
    abandoned: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Load:
    """All destinations together. `oldest`: when the message was made that has waited longest; None where none waits."""

    waiting: int
    oldest: Moment | None
    abandoned: int
    """of those that are still kept"""


async def post(connection: AsyncConnection, messages: Sequence[Message], at: Moment) -> int:
    """Put messages in; how many are new. One whose key is known already, delivered or not, is not sent again."""
    by_key = {one.key: one for one in messages}
    if not by_key:
        return 0
    keys, known = list(by_key), set[str]()
    for start in range(0, len(keys), _CHUNK):
        part = sa.select(OUTBOX.c.key).where(OUTBOX.c.key.in_(keys[start : start + _CHUNK]))
        known.update((await connection.execute(part)).scalars())
    rows = [
        {
            "key": one.key,
            "destination": one.destination,
            "body": one.body,
            "state": WAITING,
            "created_at": at,
            "due_at": at,
            "attempts": 0,
        }
        for one in by_key.values()
        if one.key not in known
    ]
    if rows:
        await connection.execute(sa.insert(OUTBOX), rows)
    return len(rows)


async def untold(connection: AsyncConnection, identifiers: Sequence[str]) -> set[str]:
    """Those of some alerts' identifiers that the store does not know yet."""
    found = set(identifiers)
    for start in range(0, len(identifiers), _CHUNK):
        part = sa.select(ALERTS.c.identifier).where(ALERTS.c.identifier.in_(identifiers[start : start + _CHUNK]))
        found.difference_update((await connection.execute(part)).scalars())
    return found


async def take(connection: AsyncConnection, at: Moment, lease: int, most: int = 64) -> tuple[Taken, ...]:
    """The oldest waiting message of each destination, where it is due. Until `lease` microseconds later nobody else takes it: a
    deliverer that dies in between has lost nothing, for the message is due again then."""
    oldest = sa.select(sa.func.min(OUTBOX.c.id)).where(OUTBOX.c.state == WAITING).group_by(OUTBOX.c.destination)
    due = sa.select(OUTBOX).where(OUTBOX.c.id.in_(oldest), OUTBOX.c.due_at <= at).order_by(OUTBOX.c.id).limit(most)
    found = (await connection.execute(due.with_for_update(skip_locked=True))).all()
    if found:
        mine = sa.update(OUTBOX).where(OUTBOX.c.id.in_([row.id for row in found]))
        await connection.execute(mine.values(due_at=at + lease, attempts=OUTBOX.c.attempts + 1))
    return tuple(Taken(row.id, Message(row.key, row.destination, row.body), row.attempts + 1, row.created_at) for row in found)


async def release(connection: AsyncConnection, at: Moment, lease: int) -> int:
    """Make due at once what would be due within a lease: after a start nobody is under way with it any more. How many."""
    taken = sa.update(OUTBOX).where(OUTBOX.c.state == WAITING, OUTBOX.c.due_at > at, OUTBOX.c.due_at <= at + lease)
    return int((await connection.execute(taken.values(due_at=at))).rowcount)


async def settle(connection: AsyncConnection, id: int, state: str, at: Moment, error: str | None = None) -> None:
    """It has arrived, or is given up."""
    done = sa.update(OUTBOX).where(OUTBOX.c.id == id, OUTBOX.c.state == WAITING)
    await connection.execute(done.values(state=state, settled_at=at, error=error[:LONGEST_ERROR] if error else None))


async def postpone(connection: AsyncConnection, id: int, due_at: Moment, error: str) -> None:
    """It has not arrived; when to try again."""
    again = sa.update(OUTBOX).where(OUTBOX.c.id == id, OUTBOX.c.state == WAITING)
    await connection.execute(again.values(due_at=due_at, error=error[:LONGEST_ERROR]))


async def next_due(connection: AsyncConnection) -> Moment | None:
    """When the next message is due; None where none waits."""
    oldest = sa.select(sa.func.min(OUTBOX.c.id)).where(OUTBOX.c.state == WAITING).group_by(OUTBOX.c.destination)
    found = (await connection.execute(sa.select(sa.func.min(OUTBOX.c.due_at)).where(OUTBOX.c.id.in_(oldest)))).scalar_one_or_none()
    return None if found is None else int(found)


async def standing(connection: AsyncConnection, destination: str) -> Standing:
    """What became of a destination's messages so far, and what went wrong last."""
    counted = sa.select(OUTBOX.c.state, sa.func.count()).where(OUTBOX.c.destination == destination).group_by(OUTBOX.c.state)
    counts = {state: int(count) for state, count in (await connection.execute(counted)).all()}
    wrong = sa.select(OUTBOX.c.error).where(OUTBOX.c.destination == destination, OUTBOX.c.error.is_not(None))
    error = (await connection.execute(wrong.order_by(OUTBOX.c.id.desc()).limit(1))).scalar_one_or_none()
    return Standing(counts.get(WAITING, 0), counts.get(DELIVERED, 0), counts.get(ABANDONED, 0), error)


async def load(connection: AsyncConnection) -> Load:
    """How much is on its way, and how much never arrived."""
    counted = sa.select(OUTBOX.c.state, sa.func.count(), sa.func.min(OUTBOX.c.created_at)).where(OUTBOX.c.state != DELIVERED)
    found = {state: (int(count), int(oldest)) for state, count, oldest in await connection.execute(counted.group_by(OUTBOX.c.state))}
    waiting, oldest = found.get(WAITING, (0, None))
    return Load(waiting, oldest, found.get(ABANDONED, (0, None))[0])


async def forget(connection: AsyncConnection, before: Moment) -> int:
    """Remove what was settled before a moment; how many. Their keys are then new again."""
    old = sa.delete(OUTBOX).where(OUTBOX.c.state != WAITING, OUTBOX.c.settled_at < before)
    return int((await connection.execute(old)).rowcount)
