"""Cron jobs: what is refused before it is saved, and what a change, a trigger and a look come to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from jobqueue import App
from jobqueue.cron import CronFields, CronJobs
from jobqueue.cron.migrations import FOLDER
from jobqueue.cron.table import CronBase
from jobqueue.database import Database, open_database
from jobqueue.errors import CronJobNotFound, DuplicateCronJob, InvalidCronJob
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.cron.scheduled import FAR, REGISTRY, fields, scheduler_of, scheduler_there


@pytest.fixture
async def app(settings: MakeSettings, database_url: str) -> AsyncIterator[App]:
    """On SQLite and on PostgreSQL."""
    async with App(REGISTRY, settings(database_url=database_url)) as app:
        yield app


async def test_what_is_left_out_has_the_defaults_of_the_table(cron: CronJobs) -> None:
    row = await cron.create(**fields())
    assert (row.job_id, row.name, row.description) == ("nightly", "nightly", None)
    assert (row.timezone, row.payload, row.priority, row.enabled) == ("UTC", {}, 0, True)
    assert (row.max_attempts, row.backoff_ms) == (3, 5000)
    assert (row.overlap, row.misfire, row.source, row.created_by) == ("skip", "run_once", "admin", None)
    assert row.created_at == row.updated_at
    assert (row.last_run_at, row.last_status, row.last_job_id, row.last_completed_at) == (None, None, None, None)


async def test_what_was_saved_is_read_again_as_it_was(cron: CronJobs) -> None:
    row = await cron.create(
        name="a name", job_id="an-id", description="Räumt auf", pattern="*/5 * * * 1-5", timezone="Europe/Vienna",
        handler="cleanUp", payload={"days": 9}, priority=3, enabled=False, max_attempts=1, backoff_ms=0,
        overlap="queue", misfire="skip", source="code", created_by="ada",
    )  # fmt: skip
    assert await cron.get(row.id) == row
    assert await cron.list() == (row,)


async def test_one_is_found_by_its_id_its_job_id_and_its_name(cron: CronJobs) -> None:
    row = await cron.create(name="a name", job_id="an-id", pattern=FAR, handler="tick")
    other = await cron.create(name="an-id", job_id="a name", pattern=FAR, handler="tick")
    assert await cron.find(row.id) == row
    assert await cron.find("an-id") == row, "the job_id goes before the name"
    assert await cron.find("a name") == other
    with pytest.raises(CronJobNotFound, match="nobody"):
        await cron.find("nobody")


async def test_what_is_refused_is_not_saved(app: App, cron: CronJobs) -> None:
    with pytest.raises(InvalidCronJob):
        await cron.create(**fields(pattern="rubbish"))
    assert await cron.list() == ()
    assert await scheduler_of(app, "nightly") is None


@pytest.mark.parametrize("taken", ["job_id", "name"])
async def test_a_job_id_and_a_name_belong_to_one_cron_job(cron: CronJobs, taken: str) -> None:
    await cron.create(**fields(job_id="id-1"))
    fresh = {"job_id": "id-2", "name": "other"} | {taken: {"job_id": "id-1", "name": "nightly"}[taken]}
    with pytest.raises(DuplicateCronJob) as refused:
        await cron.create(**fields(**fresh))
    assert refused.value.field == taken
    assert len(await cron.list()) == 1


async def test_a_change_to_a_name_that_is_taken_is_refused_and_changes_nothing(app: App, cron: CronJobs) -> None:
    await cron.create(**fields())
    other = await cron.create(name="other", pattern=FAR, handler="tick")
    with pytest.raises(DuplicateCronJob):
        await cron.update(other.id, name="nightly", pattern="0 0 2 1 *")
    assert await cron.get(other.id) == other
    assert (await scheduler_there(app, "other")).fields["pattern"] == FAR


async def test_of_many_who_create_the_same_one_succeeds(cron: CronJobs) -> None:
    answers = await asyncio.gather(*(cron.create(**fields()) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(answer, DuplicateCronJob) for answer in answers) == 7
    assert len(await cron.list()) == 1


async def test_changes_of_one_row_at_once_are_all_kept(cron: CronJobs) -> None:
    row = await cron.create(**fields())
    changes: list[CronFields] = [
        {"priority": 5}, {"max_attempts": 7}, {"backoff_ms": 9}, {"description": "x"}, {"overlap": "allow"},
    ]  # fmt: skip
    await asyncio.gather(*(cron.update(row.id, **one) for one in changes))
    after = await cron.get(row.id)
    assert (after.priority, after.max_attempts, after.backoff_ms) == (5, 7, 9)
    assert (after.description, after.overlap) == ("x", "allow")


async def test_a_change_that_changes_nothing_leaves_its_time(cron: CronJobs) -> None:
    row = await cron.create(**fields())
    assert await cron.update(row.id, pattern=FAR, priority=0) == row
    assert await cron.update(row.id) == row


async def test_a_change_has_a_new_time(cron: CronJobs) -> None:
    row = await cron.create(**fields())
    assert (await cron.update(row.id, priority=1)).updated_at > row.updated_at


async def test_a_wrong_change_is_refused_and_changes_nothing(app: App, cron: CronJobs) -> None:
    row = await cron.create(**fields())
    with pytest.raises(InvalidCronJob, match="pattern"):
        await cron.update(row.id, pattern="rubbish", priority=4)
    assert await cron.get(row.id) == row


async def test_another_handler_must_take_the_payload_that_is_there(cron: CronJobs) -> None:
    row = await cron.create(**fields(payload={"days": 3}))
    with pytest.raises(InvalidCronJob) as refused:
        await cron.update(row.id, handler="tick")
    assert list(refused.value.field_errors) == ["payload"]
    assert (await cron.update(row.id, handler="tick", payload=None)).handler == "tick"


async def test_a_row_that_has_gone_bad_is_checked_whole_when_it_is_enabled(cron: CronJobs, database: Database) -> None:
    row = await cron.create(**fields(enabled=False))
    async with database.transaction() as session:
        await session.execute(text("UPDATE cron_job SET pattern = 'rubbish'"))
    with pytest.raises(InvalidCronJob, match="pattern"):
        await cron.update(row.id, enabled=True)


@pytest.mark.parametrize("act", ["get", "update", "delete", "trigger"])
async def test_a_row_that_is_not_there_is_named(cron: CronJobs, act: str) -> None:
    with pytest.raises(CronJobNotFound, match="nobody"):
        await getattr(cron, act)("nobody")


async def test_a_removed_row_is_gone(cron: CronJobs) -> None:
    row = await cron.create(**fields())
    await cron.delete(row.id)
    assert await cron.list() == ()


async def test_a_trigger_has_the_payload_and_the_retry_policy_of_its_row_even_where_that_is_disabled(
    app: App, cron: CronJobs
) -> None:
    row = await cron.create(**fields(payload={"days": 2}, enabled=False, max_attempts=8, backoff_ms=70, priority=6))
    enqueued = await cron.trigger(row.id, created_by="ada")

    job = await app.queue().job(enqueued.job_id)
    assert (job.name, job.attempts, job.priority) == ("cleanUp", 8, 6)
    assert job.options["backoff"] == {"type": "exponential", "delay": 70}
    assert (job.envelope.type, job.envelope.id, job.envelope.created_by) == ("cronTrigger", row.id, "ada")
    assert job.envelope.payload == {"days": 2, "alsoFailed": False}
    assert enqueued.job_id.startswith(f"cron.{row.id}.")


async def test_two_triggers_are_two_jobs(cron: CronJobs) -> None:
    row = await cron.create(**fields())
    assert (await cron.trigger(row.id)).job_id != (await cron.trigger(row.id)).job_id


async def test_a_disabled_row_has_no_next_run(cron: CronJobs) -> None:
    row = await cron.create(**fields())
    assert cron.next_run_ms(row, now_ms=1_767_225_600_000 - 1) == 1_767_225_600_000
    assert cron.next_run_ms(await cron.update(row.id, enabled=False)) is None


async def test_the_migration_makes_the_tables_of_the_model(app: App) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, CronBase.metadata))

    await upgrade(app.settings.database_url, [FOLDER])

    async with open_database(app.settings.database_url) as database, database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_twice_upgraded_is_up_to_date(app: App) -> None:
    first = await upgrade(app.settings.database_url, [FOLDER])
    assert await upgrade(app.settings.database_url, [FOLDER]) == first == ("cron_0001",)
    async with open_database(app.settings.database_url) as database:
        await CronJobs(app, database).list()


async def test_creating_and_deleting_one_name_at_once_ends_in_success_or_a_duplicate(cron: CronJobs) -> None:
    """The row in the way was gone when it was looked for, and the database's own error went out."""

    async def create_and_delete() -> None:
        row = await cron.create(**fields())
        await cron.delete(row.id)

    answers = await asyncio.gather(*(create_and_delete() for _ in range(30)), return_exceptions=True)
    assert {type(answer) for answer in answers} <= {type(None), DuplicateCronJob}
    assert await cron.list() == ()


async def test_a_name_that_is_taken_is_named_where_no_job_id_was_given(cron: CronJobs) -> None:
    await cron.create(**fields())
    with pytest.raises(DuplicateCronJob) as refused:
        await cron.create(**fields())
    assert refused.value.field == "name"
