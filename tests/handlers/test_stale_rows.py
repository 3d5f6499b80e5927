"""Stale rows: what only SQLite, or only PostgreSQL, can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta, timezone
from typing import Protocol

import pytest
from sqlalchemy import select, text

from jobqueue.context import Resources
from jobqueue.database import open_database
from tests.handlers.support.contexts import new_context, new_job
from tests.handlers.support.table import Visit, add_visits, clean_with, count_visits, create_tables


class WrittenVisits(Protocol):
    """Clean a table of SQLite at one day, whose only row has that for its time; returns how many rows stay."""

    async def __call__(self, written: str | int | None) -> int: ...


@pytest.fixture
async def written_visits(sqlite_url: str) -> AsyncGenerator[WrittenVisits]:
    async with open_database(sqlite_url) as database:

        async def run(written: str | int | None) -> int:
            async with database.transaction() as session:
                await session.execute(text("CREATE TABLE visit (id INTEGER PRIMARY KEY, created_at DATETIME)"))
                await session.execute(text("INSERT INTO visit VALUES (1, :written)"), {"written": written})
            await clean_with(new_context(new_job(), Resources(database)), {"table": "visit", "retentionDays": 1})
            return await count_visits(database)

        yield run


@pytest.mark.parametrize(
    "written", ["2020-01-01 00:00:00", "2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01 00:00:00.000000"]
)
async def test_whatever_sqlite_holds_that_is_a_date_can_be_old(written_visits: WrittenVisits, written: str) -> None:
    assert await written_visits(written) == 0


@pytest.mark.parametrize("written", [0, 1577836800, "", "soon", "12:00", None, "2020-13-45", "01/02/2020"])
async def test_whatever_sqlite_holds_that_is_no_date_stays(
    written_visits: WrittenVisits, written: str | int | None
) -> None:
    """To SQLite a number is less than every text, so the epoch seconds of tomorrow would be older than any date."""
    assert await written_visits(written) == 1


async def test_a_row_of_sqlite_without_a_key_stays_and_does_not_end_it(sqlite_url: str) -> None:
    """SQLite lets the parts of a primary key be NULL, which nothing is equal to and nothing comes after."""
    async with open_database(sqlite_url) as database:
        async with database.transaction() as session:
            await session.execute(text("CREATE TABLE visit (id TEXT PRIMARY KEY, created_at DATETIME)"))
            await session.execute(text("INSERT INTO visit VALUES (NULL, '2020-01-01'), ('a', '2020-01-01')"))
        context = new_context(new_job(), Resources(database))

        result = await clean_with(context, {"table": "visit", "retentionDays": 1})

        assert (result.deleted, await count_visits(database)) == (1, 1)


async def test_a_zone_that_somebody_wrote_into_sqlite_counts(written_visits: WrittenVisits) -> None:
    """Read as letters, 23 hours ago by the clock of New York is more than a day ago by that of UTC, and gone."""
    younger = datetime.now(UTC) - timedelta(hours=23)
    text_of_it = younger.astimezone(timezone(-timedelta(hours=5))).isoformat(" ")

    assert await written_visits(text_of_it) == 1


async def test_postgresql_passes_over_a_row_that_another_transaction_holds(postgres_url: str) -> None:
    """It would wait, and two cleanings that wait for each other's rows would end in a deadlock."""
    async with open_database(postgres_url) as database:
        await create_tables(database)
        await add_visits(database, [100, 100])
        async with database.transaction() as holding:
            await holding.execute(select(Visit).limit(1).with_for_update())
            context = new_context(new_job(), Resources(database))
            result = await clean_with(context, {"table": "visit", "retentionDays": 90})

        assert (result.deleted, await count_visits(database)) == (1, 1)
