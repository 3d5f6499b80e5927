"""Rows that SQL has spoiled: each is left alone and told of, and none keeps the others from what they should do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from jobqueue import App
from jobqueue.cron import CronJob, CronJobs
from jobqueue.cron.table import CronBase
from jobqueue.database import Database, open_database
from jobqueue.errors import InvalidCronJob, UnreadableCronJob
from tests.conftest import MakeSettings
from tests.cron.scheduled import FAR, REGISTRY, scheduler_of, scheduler_there

ON_BOTH = {
    "a number of 5000 digits": f"payload = '{'9' * 5000}'",
    "half a surrogate pair": r"""payload = '{"days": 1, "x": "\ud800"}'""",
}
ON_SQLITE = ON_BOTH | {
    "no JSON": "payload = '{bad'",
    "an empty text": "payload = ''",
    "a blob": "payload = x'ff00'",
    "nested too deeply": f"payload = '{'[' * 5000}{']' * 5000}'",
    "no date": "created_at = 'rubbish'",
    "a date that there is not": "last_run_at = '2026-99-99 00:00:00.000000'",
}
ON_POSTGRESQL = ON_BOTH | {
    "a date beyond ours": "last_run_at = '12026-01-01'",
    "a date before Christ": "last_run_at = '2026-01-01 BC'",
}
CASES = [
    *(pytest.param("sqlite_url", spoiling, id=f"sqlite, {title}") for title, spoiling in ON_SQLITE.items()),
    *(pytest.param("postgres_url", spoiling, id=f"postgres, {title}") for title, spoiling in ON_POSTGRESQL.items()),
]


class Site:
    """A good row and one that is spoiled."""

    def __init__(self, app: App, database: Database, good: CronJob, bad: CronJob) -> None:
        self.app = app
        self.database = database
        self.cron = CronJobs(app, database)
        self.good = good
        self.bad = bad


@asynccontextmanager
async def spoiled(settings: MakeSettings, database_url: str, spoiling: str) -> AsyncGenerator[Site]:
    async with App(REGISTRY, settings(database_url=database_url)) as app, open_database(database_url) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(CronBase.metadata.create_all)
        cron = CronJobs(app, database)
        good = await cron.create(name="good", pattern=FAR, handler="tick")
        bad = await cron.create(name="bad", pattern=FAR, handler="cleanUp")
        async with database.transaction() as session:
            await (await session.connection()).exec_driver_sql(f"UPDATE cron_job SET {spoiling} WHERE name = 'bad'")
        yield Site(app, database, good, bad)


@pytest.mark.parametrize(("url", "spoiling"), CASES)
async def test_a_row_that_cannot_be_read_stops_no_other(
    settings: MakeSettings, request: pytest.FixtureRequest, url: str, spoiling: str
) -> None:
    """One such row had stopped every pass, and the call that had already saved another one failed."""
    async with spoiled(settings, request.getfixturevalue(url), spoiling) as site:
        await site.cron.update(site.good.id, pattern="0 0 2 1 *")
        await site.cron.create(name="new", pattern=FAR, handler="tick")

        report = await site.cron.sync()

        assert sorted(report.kept) == ["good", "new"]
        assert "cannot be read" in report.refused["bad"]
        assert (await scheduler_there(site.app, "bad")).fields["pattern"] == FAR, "it goes on as it was"
        assert [row.name for row in await site.cron.list()] == ["good", "new"]
        assert (await site.cron.page(0, 10))[1] == 3


@pytest.mark.parametrize(("url", "spoiling"), CASES)
async def test_a_row_that_cannot_be_read_says_so_and_can_be_deleted(
    settings: MakeSettings, request: pytest.FixtureRequest, url: str, spoiling: str
) -> None:
    async with spoiled(settings, request.getfixturevalue(url), spoiling) as site:
        for act in (site.cron.get, site.cron.find, site.cron.trigger, site.cron.update):
            with pytest.raises(UnreadableCronJob, match=site.bad.id):
                await act(site.bad.id)

        await site.cron.delete(site.bad.id)

        assert await scheduler_of(site.app, "bad") is None


@pytest.mark.parametrize(
    ("spoiling", "field"),
    [
        ("priority = 'abc'", "priority"),
        ("priority = -5", "priority"),
        ("backoff_ms = -1", "backoff_ms"),
        ("handler = 'gone'", "handler"),
        ("payload = '5'", "payload"),
    ],
)
async def test_a_trigger_of_a_spoiled_row_names_what_is_wrong(
    settings: MakeSettings, sqlite_url: str, spoiling: str, field: str
) -> None:
    async with spoiled(settings, sqlite_url, spoiling) as site:
        with pytest.raises(InvalidCronJob) as refused:
            await site.cron.trigger(site.bad.id)
        assert list(refused.value.field_errors) == [field]


async def test_a_creator_that_no_database_keeps_is_refused(app: App, cron: CronJobs) -> None:
    with pytest.raises(InvalidCronJob) as refused:
        await cron.create(name="n", pattern=FAR, handler="tick", created_by="a\x00b")
    assert list(refused.value.field_errors) == ["created_by"]
