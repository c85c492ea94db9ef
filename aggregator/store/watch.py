"""Who is followed, what they are called, and who is told of alerts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address
from aggregator.store.tables import AlertRow, LabelRow, Moment, SubscriptionRow, WatchedOwner, table

OWNERS, LABELS, SUBSCRIPTIONS, ALERTS = table(WatchedOwner), table(LabelRow), table(SubscriptionRow), table(AlertRow)
MOST_LABELS = 16
"""of one author on one owner"""
MOST_SUBSCRIPTIONS = 100
"""of one key or wallet"""
_CHUNK = 500
"""owners that one statement names: databases limit their parameters"""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Somebody who wants to be told of alerts; see the table."""

    owner: Address | None
    channel: str
    target: str = field(repr=False)
    """a URL, which may hold a key"""
    severity: str
    created_by: str
    created_at: Moment
    id: str = ""
    secret: str = field(default="", repr=False)
    """hex"""


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """A message of an alert's life; `body` is its JSON."""

    identifier: str
    episode: str
    state: str
    severity: str
    rule: str
    owner: Address | None
    at: Moment
    body: str
    id: int = 0


async def watched(connection: AsyncConnection) -> tuple[Address, ...]:
    """Every followed owner, in the order of addresses: those who are watched, and those of whom somebody wants to be told."""
    told = sa.select(SUBSCRIPTIONS.c.owner).where(SUBSCRIPTIONS.c.owner.is_not(None))
    found = await connection.execute(sa.union(sa.select(OWNERS.c.address), told))
    return tuple(sorted(Address(address) for address in found.scalars()))


async def is_watched(connection: AsyncConnection, owner: Address) -> bool:
    """Whether an owner is among `watched`."""
    there = sa.select(OWNERS.c.address).where(OWNERS.c.address == owner)
    told = sa.select(SUBSCRIPTIONS.c.owner).where(SUBSCRIPTIONS.c.owner == owner)
    return (await connection.execute(sa.union(there, told).limit(1))).first() is not None


async def watch(connection: AsyncConnection, owners: Sequence[Address], by: str, at: Moment, most: int) -> int:
    """Follow owners from now on; how many of them are new. InputError where more than `most` would be followed."""
    wanted = dict.fromkeys(owners)
    known = await _known(connection, tuple(wanted))
    new = [owner for owner in wanted if owner not in known]
    count = (await connection.execute(sa.select(sa.func.count()).select_from(OWNERS))).scalar_one()
    if count + len(new) > most:
        raise InputError(f"{most} owners can be watched, and {count} are")
    if new:
        await connection.execute(sa.insert(OWNERS), [{"address": one, "added_at": at, "added_by": by} for one in new])
    return len(new)


async def unwatch(connection: AsyncConnection, owner: Address) -> bool:
    """False where the owner was not followed."""
    return bool((await connection.execute(sa.delete(OWNERS).where(OWNERS.c.address == owner))).rowcount)


async def _known(connection: AsyncConnection, owners: Sequence[Address]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(owners), _CHUNK):
        part = sa.select(OWNERS.c.address).where(OWNERS.c.address.in_(owners[start : start + _CHUNK]))
        found.update((await connection.execute(part)).scalars())
    return found


async def labels(connection: AsyncConnection, owner: Address, author: str) -> tuple[str, ...]:
    """What this author calls an owner."""
    found = await connection.execute(
        sa.select(LABELS.c.label).where(LABELS.c.owner == owner, LABELS.c.author == author).order_by(LABELS.c.label)
    )
    return tuple(found.scalars())


async def set_labels(connection: AsyncConnection, owner: Address, author: str, names: Sequence[str], at: Moment) -> tuple[str, ...]:
    """Exactly these from now on. InputError for too many."""
    wanted = tuple(sorted(set(names)))
    if len(wanted) > MOST_LABELS:
        raise InputError(f"an owner has {MOST_LABELS} labels at most")
    await connection.execute(sa.delete(LABELS).where(LABELS.c.owner == owner, LABELS.c.author == author))
    if wanted:
        rows = [{"owner": owner, "author": author, "label": name, "created_at": at} for name in wanted]
        await connection.execute(sa.insert(LABELS), rows)
    return wanted


async def subscribe(connection: AsyncConnection, wanted: Subscription) -> str:
    """The new subscription's id. InputError where its author has too many."""
    mine = sa.select(sa.func.count()).select_from(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.created_by == wanted.created_by)
    if (await connection.execute(mine)).scalar_one() >= MOST_SUBSCRIPTIONS:
        raise InputError(f"{MOST_SUBSCRIPTIONS} subscriptions are the most")
    identifier = secrets.token_hex(12)
    row = {
        "id": identifier,
        "owner": wanted.owner,
        "channel": wanted.channel,
        "target": wanted.target,
        "secret": wanted.secret,
        "severity": wanted.severity,
        "created_by": wanted.created_by,
        "created_at": wanted.created_at,
    }
    await connection.execute(sa.insert(SUBSCRIPTIONS).values(row))
    return identifier


async def unsubscribe(connection: AsyncConnection, identifier: str, by: str) -> bool:
    """False where this author has no such subscription."""
    there = sa.delete(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id == identifier, SUBSCRIPTIONS.c.created_by == by)
    return bool((await connection.execute(there)).rowcount)


async def subscriptions(connection: AsyncConnection, by: str | None = None) -> tuple[Subscription, ...]:
    """Every subscription, or one author's, the oldest first."""
    wanted = sa.select(SUBSCRIPTIONS).order_by(SUBSCRIPTIONS.c.created_at, SUBSCRIPTIONS.c.id)
    if by is not None:
        wanted = wanted.where(SUBSCRIPTIONS.c.created_by == by)
    return tuple(
        Subscription(row.owner, row.channel, row.target, row.severity, row.created_by, row.created_at, row.id, row.secret)
        for row in await connection.execute(wanted)
    )


async def keep_alerts(connection: AsyncConnection, alerts: Sequence[StoredAlert]) -> tuple[StoredAlert, ...]:
    """Those that were not known yet, now kept."""
    known = sa.select(ALERTS.c.identifier).where(ALERTS.c.identifier.in_([one.identifier for one in alerts]))
    old = set((await connection.execute(known)).scalars())
    new = tuple({one.identifier: one for one in alerts if one.identifier not in old}.values())
    if new:
        rows = [
            {
                "identifier": one.identifier,
                "episode": one.episode,
                "state": one.state,
                "severity": one.severity,
                "rule": one.rule,
                "owner": one.owner,
                "at": one.at,
                "body": one.body,
            }
            for one in new
        ]
        await connection.execute(sa.insert(ALERTS), rows)
    return new


async def alerts_page(
    connection: AsyncConnection, limit: int, before: int | None = None, severities: Sequence[str] = (), owner: Address | None = None
) -> tuple[tuple[StoredAlert, ...], int | None]:
    """Alerts about an owner, or those that concern everybody, the newest first, and where the next older page begins."""
    about = ALERTS.c.owner.is_(None) if owner is None else ALERTS.c.owner == owner
    wanted = sa.select(ALERTS).where(about).order_by(ALERTS.c.id.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(ALERTS.c.id < before)
    if severities:
        wanted = wanted.where(ALERTS.c.severity.in_(severities))
    found = (await connection.execute(wanted)).all()
    rows = tuple(
        StoredAlert(row.identifier, row.episode, row.state, row.severity, row.rule, row.owner, row.at, row.body, row.id)
        for row in found[:limit]
    )
    return rows, rows[-1].id if len(found) > limit else None
