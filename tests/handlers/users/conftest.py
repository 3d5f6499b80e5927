"""The fixtures of these tests: a database with the service's tables and the outbox's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import delete

from handlers.models import ServiceBase, User
from jobqueue.database import Database, open_database
from jobqueue.outbox import OutboxRow
from tests.support.postgres_server import PostgresServer


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def tables_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One database for a whole module, on SQLite and on PostgreSQL: to make one costs more than most of its tests."""
    with ExitStack() as made:
        if request.param == "sqlite":
            url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('users') / 'jobqueue.db'}"
        else:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            url = made.enter_context(server.fresh_database())
        asyncio.run(_make_tables(url))
        yield url


@pytest.fixture
async def database(tables_url: str) -> AsyncGenerator[Database]:
    """The module's database; nothing of the test stays in it."""
    async with open_database(tables_url) as opened:
        yield opened
        async with opened.transaction() as transaction:
            await transaction.execute(delete(User))
            await transaction.execute(delete(OutboxRow))


async def _make_tables(url: str) -> None:
    async with open_database(url) as database, database.engine.begin() as connection:
        await connection.run_sync(ServiceBase.metadata.create_all)
        await connection.run_sync(OutboxRow.metadata.create_all)
