"""The database: SQLite with a write-ahead log unless a PostgreSQL is named; migrated when it is opened.

One writer at a time on SQLite, in a transaction that takes its lock at once, so that no write is lost to a reader that wants to
write too. A commit is on the disk before it is acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from aggregator.model.errors import CrossmarginError, InputError

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

BUSY_SECONDS = 15
PAGES_KIB = 1_000
"""of SQLite's pages that a connection keeps in memory; the system keeps them too"""
PATIENCE_SECONDS = 60.0
"""how long a write waits for a database that has gone away"""
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


class DatabaseUnavailable(CrossmarginError):
    """The database does not answer; nothing was written."""

    exit_code = 3


def database_url(text: str) -> URL:
    """With the asynchronous driver. InputError, which shows no password, for anything but SQLite and PostgreSQL."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise InputError("the database URL is none; expected sqlite:///FILE or postgresql://USER@HOST/NAME") from None
    name = url.drivername
    if name not in (*_DRIVERS, *_DRIVERS.values()):
        raise InputError(f"the database {name} is not supported; expected sqlite:///FILE or postgresql://USER@HOST/NAME")
    return url.set(drivername=_DRIVERS.get(name, name))


class Database:
    """An open database. Use as an async context manager, or `open` and `close`."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_sqlite = url.drivername.startswith("sqlite")
        if self.is_sqlite:
            if url.database and url.database != ":memory:":
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            self._writer = create_async_engine(url, pool_size=1, max_overflow=0, connect_args={"timeout": BUSY_SECONDS})
            self._reader = create_async_engine(url, pool_size=4, isolation_level="AUTOCOMMIT", connect_args={"timeout": BUSY_SECONDS})
            for engine, writes in ((self._writer, True), (self._reader, False)):
                _prepare_sqlite(engine, writes)
        else:
            self._writer = self._reader = create_async_engine(url, pool_size=8, pool_pre_ping=True, connect_args={"timeout": 5})

    @classmethod
    def at(cls, text: str) -> Self:
        """Of a URL as written in the settings; InputError where it is none."""
        return cls(database_url(text))

    async def __aenter__(self) -> Self:
        await self.migrate()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()

    async def migrate(self, revision: str = "head") -> None:
        """Bring the schema to a revision; `base` takes everything away. DatabaseUnavailable where nobody answers."""
        from aggregator.store.migration import run

        with _Named():
            async with self._writer.connect() as connection:
                await connection.run_sync(run, revision)
                await connection.commit()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for queries. DatabaseUnavailable where nobody answers."""
        with _Named():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: all of it is stored when the block is left, none of it when that raises."""
        with _Named():
            async with self._writer.begin() as connection:
                yield connection

    async def write(self, work: Work[T], patience_seconds: float = PATIENCE_SECONDS) -> T:
        """One transaction, made again while the database is away; `work` must bear being run twice. DatabaseUnavailable after a while."""
        limit, pause = asyncio.get_running_loop().time() + patience_seconds, 0.05
        while True:
            try:
                async with self.writing() as connection:
                    return await work(connection)
            except DatabaseUnavailable:
                if asyncio.get_running_loop().time() + pause > limit:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    async def answers(self) -> bool:
        """Whether the database can be read now."""
        try:
            async with asyncio.timeout(2), self.reading() as connection:
                await connection.execute(sa.text("SELECT 1"))
        except (DatabaseUnavailable, TimeoutError):
            return False
        return True


class _Named:
    """Turns what drivers raise for a database that is not there into one error of ours; every other error stays what it is."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if _gone(error):
            raise DatabaseUnavailable("the database does not answer") from error


def _gone(error: BaseException | None) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | OSError | TimeoutError) or type(error).__name__ in (
        "CannotConnectNowError",
        "ConnectionDoesNotExistError",
        "AdminShutdownError",
        "TooManyConnectionsError",
    )


def _prepare_sqlite(engine: AsyncEngine, writes: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_SECONDS * 1000}",
            f"cache_size=-{PAGES_KIB}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    if writes:

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
