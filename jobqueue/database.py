"""Database: the engine and its transactions, on SQLite and PostgreSQL.

Tables belong to the packages that use them: each has metadata of its own.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import DateTime, MetaData, event, text
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.types import TypeDecorator

from jobqueue.clock import now_ms as wall_clock_ms
from jobqueue.errors import DatabaseUnavailable, SettingsError
from jobqueue.sqlite import SqliteConnections

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
CONNECT_TIMEOUT_S = 5.0

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def new_metadata() -> MetaData:
    """The metadata of one package's tables: constraints get the same names on every database."""
    return MetaData(naming_convention=NAMING_CONVENTION)


def new_id(now_ms: int | None = None) -> str:
    """A version 7 UUID as text: ids that are made later sort later, to the millisecond. Source: RFC 9562."""
    moment_ms = wall_clock_ms() if now_ms is None else now_ms
    version, variant = 0x7 << 76, 0x2 << 62
    randomness = secrets.randbits(12) << 64 | secrets.randbits(62)
    return str(uuid.UUID(int=(moment_ms & (1 << 48) - 1) << 80 | version | variant | randomness))


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always aware and in UTC: SQLite keeps no zone, so it is taken off and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment needs a time zone: {value!r}")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def parse_database_url(database_url: str) -> URL:
    """The URL with its async driver: `sqlite:///…` and `postgresql://…` get theirs.

    Raises: SettingsError, which does not repeat the URL, since that may hold a password.
    """
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        raise SettingsError("DATABASE_URL", "is not a URL like sqlite+aiosqlite:///jobs.db") from None
    if "@" in (url.host or ""):  # the end of a password, which would be shown as a part of the host
        raise SettingsError("DATABASE_URL", "has two '@'; percent-encode '@' as %40 in user name and password")
    driver = DRIVERS.get(url.drivername)
    if driver is None:
        known = "sqlite+aiosqlite:///… or postgresql+asyncpg://…"
        raise SettingsError("DATABASE_URL", f"{url.drivername!r} is not supported; use {known}")
    return url.set(drivername=driver)


def address_of(url: URL) -> str:
    """The URL as it may be shown: without its password, and without its options, of which one may be a password."""
    return url.set(query={}).render_as_string(hide_password=True)


@dataclass(frozen=True, slots=True)
class Database:
    """One engine with its pool. `address` is its URL, fit to be shown."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

    @property
    def address(self) -> str:
        return address_of(self.engine.url)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """A session that commits at the end of the block, and rolls back where the block raises.

        Only database work belongs inside. Raises: DatabaseUnavailable where the database is away, busy too
        long, not upgraded or not for this user; other errors of the database as SQLAlchemy names them.
        """
        with telling_unavailable(self.engine.url):
            async with self.sessions.begin() as session:
                yield session

    async def ping(self) -> None:
        """One round trip. Raises: DatabaseUnavailable."""
        async with self.transaction() as session:
            await session.execute(text("SELECT 1"))


@contextmanager
def telling_unavailable(url: URL) -> Generator[None]:
    """Around work on a database. Raises: DatabaseUnavailable for errors that say that it is of no use now."""
    try:
        yield
    except (OSError, DBAPIError, NoFreeConnection) as error:
        reason = _why_unavailable(error)
        if reason is None:
            raise
        raise DatabaseUnavailable(address_of(url), reason) from error


@asynccontextmanager
async def open_database(database_url: str, *, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> AsyncGenerator[Database]:
    """A database for the length of the block; connections are made at first use. Raises: SettingsError."""
    connections = SqliteConnections()
    engine = _engine(parse_database_url(database_url), connect_timeout_s, connections)
    try:
        yield Database(engine, async_sessionmaker(engine, expire_on_commit=False))
    finally:
        try:
            await engine.dispose()
        finally:
            await connections.close()


class _Cursor(Protocol):
    def execute(self, statement: str, /) -> object: ...
    def close(self) -> None: ...


class _SqliteConnection(Protocol):
    def cursor(self) -> _Cursor: ...


def _engine(url: URL, connect_timeout_s: float, sqlite_connections: SqliteConnections) -> AsyncEngine:
    # asyncpg would wait a minute for a host that swallows packets; for sqlite3 it is the wait for a busy file.
    arguments: dict[str, object] = {"timeout": connect_timeout_s}
    if url.get_backend_name() == "sqlite":
        arguments["async_creator_fn"] = sqlite_connections.connect
    try:
        # What a statement carries may be a secret, and an error with it would go into the log.
        engine = create_async_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=arguments)
    except ModuleNotFoundError as error:
        raise SettingsError("DATABASE_URL", f"needs {error.name}: pip install 'jobqueue[postgres]'") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "do_connect", _find_file)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _find_file(_dialect: Dialect, _record: object, arguments: Sequence[object], _named: object) -> None:
    """SQLite itself says only that it cannot open the file. Raises: FileNotFoundError where its folder is missing."""
    name = str(arguments[0])
    path = Path(name)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}")
    if name != ":memory:" and not name.startswith("file:"):
        _make_private(path)


def _make_private(path: Path) -> None:
    """Make the file unless it is there: SQLite would let the whole machine read payloads and secrets of webhooks."""
    with suppress(OSError):  # it is there, or SQLite will say what is wrong
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare_sqlite(connection: _SqliteConnection, _record: object) -> None:
    """Readers beside one writer, and foreign keys that hold."""
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        # Alone among statements, this one does not wait for a busy file. The mode is the file's own: whoever is at
        # work there has asked for it, or the next connection does.
        if "locked" not in str(error):
            raise
    finally:
        cursor.close()


_PASSING_STATES = ("08", "53", "57P", "3D")
"""SQLSTATE classes that mean "not now": connection, resources, shutdown, no such database."""
_PASSING_WORDS = ("unable to open database", "database is locked", "not a database", "disk I/O error")
"""The same in the words of SQLite."""
_UPGRADE = "run `jobqueue db upgrade`"
_FOR_PEOPLE = (
    ("42P01", ("no such table",), f"its tables are missing ({{}}); {_UPGRADE}"),
    ("42703", ("no such column", "has no column named"), f"its tables are of another version ({{}}); {_UPGRADE}"),
    ("42501", ("readonly database",), "its user may not do that ({})"),
    ("25006", (), "it takes no changes ({})"),
    ("28P01", (), "it refuses the login ({})"),
    ("28000", (), "it refuses the login ({})"),
)
"""What stays so until a person has done something about it: SQLSTATE, SQLite's words, and what to say."""


def _why_unavailable(error: OSError | DBAPIError | NoFreeConnection) -> str | None:
    """One line that says why the database is of no use now; None where the statement itself is at fault."""
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if not isinstance(error, DBAPIError):
        return str(error)
    cause = str(error.orig).partition("\n")[0]
    state = getattr(error.orig, "sqlstate", None)
    for known, phrases, saying in _FOR_PEOPLE:
        if state == known or (state is None and any(words in cause for words in phrases)):
            return saying.format(cause)
    if error.connection_invalidated or (isinstance(state, str) and state.startswith(_PASSING_STATES)):
        return cause
    if any(words in cause for words in _PASSING_WORDS):
        return cause
    return None
