"""Sync: the schedulers that are ours are equal to the enabled rows, and no other is touched."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import text

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.cron import CronJobs
from jobqueue.cron.sync import Sync
from jobqueue.database import Database
from jobqueue.errors import InvalidCronJob, QueueVersionError
from jobqueue.worker.cron import CronSync
from tests.conftest import MakeSettings
from tests.cron.scheduled import FAR, jobs_of, scheduler_of, scheduler_there
from tests.support.foreign import add_foreign


async def test_a_new_cron_job_has_a_scheduler_when_the_call_returns(app: App, cron: CronJobs) -> None:
    row = await cron.create(name="nightly", pattern=FAR, handler="cleanUp", payload={"days": 3}, timezone="UTC")

    scheduler = await scheduler_there(app, "nightly")
    assert scheduler.fields["name"] == "cleanUp"
    assert (scheduler.fields["pattern"], scheduler.fields["tz"]) == (FAR, "UTC")
    assert scheduler.data == {"type": "cron", "payload": {"days": 3}, "id": row.id, "overlap": "skip"}
    assert scheduler.options["attempts"] == 3
    assert scheduler.options["backoff"] == {"type": "exponential", "delay": 5000}
    assert scheduler.next_ms == cron.next_run_ms(row)
    assert scheduler.pending == "delayed"


async def test_the_row_gives_the_schedulers_jobs_their_priority_and_retries(app: App, cron: CronJobs) -> None:
    await cron.create(name="n", pattern=FAR, handler="tick", priority=7, max_attempts=9, backoff_ms=100)
    scheduler = await scheduler_there(app, "n")
    assert scheduler.options["priority"] == 7
    assert scheduler.options["attempts"] == 9
    assert scheduler.options["backoff"] == {"type": "exponential", "delay": 100}


async def test_a_scheduler_that_is_as_its_row_has_it_is_not_touched(app: App, cron: CronJobs) -> None:
    await cron.create(name="n", pattern=FAR, handler="tick")
    before, job = await scheduler_there(app, "n"), await app.queue().job((await jobs_of(app, "n"))[0])

    report = await cron.sync()

    assert report.kept == ["n"]
    assert not report.replaced
    assert await scheduler_there(app, "n") == before
    assert await app.queue().job(job.id) == job


async def test_a_change_of_what_it_runs_keeps_the_slot_of_the_next_run(app: App, cron: CronJobs) -> None:
    row = await cron.create(name="n", pattern="* * * * *", handler="cleanUp")
    before = await scheduler_there(app, "n")
    # the slot may have come meanwhile: no worker is there, so its job waits, and must not be lost either
    await cron.update(row.id, payload={"days": 9})

    after = await scheduler_there(app, "n")
    assert after.next_ms == before.next_ms
    assert after.data["payload"] == {"days": 9}
    job = await app.queue().job(f"repeat:n:{after.next_ms}")
    assert job.envelope.payload == {"days": 9}


async def test_a_change_of_the_pattern_replaces_the_pending_job(app: App, cron: CronJobs) -> None:
    row = await cron.create(name="n", pattern=FAR, handler="tick")
    row = await cron.update(row.id, pattern="0 0 2 1 *")

    scheduler = await scheduler_there(app, "n")
    assert scheduler.fields["pattern"] == "0 0 2 1 *"
    assert scheduler.next_ms == cron.next_run_ms(row)
    assert await jobs_of(app, "n") == [f"repeat:n:{scheduler.next_ms}"]


async def test_a_disabled_row_has_no_scheduler_and_no_pending_job(app: App, cron: CronJobs) -> None:
    row = await cron.create(name="n", pattern=FAR, handler="tick")
    await cron.update(row.id, enabled=False)
    assert await scheduler_of(app, "n") is None
    assert await jobs_of(app, "n") == []

    await cron.update(row.id, enabled=True)
    assert (await scheduler_there(app, "n")).pending == "delayed"


async def test_a_removed_row_takes_along_a_job_that_is_due_and_waits(app: App, cron: CronJobs) -> None:
    """BullMQ's own script looks for the next job among the delayed ones only."""
    row = await cron.create(name="n", pattern=FAR, handler="tick")
    scheduler = await scheduler_there(app, "n")
    job_id, keys = f"repeat:n:{scheduler.next_ms}", app.queue().keys
    await app.client.call("ZREM", keys.of("delayed"), job_id)
    await app.client.call("LPUSH", keys.of("wait"), job_id)

    await cron.delete(row.id)

    assert await jobs_of(app, "n") == []
    assert await app.client.call("LLEN", keys.of("wait")) == 0


