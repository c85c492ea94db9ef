"""What was published: kept together, withdrawn with its blocks, told again to who comes back."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from aggregator.model.identifiers import Address, ChainId
from aggregator.model.snapshot import Block
from aggregator.store import chronicle
from aggregator.store.chronicle import Assessed, Entry, Event, Figures, Withdrawal
from aggregator.store.database import Database

ONE, TWO = ChainId("eip155:1"), ChainId("eip155:8453")
ALICE, BOB = Address("0x" + "a1" * 20), Address("0x" + "b0" * 20)
EQUITY = "123456789012345678901234.123456"
"""more digits than a float or SQLite's numbers hold"""


def block(number: int, branch: str = "a") -> Block:
    return Block(number, f"0x{branch}{number:063x}", 1_700_000_000 + number)


def assessed(owner: Address, *blocks: tuple[ChainId, Block], at: int = 1, score: str | None = "91.5") -> Assessed:
    return Assessed(owner, at, f"s{at}", Figures(score, "1.5", EQUITY, "2", "1", "0.5", True), blocks)


async def test_an_entry_is_read_back_as_it_was(database: Database) -> None:
    entry = Entry(
        blocks=((ONE, block(7)), (TWO, block(9))),
        assessments=(assessed(ALICE, (ONE, block(7)), (TWO, block(9))), assessed(BOB, (ONE, block(7)), score=None)),
        events=(Event("health", 5, '{"a":1}', ALICE, ONE), Event("alert", 6, "{}", severity="critical")),
        checkpoints=((ONE, block(7)),),
        at=5,
    )
    async with database.writing() as connection:
        first, second = await chronicle.record(connection, entry)
    assert 0 < first < second
    async with database.reading() as connection:
        page = await chronicle.history(connection, ALICE, 10)
        assert [row.assessed.figures for row in page.rows] == [entry.assessments[0].figures]
        assert Decimal(page.rows[0].assessed.figures.equity_usd or 0) == Decimal(EQUITY)
        assert [(chain, b.number, b.hash) for chain, b in page.rows[0].assessed.blocks] == [
            (ONE, 7, block(7).hash),
            (TWO, 9, block(9).hash),
        ]
        assert (await chronicle.history(connection, BOB, 10)).rows[0].assessed.figures.score is None
        assert [(e.id, e.kind, e.owner, e.severity) for e in await chronicle.events_after(connection, 0, 10)] == [
            (first, "health", ALICE, None),
            (second, "alert", None, "critical"),
        ]
        assert await chronicle.events_after(connection, second, 10) == ()
        assert (await chronicle.checkpoints(connection))[ONE].hash == block(7).hash


async def test_figures_of_replaced_blocks_are_withdrawn_and_no_others(database: Database) -> None:
    async with database.writing() as connection:
        blocks = tuple((ONE, block(n)) for n in range(3))
        rows = (*(assessed(ALICE, (ONE, block(n)), at=n) for n in range(3)), assessed(ALICE, (TWO, block(2)), at=3))
        await chronicle.record(connection, Entry(blocks=blocks, assessments=rows))
    async with database.writing() as connection:
        gone = Withdrawal(ONE, (block(1).hash, block(2).hash), 50, "replaced")
        await chronicle.record(connection, Entry(withdrawals=(gone,), blocks=((ONE, block(1, "b")),)))
    async with database.reading() as connection:
        page = await chronicle.history(connection, ALICE, 10)
        assert [(row.withdrawn_at, row.withdrawn_why) for row in page.rows] == [
            (None, None),
            (50, "replaced"),
            (50, "replaced"),
            (None, None),
        ]
        assert [b.hash for b in await chronicle.recent_blocks(connection, ONE, 10)] == [block(0).hash, block(1, "b").hash]
    async with database.writing() as connection:
        await chronicle.record(connection, Entry(blocks=((ONE, block(2)),)))
    async with database.reading() as connection:
        assert block(2).hash in [b.hash for b in await chronicle.recent_blocks(connection, ONE, 10)]


async def test_history_in_pages_holds_everything_once(database: Database) -> None:
    async with database.writing() as connection:
        await chronicle.record(connection, Entry(assessments=tuple(assessed(ALICE, at=n) for n in range(1, 8))))
    seen, before = list[int](), None
    async with database.reading() as connection:
        while True:
            page = await chronicle.history(connection, ALICE, 3, before)
            seen = [row.assessed.at for row in page.rows] + seen
            before = page.before
            if before is None:
                break
    assert seen == list(range(1, 8))


async def test_event_ids_grow_even_after_pruning(database: Database) -> None:
    async with database.writing() as connection:
        ids = await chronicle.record(connection, Entry(events=tuple(Event("health", n, "{}") for n in range(5))))
    async with database.writing() as connection:
        await chronicle.prune(connection, 10**9, 10**9)
    async with database.writing() as connection:
        (following,) = await chronicle.record(connection, Entry(events=(Event("health", 9, "{}"),)))
    assert following > max(ids)
    async with database.reading() as connection:
        assert [e.id for e in await chronicle.newest_events(connection, 10)] == [max(ids), following]


async def test_nothing_of_a_failed_entry_stays(database: Database) -> None:
    with pytest.raises(RuntimeError, match="power"):
        async with database.writing() as connection:
            await chronicle.record(connection, Entry(blocks=((ONE, block(1)),), events=(Event("health", 1, "{}"),)))
            raise RuntimeError("power")
    async with database.reading() as connection:
        assert await chronicle.events_after(connection, 0, 10) == ()
        assert await chronicle.recent_blocks(connection, ONE, 10) == ()


async def test_writers_wait_for_one_another(database: Database) -> None:
    async def one(number: int) -> tuple[int, ...]:
        async with database.writing() as connection:
            return await chronicle.record(connection, Entry(events=(Event("health", number, "{}"),)))

    made = await asyncio.gather(*(one(n) for n in range(20)))
    assert len({number for (number,) in made}) == 20
