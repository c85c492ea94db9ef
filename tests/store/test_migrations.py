"""The schema: up, down and up again on both databases, and equal to what the tables say."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from aggregator.model.errors import InputError
from aggregator.store.database import Database, database_url


async def _tables(database: Database) -> set[str]:
    async with database.reading() as connection:
        return set(await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())) - {"alembic_version"}


async def test_up_down_up(bare: Database) -> None:
    assert await _tables(bare) == set()
    await bare.migrate()
    first = await _tables(bare)
    assert first == set(SQLModel.metadata.tables)
    await bare.migrate("base")
    assert await _tables(bare) == set()
    await bare.migrate()
    await bare.migrate()
    assert await _tables(bare) == first


async def test_every_revision_goes_down_alone(bare: Database) -> None:
    await bare.migrate()
    for _ in range(64):
        if not await _tables(bare):
            return
        await bare.migrate("-1")
    raise AssertionError("the migrations never end")


async def test_the_migrations_give_what_the_tables_say(database: Database) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), SQLModel.metadata))

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize("text", ["mysql://a:secret@b/c", "not a url", "", "sqlite+pysqlite:///x"])
def test_other_databases_are_refused_without_showing_a_password(text: str) -> None:
    with pytest.raises(InputError, match="expected sqlite") as refusal:
        database_url(text)
    assert "secret" not in str(refusal.value)


async def test_commits_on_sqlite_are_on_the_disk(database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("a pragma of SQLite")
    async with database.writing() as connection:
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one() == 2
