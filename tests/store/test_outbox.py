"""How much is on its way, on either database."""

from __future__ import annotations

from aggregator.store import outbox
from aggregator.store.database import Database
from aggregator.store.outbox import Load, Message


async def test_the_load_is_what_has_not_arrived(database: Database) -> None:
    async with database.writing() as connection:
        assert await outbox.load(connection) == Load(0, None, 0)
        for number, at in enumerate((50, 30, 40, 20)):
            await outbox.post(connection, [Message(f"key-{number}", f"to-{number}", "{}")], at)
        assert await outbox.load(connection) == Load(4, 20, 0)
        taken = {one.message.key: one.id for one in await outbox.take(connection, 100, 10)}
        await outbox.settle(connection, taken["key-3"], outbox.DELIVERED, 101)
        await outbox.settle(connection, taken["key-1"], outbox.ABANDONED, 102, "no")
    async with database.reading() as connection:
        assert await outbox.load(connection) == Load(2, 40, 1)