async def test_schedulers_of_others_and_ad_hoc_jobs_are_never_touched(app: App, cron: CronJobs) -> None:
    await app.client.call("ZADD", app.queue().keys.of("repeat"), 1, "foreign")
    await app.client.call("HSET", app.queue().keys.of("repeat:foreign"), "name", "other", "pattern", FAR)
    job_id = await add_foreign(app, "tick", "{}", {})

    row = await cron.create(name="n", pattern=FAR, handler="tick")
    await cron.delete(row.id)

    assert (await scheduler_there(app, "foreign")).fields == {"name": "other", "pattern": FAR}
    assert await app.queue().state(job_id) == "waiting"


async def make_foreign(app: App, scheduler_id: str) -> None:
    await app.client.call("ZADD", app.queue().keys.of("repeat"), 1, scheduler_id)
    await app.client.call("HSET", app.queue().keys.of(f"repeat:{scheduler_id}"), "name", "other", "pattern", FAR)


async def test_a_job_id_that_is_a_foreign_schedulers_is_refused_before_it_is_saved(app: App, cron: CronJobs) -> None:
    await make_foreign(app, "taken")
    with pytest.raises(InvalidCronJob) as refused:
        await cron.create(name="taken", pattern=FAR, handler="tick")
    assert "somebody else" in refused.value.field_errors["job_id"]
    assert await cron.list() == ()


async def test_a_foreign_scheduler_that_came_before_a_row_was_enabled_is_left_alone_and_said(
    app: App, cron: CronJobs, database: Database
) -> None:
    await cron.create(name="taken", pattern=FAR, handler="tick", enabled=False)
    await make_foreign(app, "taken")
    async with database.transaction() as session:
        await session.execute(text("UPDATE cron_job SET enabled = true"))

    assert "somebody else" in (await cron.sync()).refused["taken"]
    assert (await scheduler_there(app, "taken")).fields == {"name": "other", "pattern": FAR}


async def test_in_a_queue_with_data_of_bullmq_5_nothing_is_written(app: App, cron: CronJobs) -> None:
    row = await cron.create(name="n", pattern=FAR, handler="tick")
    before = await scheduler_there(app, "n")
    await app.client.call("HSET", app.queue().keys.of("meta"), "version", "bullmq:5.1.0")

    await cron.update(row.id, pattern="0 0 2 1 *")

    assert await scheduler_there(app, "n") == before
    assert "BullMQ 5" in (await cron.sync()).refused["n"]
    with pytest.raises(QueueVersionError):
        await cron.create(name="other", pattern=FAR, handler="tick")


async def test_what_sql_changed_behind_our_back_is_there_after_one_pass(
    app: App, cron: CronJobs, database: Database
) -> None:
    await cron.create(name="changed", pattern=FAR, handler="tick")
    await cron.create(name="removed", pattern=FAR, handler="tick")
    async with database.transaction() as session:
        await session.execute(text("UPDATE cron_job SET pattern = '0 0 3 1 *' WHERE name = 'changed'"))
        await session.execute(text("DELETE FROM cron_job WHERE name = 'removed'"))

    report = await cron.sync()

    assert (report.replaced, report.removed) == (["changed"], ["removed"])
    assert (await scheduler_there(app, "changed")).fields["pattern"] == "0 0 3 1 *"
    assert await scheduler_of(app, "removed") is None


async def test_one_bad_row_does_not_stop_the_others(app: App, cron: CronJobs, database: Database) -> None:
    await cron.create(name="bad", pattern=FAR, handler="tick")
    await cron.create(name="good", pattern=FAR, handler="tick")
    async with database.transaction() as session:
        await session.execute(text("UPDATE cron_job SET pattern = 'rubbish' WHERE name = 'bad'"))
        await session.execute(text("UPDATE cron_job SET pattern = '0 0 4 1 *' WHERE name = 'good'"))

    report = await cron.sync()

    assert report.replaced == ["good"]
    assert "pattern" in report.refused["bad"]
    assert (await scheduler_there(app, "bad")).fields["pattern"] == FAR, "it goes on as it was, rather than stop"


