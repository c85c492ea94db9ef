"""Epochs in the store: a number has one root for ever, and old ones go by rule."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aggregator.store import epochs
from aggregator.store.database import Database
from aggregator.store.epochs import ALWAYS_KEPT, MOST_KEPT, EpochHead

FIRST = EpochHead(2_900_000, "0x" + "ab" * 32, 3, 1_750_000_000, 1_750_000_900, 1_750_000_010_000_000)


async def test_an_epoch_comes_back_as_it_was_written(database: Database) -> None:
    scores = bytes(range(256)) * 5_000
    async with database.reading() as connection:
        assert await epochs.newest(connection) is None and await epochs.load(connection, FIRST.number) is None
    async with database.writing() as connection:
        assert await epochs.keep(connection, FIRST, scores)
    async with database.reading() as connection:
        assert await epochs.newest(connection) == FIRST
        assert await epochs.load(connection, FIRST.number) == (FIRST, scores)
        assert await epochs.load(connection, FIRST.number + 1) is None


async def test_no_number_is_given_to_two_roots(database: Database) -> None:
    other = replace(FIRST, root="0x" + "cd" * 32)
    async with database.writing() as connection:
        assert await epochs.keep(connection, FIRST, b"first")
    for late in (other, replace(other, number=FIRST.number - 1), FIRST):
        async with database.writing() as connection:
            assert not await epochs.keep(connection, late, b"second")
    async with database.reading() as connection:
        assert await epochs.load(connection, FIRST.number) == (FIRST, b"first")
        assert await epochs.load(connection, FIRST.number - 1) is None, "numbers only grow"


async def test_of_two_who_write_at_once_one_is_kept(database: Database) -> None:
    heads = [replace(FIRST, root="0x" + f"{number:064x}") for number in range(6)]

    async def write(head: EpochHead) -> bool:
        async with database.writing() as connection:
            return await epochs.keep(connection, head, head.root.encode())

    kept = await asyncio.gather(*map(write, heads))
    assert sum(kept) == 1
    async with database.reading() as connection:
        found = await epochs.load(connection, FIRST.number)
    assert found == (heads[kept.index(True)], heads[kept.index(True)].root.encode())


async def test_the_newest_stay_and_what_is_still_good_within_bounds(database: Database) -> None:
    now, count = FIRST.valid_until, MOST_KEPT + 30
    good_from = FIRST.number + count - ALWAYS_KEPT - 5

    async def numbers() -> list[int]:
        async with database.reading() as connection:
            return [n for n in range(FIRST.number, FIRST.number + count) if await epochs.load(connection, n) is not None]

    async with database.writing() as connection:
        for number in range(FIRST.number, FIRST.number + count):
            until = now if number >= good_from else now - 1
            await epochs.keep(connection, replace(FIRST, number=number, valid_until=until), b"")
    async with database.writing() as connection:
        assert await epochs.prune(connection, 0) == 30, "all good, but too many"
    assert len(await numbers()) == MOST_KEPT
    async with database.writing() as connection:
        await epochs.prune(connection, now)
    assert await numbers() == list(range(good_from, FIRST.number + count))
    async with database.writing() as connection:
        await epochs.prune(connection, now + 1)
        assert await epochs.prune(connection, 2**62) == 0
    assert await numbers() == list(range(FIRST.number + count - ALWAYS_KEPT, FIRST.number + count))
