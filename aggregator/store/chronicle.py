"""What was published, block by block: blocks, assessments, events and checkpoints, written together or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aggregator.model.identifiers import Address, ChainId
from aggregator.model.snapshot import Block
from aggregator.store.tables import AssessmentBlock, AssessmentRow, BlockRow, CheckpointRow, EventRow, Moment, table

BLOCKS, ASSESSMENTS, STANDS_ON = table(BlockRow), table(AssessmentRow), table(AssessmentBlock)
EVENTS, CHECKPOINTS = table(EventRow), table(CheckpointRow)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of an assessment that the history keeps: decimals as text, None where withheld."""

    score: str | None
    margin_ratio: str | None
    equity_usd: str | None
    collateral_usd: str
    debt_usd: str | None
    requirement_usd: str | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Assessed:
    """One assessment to keep, and the blocks that it stands on by chain."""

    owner: Address
    at: Moment
    snapshot: str
    figures: Figures
    blocks: tuple[tuple[ChainId, Block], ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that subscribers are told. `body` is JSON text; `owner`, `chain` and `severity` are what filters look at."""

    kind: str
    at: Moment
    body: str
    owner: Address | None = None
    chain: ChainId | None = None
    severity: str | None = None
    id: int = 0
    """given when it is stored; larger than every earlier one's"""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Blocks of a chain that were replaced, by hash."""

    chain: ChainId
    hashes: tuple[str, ...]
    at: Moment
    why: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything that one turn of the loop leaves behind."""

    blocks: tuple[tuple[ChainId, Block], ...] = ()
    assessments: tuple[Assessed, ...] = ()
    events: tuple[Event, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    checkpoints: tuple[tuple[ChainId, Block], ...] = ()
    at: Moment = 0


@dataclass(frozen=True, slots=True)
class PastAssessment:
    """An assessment of the history."""

    id: int
    assessed: Assessed
    withdrawn_at: Moment | None = None
    withdrawn_why: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Oldest first. `before` is where the next older page begins, None where there is none."""

    rows: tuple[PastAssessment, ...] = field(default=())
    before: int | None = None


async def record(connection: AsyncConnection, entry: Entry) -> tuple[int, ...]:
    """Write an entry; the ids of its events, in their order. Writing the same blocks twice changes nothing."""
    if entry.blocks:
        await _keep_blocks(connection, entry.blocks)
    for one in entry.withdrawals:
        await _withdraw(connection, one)
    if entry.assessments:
        await _keep_assessments(connection, entry.assessments)
    for chain, block in entry.checkpoints:
        await _keep_checkpoint(connection, chain, block, entry.at)
    if not entry.events:
        return ()
    rows = [{"kind": e.kind, "owner": e.owner, "chain": e.chain, "severity": e.severity, "at": e.at, "body": e.body} for e in entry.events]
    made = await connection.execute(sa.insert(EVENTS).returning(EVENTS.c.id, sort_by_parameter_order=True), rows)
    return tuple(made.scalars())


async def _keep_blocks(connection: AsyncConnection, blocks: Iterable[tuple[ChainId, Block]]) -> None:
    """A block that came back after it was replaced is no orphan any more."""
    known = {(chain, block.hash): block for chain, block in blocks}
    for chain in {chain for chain, _ in known}:
        hashes = [hash_ for of, hash_ in known if of == chain]
        found = await connection.execute(sa.select(BLOCKS.c.hash).where(BLOCKS.c.chain == chain, BLOCKS.c.hash.in_(hashes)))
        old = set(found.scalars())
        if old:
            again = sa.update(BLOCKS).where(BLOCKS.c.chain == chain, BLOCKS.c.hash.in_(sorted(old)))
            await connection.execute(again.values(orphaned_at=None))
        new = [known[chain, hash_] for hash_ in hashes if hash_ not in old]
        rows = [{"chain": chain, "hash": b.hash, "number": b.number, "timestamp": b.timestamp, "orphaned_at": None} for b in new]
        if rows:
            await connection.execute(sa.insert(BLOCKS), rows)


async def _withdraw(connection: AsyncConnection, withdrawal: Withdrawal) -> None:
    there = BLOCKS.c.chain == withdrawal.chain, BLOCKS.c.hash.in_(withdrawal.hashes)
    await connection.execute(sa.update(BLOCKS).where(*there).values(orphaned_at=withdrawal.at))
    standing = sa.select(STANDS_ON.c.assessment).where(STANDS_ON.c.chain == withdrawal.chain, STANDS_ON.c.hash.in_(withdrawal.hashes))
    marked = sa.update(ASSESSMENTS).where(ASSESSMENTS.c.id.in_(standing), ASSESSMENTS.c.withdrawn_at.is_(None))
    await connection.execute(marked.values(withdrawn_at=withdrawal.at, withdrawn_why=withdrawal.why))


async def _keep_assessments(connection: AsyncConnection, assessments: Sequence[Assessed]) -> None:
    rows = [
        {
            "owner": one.owner,
            "at": one.at,
            "snapshot": one.snapshot,
            "score": one.figures.score,
            "margin_ratio": one.figures.margin_ratio,
            "equity_usd": one.figures.equity_usd,
            "collateral_usd": one.figures.collateral_usd,
            "debt_usd": one.figures.debt_usd,
            "requirement_usd": one.figures.requirement_usd,
            "complete": one.figures.complete,
            "withdrawn_at": None,
            "withdrawn_why": None,
        }
        for one in assessments
    ]
    made = await connection.execute(sa.insert(ASSESSMENTS).returning(ASSESSMENTS.c.id, sort_by_parameter_order=True), rows)
    stands = [
        {"assessment": number, "chain": chain, "number": block.number, "hash": block.hash}
        for number, one in zip(made.scalars(), assessments, strict=True)
        for chain, block in one.blocks
    ]
    if stands:
        await connection.execute(sa.insert(STANDS_ON), stands)


async def _keep_checkpoint(connection: AsyncConnection, chain: ChainId, block: Block, at: Moment) -> None:
    values = {"number": block.number, "hash": block.hash, "at": at}
    changed = await connection.execute(sa.update(CHECKPOINTS).where(CHECKPOINTS.c.chain == chain).values(values))
    if not changed.rowcount:
        await connection.execute(sa.insert(CHECKPOINTS).values(chain=chain, **values))


async def history(connection: AsyncConnection, owner: Address, limit: int, before: int | None = None) -> HistoryPage:
    """The newest assessments of an owner, or those older than the assessment `before`."""
    wanted = sa.select(ASSESSMENTS).where(ASSESSMENTS.c.owner == owner).order_by(ASSESSMENTS.c.id.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(ASSESSMENTS.c.id < before)
    found = (await connection.execute(wanted)).all()
    more, found = len(found) > limit, found[:limit]
    stands = await connection.execute(sa.select(STANDS_ON).where(STANDS_ON.c.assessment.in_([row.id for row in found])))
    blocks: dict[int, list[tuple[ChainId, Block]]] = {}
    for one in stands:
        blocks.setdefault(one.assessment, []).append((ChainId(one.chain), Block(one.number, one.hash, 0)))
    rows = tuple(
        PastAssessment(
            row.id,
            Assessed(
                Address(row.owner),
                row.at,
                row.snapshot,
                Figures(
                    row.score, row.margin_ratio, row.equity_usd, row.collateral_usd, row.debt_usd, row.requirement_usd, bool(row.complete)
                ),
                tuple(sorted(blocks.get(row.id, ()), key=lambda pair: pair[0])),
            ),
            row.withdrawn_at,
            row.withdrawn_why,
        )
        for row in reversed(found)
    )
    return HistoryPage(rows, rows[0].id if more and rows else None)


async def events_after(connection: AsyncConnection, last: int, limit: int) -> tuple[Event, ...]:
    """Events with a larger id, oldest first."""
    found = await connection.execute(sa.select(EVENTS).where(EVENTS.c.id > last).order_by(EVENTS.c.id).limit(limit))
    return tuple(_event(row) for row in found)


async def newest_events(connection: AsyncConnection, limit: int) -> tuple[Event, ...]:
    """The newest events, oldest first."""
    found = (await connection.execute(sa.select(EVENTS).order_by(EVENTS.c.id.desc()).limit(limit))).all()
    return tuple(_event(row) for row in reversed(found))


async def oldest_event(connection: AsyncConnection) -> int:
    """The smallest id that is still kept; 1 where there are no events."""
    return int((await connection.execute(sa.select(sa.func.min(EVENTS.c.id)))).scalar_one() or 1)


def _event(row: sa.Row[tuple[object, ...]]) -> Event:
    return Event(row.kind, row.at, row.body, row.owner, row.chain, row.severity, row.id)


async def checkpoints(connection: AsyncConnection) -> dict[ChainId, Block]:
    """The last stored block of every chain, without its time."""
    found = await connection.execute(sa.select(CHECKPOINTS))
    return {ChainId(row.chain): Block(row.number, row.hash, 0) for row in found}


async def recent_blocks(connection: AsyncConnection, chain: ChainId, limit: int) -> tuple[Block, ...]:
    """The newest blocks of a chain that nobody replaced, oldest first."""
    wanted = sa.select(BLOCKS).where(BLOCKS.c.chain == chain, BLOCKS.c.orphaned_at.is_(None)).order_by(BLOCKS.c.number.desc()).limit(limit)
    return tuple(Block(row.number, row.hash, row.timestamp) for row in reversed((await connection.execute(wanted)).all()))


async def prune(connection: AsyncConnection, history_before: Moment, events_before: Moment) -> None:
    """Let go of what is older. The newest event always stays, so that ids never start again."""
    newest = sa.select(sa.func.max(EVENTS.c.id)).scalar_subquery()
    await connection.execute(sa.delete(EVENTS).where(EVENTS.c.at < events_before, EVENTS.c.id < newest))
    old = sa.select(ASSESSMENTS.c.id).where(ASSESSMENTS.c.at < history_before)
    await connection.execute(sa.delete(STANDS_ON).where(STANDS_ON.c.assessment.in_(old)))
    await connection.execute(sa.delete(ASSESSMENTS).where(ASSESSMENTS.c.at < history_before))
    stood_on = sa.select(STANDS_ON.c.hash).where(STANDS_ON.c.chain == BLOCKS.c.chain, STANDS_ON.c.hash == BLOCKS.c.hash)
    old_blocks = BLOCKS.c.timestamp < history_before // 1_000_000
    await connection.execute(sa.delete(BLOCKS).where(old_blocks, ~stood_on.exists()))
