"""Epochs as they were sealed: written before anybody is shown one, so that a number never has two roots."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from aggregator.store.tables import EpochRow, Moment, table

EPOCHS = table(EpochRow)
ALWAYS_KEPT, MOST_KEPT = 12, 144
"""epochs, the newest: whether they are still good or not; and at the most, however long they are good"""
_HEAD = (EPOCHS.c.number, EPOCHS.c.root, EPOCHS.c.count, EPOCHS.c.as_of, EPOCHS.c.valid_until, EPOCHS.c.sealed_at)


@dataclass(frozen=True, slots=True)
class EpochHead:
    """What was said of an epoch. `root`: 0x-hex; `as_of` and `valid_until` in unix seconds."""

    number: int
    root: str
    count: int
    as_of: int
    valid_until: int
    sealed_at: Moment


async def keep(connection: AsyncConnection, head: EpochHead, scores: bytes) -> bool:
    """Write an epoch with its packed scores. False where its number, or a larger one, has been taken: nothing is written then."""
    last = await newest(connection)
    if last is not None and last.number >= head.number:
        return False
    values = {"number": head.number, "root": head.root, "count": head.count, "as_of": head.as_of, "valid_until": head.valid_until}
    try:
        async with connection.begin_nested():
            await connection.execute(sa.insert(EPOCHS).values(**values, sealed_at=head.sealed_at, scores=scores))
    except IntegrityError:  # another process took it since it was looked for
        return False
    return True


async def newest(connection: AsyncConnection) -> EpochHead | None:
    """The epoch with the largest number; None before the first."""
    found = (await connection.execute(sa.select(*_HEAD).order_by(EPOCHS.c.number.desc()).limit(1))).one_or_none()
    return EpochHead(*found) if found is not None else None


async def load(connection: AsyncConnection, number: int) -> tuple[EpochHead, bytes] | None:
    """An epoch with its packed scores; None for one that was never sealed or is no longer kept."""
    found = (await connection.execute(sa.select(*_HEAD, EPOCHS.c.scores).where(EPOCHS.c.number == number))).one_or_none()
    return (EpochHead(*found[:-1]), found[-1]) if found is not None else None


async def prune(connection: AsyncConnection, now_seconds: int) -> int:
    """Let go of what is no longer good, but for the newest, and of everything beyond the most that are kept; how many went.

    The newest always stays: numbers only grow, also after a restart.
    """

    def beyond(kept: int) -> sa.ColumnElement[bool]:
        newest_ones = sa.select(EPOCHS.c.number).order_by(EPOCHS.c.number.desc()).limit(kept)
        return EPOCHS.c.number.not_in(newest_ones.scalar_subquery())

    expired = sa.and_(beyond(ALWAYS_KEPT), EPOCHS.c.valid_until < now_seconds)
    return (await connection.execute(sa.delete(EPOCHS).where(sa.or_(expired, beyond(MOST_KEPT))))).rowcount
