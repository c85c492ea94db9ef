"""Databases for the tests of the store: each test that asks for `database` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aggregator.store.database import Database
from tests.store.postgres import ABSENT, Postgres, binaries


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    programs = binaries()
    if programs is None:
        pytest.skip(ABSENT)
    server = Postgres.start(programs)
    try:
        yield server
    finally:
        server.end()


@pytest.fixture(params=["sqlite", "postgresql"])
async def bare(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database without tables."""
    url = f"sqlite:///{tmp_path / 'store.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres").url
    database = Database.at(url)
    try:
        yield database
    finally:
        await database.migrate("base")
        await database.close()


@pytest.fixture
async def database(bare: Database) -> Database:
    await bare.migrate()
    return bare