async def test_a_row_that_has_gone_bad_can_still_be_disabled(app: App, cron: CronJobs, database: Database) -> None:
    row = await cron.create(name="bad", pattern=FAR, handler="tick")
    async with database.transaction() as session:
        await session.execute(text("UPDATE cron_job SET handler = 'gone', pattern = 'rubbish'"))

    await cron.update(row.id, enabled=False)

    assert await scheduler_of(app, "bad") is None


async def test_broken_schedulers_are_made_anew(app: App, cron: CronJobs) -> None:
    keys = app.queue().keys
    for name in ("no-hash", "no-place", "no-job", "not-delayed", "bad-options", "other-tool"):
        await cron.create(name=name, pattern=FAR, handler="tick")
    slot = (await scheduler_there(app, "no-job")).next_ms
    await app.client.call("DEL", keys.of("repeat:no-hash"))
    await app.client.call("ZREM", keys.of("repeat"), "no-place")
    await app.client.call("DEL", keys.job(f"repeat:no-job:{slot}"))
    await app.client.call("ZREM", keys.of("delayed"), f"repeat:not-delayed:{slot}")
    await app.client.call("HSET", keys.of("repeat:bad-options"), "opts", "{not json")
    await app.client.call("HSET", keys.of("repeat:other-tool"), "every", "1000")

    report = await cron.sync()

    assert sorted(report.replaced) == ["bad-options", "no-hash", "no-job", "no-place", "not-delayed", "other-tool"]
    for name in report.replaced:
        mended = await scheduler_there(app, name)
        assert (mended.next_ms, mended.pending, mended.fields["pattern"]) == (slot, "delayed", FAR)
        assert "every" not in mended.fields
        assert await jobs_of(app, name) == [f"repeat:{name}:{slot}"]


async def test_a_scheduler_is_in_the_queue_of_its_handler(app: App, cron: CronJobs) -> None:
    row = await cron.create(name="n", pattern=FAR, handler="mail")
    assert await scheduler_of(app, "n") is None
    assert (await scheduler_there(app, "n", "mails")).pending == "delayed"

    await cron.update(row.id, handler="tick")
    assert await scheduler_of(app, "n", "mails") is None
    assert (await scheduler_there(app, "n")).fields["name"] == "tick"


async def test_another_services_rows_are_left_to_its_own_passes(app: App, cron: CronJobs, database: Database) -> None:
    await cron.create(name="theirs", pattern=FAR, handler="tick")
    async with database.transaction() as session:
        await session.execute(text("UPDATE cron_job SET handler = 'notHere'"))

    report = await cron.sync()

    assert report.unknown == ["theirs"]
    assert await scheduler_of(app, "theirs") is not None


async def test_rows_of_our_own_leave_nothing_behind_when_the_last_one_goes(app: App, cron: CronJobs) -> None:
    row = await cron.create(name="n", pattern=FAR, handler="tick")
    await cron.delete(row.id)

    keys = app.queue().keys
    left = {key.removeprefix(keys.base) for key in await app.client.call("KEYS", keys.of("*"))}
    assert left <= {"meta", "events", "id", "marker", "job:cron:passes"}
    assert 0 < await app.client.call("PTTL", keys.cron_passes()) <= 24 * 60 * 60 * 1000


async def test_a_handler_that_moved_to_another_queue_takes_its_scheduler_along(
    settings: MakeSettings, app: App, cron: CronJobs, database: Database
) -> None:
    """No handler has its jobs in the old queue any more; its workers, or Node's, would have run the slots beside."""
    await cron.create(name="n", pattern=FAR, handler="mail")
    assert await scheduler_of(app, "n", "mails") is not None

    @make_job(name="mail", queue="letters")
    async def moved(ctx: JobContext) -> None: ...

    async with App(Registry([moved]), settings()) as later:
        await CronJobs(later, database).sync()

        assert await scheduler_of(later, "n", "mails") is None
        assert (await scheduler_there(later, "n", "letters")).pending == "delayed"


async def test_a_worker_makes_a_pass_each_half_minute(app: App, cron: CronJobs, database: Database) -> None:
    assert 25 <= await CronSync(app, database, Sync(app, database)).tick() <= 30


async def test_a_row_has_an_id_that_tells_its_time(cron: CronJobs) -> None:
    row = await cron.create(name="n", pattern=FAR, handler="tick")
    assert uuid.UUID(row.id).version == 7
