"""The database: its URL, its transactions and its migrations, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Executable, Integer, Table, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from handlers.migrations import FOLDER
from handlers.models import ServiceBase
from handlers.webhooks.models import WebhookBase, WebhookEvent, WebhookSubscription
from jobqueue.database import (
    Database,
    UtcDateTime,
    new_id,
    new_metadata,
    open_database,
    parse_database_url,
)
from jobqueue.errors import DatabaseUnavailable, SettingsError
from jobqueue.upgrades import pending, upgrade
from tests.support.postgres_server import running_postgres

METADATA = new_metadata()
MOMENT = Table("moment", METADATA, Column("id", Integer, primary_key=True), Column("at", UtcDateTime()))
NEWEST = ("service_0001", "webhooks_0001")


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    async with open_database(database_url) as opened:
        yield opened


def table_names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


# URL


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///jobs.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///jobs.db", "sqlite+aiosqlite"),
        ("postgres://u@h/d", "postgresql+asyncpg"),
        ("postgresql://u@h/d", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg"),
    ],
)
def test_a_url_gets_its_async_driver(given: str, driver: str) -> None:
    assert parse_database_url(given).drivername == driver


@pytest.mark.parametrize("url", ["", "jobs.db", "mysql://u:hunter2@h/d", "postgresql://u:hunter2@h:port/d"])
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL") as refusal:
        parse_database_url(url)

    assert "hunter2" not in str(refusal.value)


async def test_a_driver_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(SettingsError, match=r"asyncpg: pip install 'jobqueue\[postgres\]'"):
        async with open_database("postgresql://ada@127.0.0.1/jobs"):
            pass


async def test_the_address_of_a_database_does_not_show_its_password() -> None:
    async with open_database("postgresql://ada:hunter2@127.0.0.1:1/jobs") as database:
        assert database.address == "postgresql+asyncpg://ada:***@127.0.0.1:1/jobs"


# Transactions


async def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)

    async def give_up_half_way() -> None:
        async with database.transaction() as session:
            await session.execute(insert(MOMENT).values(id=1, at=datetime.now(UTC)))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await give_up_half_way()

    async with database.transaction() as session:
        assert (await session.execute(select(MOMENT.c.id))).all() == []


async def test_a_moment_comes_back_in_utc_whatever_zone_it_had(database: Database) -> None:
    tokyo = datetime(2026, 1, 31, 21, 0, 0, 123_000, tzinfo=timezone(timedelta(hours=9)))
    async with database.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    async with database.transaction() as session:
        await session.execute(insert(MOMENT).values(id=1, at=tokyo))

    async with database.transaction() as session:
        stored = await session.scalar(select(MOMENT.c.at))

    assert stored is not None
    assert stored.isoformat() == "2026-01-31T12:00:00.123000+00:00"


async def test_an_error_of_the_statement_keeps_its_own_type(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)

    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            await session.execute(insert(MOMENT).values([{"id": 1, "at": None}, {"id": 1, "at": None}]))


async def test_missing_tables_are_named_with_the_command_that_makes_them(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="jobqueue db upgrade"):
        async with database.transaction() as session:
            await session.execute(select(MOMENT.c.id))


@pytest.mark.parametrize("statement", [select(MOMENT), insert(MOMENT).values(id=1, at=None)], ids=["read", "write"])
async def test_tables_of_another_version_are_named_with_the_command_that_upgrades_them(
    database: Database, statement: Executable
) -> None:
    """In a rolling deployment a column that the service knows is not there: whoever read the table in the background
    said so with a whole traceback, twice a second.
    """
    async with database.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE moment (id INTEGER PRIMARY KEY)"))

    with pytest.raises(DatabaseUnavailable, match=r"of another version .*; run `jobqueue db upgrade`"):
        async with database.transaction() as session:
            await session.execute(statement)


async def test_a_table_that_is_not_for_this_user_is_said_to_be(postgres_url: str) -> None:
    async with open_database(postgres_url) as owner, owner.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
        role = f"guest_{new_id()[-12:]}"
        await connection.execute(text(f"CREATE ROLE {role} LOGIN"))

    async with open_database(postgres_url.replace("postgres@", f"{role}@")) as database:
        with pytest.raises(
            DatabaseUnavailable, match=r"its user may not do that \(.*permission denied for table moment"
        ):
            async with database.transaction() as session:
                await session.execute(select(MOMENT.c.id))


@pytest.mark.parametrize("url", ["postgresql://ada:hunter2@127.0.0.1:1/jobs", "sqlite:////nowhere/at/all.db"])
async def test_a_database_that_is_away_is_named_without_its_password(url: str) -> None:
    async with open_database(url) as database:
        with pytest.raises(DatabaseUnavailable) as refusal:
            await database.ping()

    assert refusal.value.address in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


async def test_a_postgres_that_was_away_is_used_again_without_a_restart() -> None:
    with running_postgres() as server, server.fresh_database() as url:
        async with open_database(url) as database:
            await database.ping()

            await asyncio.to_thread(server.stop)
            with pytest.raises(DatabaseUnavailable):
                await database.ping()

            await asyncio.to_thread(server.start)
            await database.ping()


async def test_a_host_that_takes_a_connection_and_never_answers_is_given_up() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://ada@127.0.0.1:{port}/jobs"
        async with open_database(url, connect_timeout_s=0.2) as database:
            with pytest.raises(DatabaseUnavailable, match="does not answer"):
                await database.ping()


async def test_a_postgres_that_restarted_unnoticed_costs_no_call() -> None:
    """The pool handed out a connection that the server had closed, and the next job failed for it."""
    with running_postgres() as server, server.fresh_database() as url:
        async with open_database(url) as database:
            await database.ping()

            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)

            await database.ping()


async def test_an_sqlite_file_in_a_folder_that_is_not_there_says_so() -> None:
    """aiosqlite tries to open the file in a thread, which then broke when the event loop ended before it."""
    async with open_database("sqlite:////nowhere/at/all.db") as database:
        with pytest.raises(DatabaseUnavailable, match="there is no folder /nowhere/at"):
            await database.ping()


async def test_two_writers_of_one_sqlite_file_wait_for_each_other(sqlite_url: str) -> None:
    async with open_database(sqlite_url) as one, open_database(sqlite_url) as other:
        async with one.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)

        async def write(database: Database, number: int) -> None:
            async with database.transaction() as session:
                await session.execute(insert(MOMENT).values(id=number, at=None))

        await asyncio.gather(*(write((one, other)[number % 2], number) for number in range(30)))

        async with one.transaction() as session:
            assert len((await session.execute(select(MOMENT.c.id))).all()) == 30


# Ids


def test_ids_are_version_7_and_sort_by_time() -> None:
    first, second = new_id(1_700_000_000_000), new_id(1_700_000_000_001)

    assert first < second
    assert first != new_id(1_700_000_000_000)
    assert first.startswith("018bcfe5-6800-7")
    assert first[19] in "89ab"


# Migrations


async def test_an_upgrade_from_nothing_makes_the_tables_that_the_models_name(database: Database) -> None:
    def difference(connection: Connection) -> list[object]:
        context, models = MigrationContext.configure(connection, opts={"compare_type": True}), new_metadata()
        for table in (*WebhookBase.metadata.sorted_tables, *ServiceBase.metadata.sorted_tables):
            table.to_metadata(models)
        return list(compare_metadata(context, models))

    await upgrade(database.engine.url.render_as_string(hide_password=False), [FOLDER])

    async with database.engine.connect() as connection:
        assert await connection.run_sync(difference) == []


async def test_a_second_upgrade_changes_nothing(database_url: str) -> None:
    first = await upgrade(database_url, [FOLDER])
    second = await upgrade(database_url, [FOLDER])

    assert first == second == NEWEST


async def test_pending_names_what_an_upgrade_would_bring(database: Database, database_url: str) -> None:
    assert await pending(database, [FOLDER]) == NEWEST

    await upgrade(database_url, [FOLDER])

    assert await pending(database, [FOLDER]) == ()


async def test_upgrades_at_the_same_time_wait_for_one_another(database_url: str) -> None:
    """Several services that start together each upgrade first: the second found half-made tables."""
    heads = await asyncio.gather(*(upgrade(database_url, [FOLDER]) for _ in range(4)))

    assert heads == [NEWEST] * 4


async def test_a_new_file_that_somebody_is_writing_to_is_waited_for(tmp_path: Path) -> None:
    """Changing the journal mode is the one statement for which SQLite does not wait: of two services that started
    together on a new file, one died of "database is locked" now and then.
    """
    path = tmp_path / "jobqueue.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.2, writer.execute, "COMMIT")

    async with open_database(f"sqlite+aiosqlite:///{path}") as database:
        await database.ping()

    writer.close()


async def test_every_branch_is_upgraded_and_a_failing_one_leaves_nothing(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    write_migration(tmp_path / "50% other branch", "other", "op.create_table('other', sa.Column('id', sa.Integer()))")
    write_migration(tmp_path / "broken", "broken", "op.execute('this is no SQL')")
    branches = [FOLDER, tmp_path / "50% other branch"]

    with pytest.raises(Exception, match="this"):
        await upgrade(database_url, [*branches, tmp_path / "broken"])
    async with database.engine.connect() as connection:
        assert await connection.run_sync(table_names) == set()

    assert await upgrade(database_url, branches) == ("other_0001", *NEWEST)
    async with database.engine.connect() as connection:
        assert {"other", "webhook_event"} <= await connection.run_sync(table_names)


async def test_deleting_a_subscription_deletes_its_events(database: Database, database_url: str) -> None:
    """SQLite ignores foreign keys unless each connection asks for them."""
    await upgrade(database_url, [FOLDER])
    now = datetime.now(UTC)
    subscription = {"id": "s", "owner": "o", "model": "m", "url": "u", "is_active": True}
    event = {
        "id": "e",
        "subscription_id": "s",
        "job_id": "1",
        "attempt": 1,
        "body_id": "b",
        "action": "create",
    }
    event |= {"resource_id": "r", "status": "success"}
    async with database.transaction() as session:
        session.add(WebhookSubscription(**subscription, consecutive_failures=0, created_at=now))
        await session.flush()
        session.add(WebhookEvent(**event, created_at=now))

    async with database.transaction() as session:
        await session.execute(text("DELETE FROM webhook_subscription"))
        left = await session.scalar(text("SELECT count(*) FROM webhook_event"))

    assert left == 0


def write_migration(folder: Path, branch: str, statement: str) -> None:
    folder.mkdir()
    (folder / f"{branch}_0001.py").write_text(
        f"""
import sqlalchemy as sa
from alembic import op

revision = "{branch}_0001"
down_revision = None
branch_labels = ("{branch}",)

def upgrade():
    {statement}
"""
    )


async def test_a_database_of_a_later_version_is_said_to_be_one(database_url: str) -> None:
    """`jobqueue db upgrade` ended in a traceback of Alembic's."""
    await upgrade(database_url, [FOLDER])
    async with open_database(database_url) as database, database.transaction() as session:
        await session.execute(
            text("UPDATE alembic_version SET version_num = 'from_the_future' WHERE version_num = 'webhooks_0001'")
        )

    with pytest.raises(DatabaseUnavailable, match=r"not known here: .*from_the_future"):
        await upgrade(database_url, [FOLDER])


async def test_what_a_statement_carries_is_not_in_its_error(database: Database) -> None:
    """It may be a secret of a payload."""
    with pytest.raises(DBAPIError) as failed:
        async with database.transaction() as session:
            await session.execute(text("SELECT 1 WHERE nonsense(:value)"), {"value": "hunter2"})
    assert "hunter2" not in str(failed.value)
