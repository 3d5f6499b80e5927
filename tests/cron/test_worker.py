"""What a worker does for cron beside running jobs: seeds, the sync, and the repair of schedulers that would stop."""

from __future__ import annotations

import asyncio
import logging

import pytest
from sqlalchemy import text

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.cron import CronJobs
from jobqueue.cron.migrations import FOLDER
from jobqueue.cron.schedulers import Lost, lost_iterations
from jobqueue.cron.seeding import seed
from jobqueue.cron.sync import Sync
from jobqueue.database import Database, open_database
from jobqueue.upgrades import upgrade
from jobqueue.worker.cron import SchedulerRepair
from jobqueue.worker.schedulers import advance
from tests.conftest import MakeSettings
from tests.cron.scheduled import FAR, Scheduler, jobs_of, scheduler_of, scheduler_there
from tests.patterns.working import WAIT_S, serving
from tests.support.eventually import eventually
from tests.support.foreign import has_ended, promote

REPAIRED_S = 2.0


@make_job(name="nightly", seeded_cron="0 1 * * *")
async def nightly(ctx: JobContext) -> None:
    """Brings a cron job along."""


# Seeds


async def test_a_handler_brings_its_cron_job_along_once(settings: MakeSettings, database: Database) -> None:
    async with App(Registry([nightly]), settings()) as app:
        async with serving(app):
            await eventually(lambda: scheduler_of(app, "nightly"))
        [row] = await CronJobs(app, database).list()
        assert (row.name, row.job_id, row.handler, row.pattern) == ("nightly", "nightly", "nightly", "0 1 * * *")
        assert (row.source, row.created_by, row.enabled) == ("admin", "jobqueue", True)


async def test_what_people_make_of_a_seeded_row_stays_and_so_does_its_removal(
    settings: MakeSettings, database: Database
) -> None:
    async with App(Registry([nightly]), settings()) as app:
        assert await seed(database, app.registry, app.enqueuer) == ("nightly",)
        cron = CronJobs(app, database)
        row = await cron.update((await cron.find("nightly")).id, pattern="0 5 * * *")
        assert await seed(database, app.registry, app.enqueuer) == ()
        assert await cron.list() == (row,)

        await cron.delete(row.id)
        assert await seed(database, app.registry, app.enqueuer) == ()
        assert await cron.list() == ()


async def test_of_many_workers_that_start_at_once_one_seeds(settings: MakeSettings, database: Database) -> None:
    async with App(Registry([nightly]), settings()) as app:
        seeded = await asyncio.gather(*(seed(database, app.registry, app.enqueuer) for _ in range(8)))
        assert sorted(seeded) == [()] * 7 + [("nightly",)]
        assert len(await CronJobs(app, database).list()) == 1


async def test_a_row_that_has_the_name_already_is_taken_for_the_seeded_one(
    settings: MakeSettings, database: Database
) -> None:
    async with App(Registry([nightly]), settings()) as app:
        cron = CronJobs(app, database)
        row = await cron.create(name="nightly", pattern=FAR, handler="nightly")
        await seed(database, app.registry, app.enqueuer)
        assert await cron.list() == (row,)


async def test_a_seed_that_cannot_be_is_said_and_stops_nobody(
    settings: MakeSettings, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    @make_job(seeded_cron="rubbish")
    async def broken(ctx: JobContext) -> None: ...

    async with App(Registry([broken, nightly]), settings()) as app:
        assert await seed(database, app.registry, app.enqueuer) == ("nightly",)
    assert "the cron job of handler broken is not seeded: pattern" in caplog.text


# The sync


async def test_a_worker_makes_the_schedulers_equal_when_it_starts(app: App, cron: CronJobs, database: Database) -> None:
    await cron.create(name="changed", pattern=FAR, handler="tick")
    async with database.transaction() as session:
        await session.execute(text("UPDATE cron_job SET pattern = '0 0 7 1 *'"))

    async def is_equal() -> bool:
        return (await scheduler_there(app, "changed")).fields["pattern"] == "0 0 7 1 *"

    async with serving(app):
        await eventually(is_equal)


async def test_without_the_tables_a_worker_runs_jobs_and_says_once_what_is_missing(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(app):
        ended = await app.enqueue_job("tick")
        assert await ended.wait(WAIT_S) == ended.job_id
        await eventually(lambda: "db upgrade" in caplog.text)
    said = [record for record in caplog.records if "cron jobs are not looked after" in record.getMessage()]
    assert len(said) == 1
    assert said[0].levelno == logging.ERROR


async def test_a_database_that_comes_back_is_seen_and_said(
    app: App, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("jobqueue.worker.cron.DATABASE_AWAY_S", 0.05)
    async with serving(app), open_database(app.settings.database_url) as database:
        await eventually(lambda: "cron jobs are not looked after" in caplog.text)
        await upgrade(app.settings.database_url, [FOLDER])
        await eventually(lambda: "cron jobs are looked after again" in caplog.text)
        await CronJobs(app, database).create(name="n", pattern=FAR, handler="tick")


async def test_a_worker_that_was_stopped_leaves_the_schedulers(app: App, cron: CronJobs) -> None:
    await cron.create(name="n", pattern=FAR, handler="tick")
    async with serving(app):
        pass
    assert (await scheduler_there(app, "n")).pending == "delayed"


# The repair


async def pick_up_and_die(app: App, scheduler_id: str) -> Scheduler:
    """What a worker leaves that is killed after it claimed a slot's job and before it made the next one."""
    scheduler, keys = await scheduler_there(app, scheduler_id), app.queue().keys
    job_id = f"repeat:{scheduler_id}:{scheduler.next_ms}"
    await app.client.call("ZREM", keys.of("delayed"), job_id)
    await app.client.call("LPUSH", keys.of("active"), job_id)
    await app.client.call("HSET", keys.job(job_id), "processedOn", 1, "ats", 1)
    await app.client.call("SET", keys.job_lock(job_id), "token of the dead", "PX", 300_000)
    return scheduler


async def test_a_scheduler_whose_worker_died_before_it_made_the_next_job_goes_on(app: App, cron: CronJobs) -> None:
    """Until the dead worker's lock expires, five minutes later, every slot would be missed."""
    await cron.create(name="n", pattern=FAR, handler="tick")
    async with serving(app):
        before = await pick_up_and_die(app, "n")

        async def goes_on() -> bool:
            after = await scheduler_there(app, "n")
            return after.next_ms > before.next_ms and after.pending == "delayed"

        await eventually(goes_on, deadline_s=REPAIRED_S)
    assert len(await jobs_of(app, "n")) == 2, "the job of the dead is redelivered when its lock expires"


async def test_a_scheduler_whose_next_job_was_removed_gets_it_back(app: App, cron: CronJobs) -> None:
    await cron.create(name="n", pattern=FAR, handler="tick")
    keys = app.queue().keys
    async with serving(app):
        before = await scheduler_there(app, "n")
        job_id = f"repeat:n:{before.next_ms}"
        await app.client.call("ZREM", keys.of("delayed"), job_id)
        await app.client.call("DEL", keys.job(job_id))

        async def is_back() -> bool:
            return await scheduler_there(app, "n") == before

        await eventually(is_back, deadline_s=REPAIRED_S)


async def test_schedulers_of_others_are_not_repaired(app: App, cron: CronJobs) -> None:
    """Whoever made them may count the time in a way of his own."""
    await cron.create(name="n", pattern=FAR, handler="tick")
    await app.client.call("HDEL", app.queue().keys.cron_schedulers(), "n")
    await pick_up_and_die(app, "n")
    assert await lost_iterations(app.queue()) == []


async def test_one_worker_at_a_time_looks_for_lost_iterations(app: App, cron: CronJobs) -> None:
    await cron.create(name="n", pattern=FAR, handler="tick")
    lost = await pick_up_and_die(app, "n")
    assert await lost_iterations(app.queue()) == [Lost("n", f"repeat:n:{lost.next_ms}")]
    assert await lost_iterations(app.queue()) is None


async def test_where_no_row_is_followed_a_look_costs_one_call_and_leaves_nothing(app: App) -> None:
    assert await lost_iterations(app.queue()) == []
    assert await app.client.call("EXISTS", app.queue().keys.cron_look()) == 0


async def test_what_a_slot_makes_is_not_older_than_the_slot(app: App, cron: CronJobs) -> None:
    """A worker ahead had promoted the job, one behind claimed it; an edit then took the slot for one still to come."""
    await cron.create(name="n", pattern=FAR, handler="tick")
    slot_ms = (await scheduler_there(app, "n")).next_ms
    await advance(app.queue(), await app.queue().job(f"repeat:n:{slot_ms}"))

    made = await app.queue().job(f"repeat:n:{(await scheduler_there(app, 'n')).next_ms}")
    assert made.slot_ms > slot_ms
    assert made.enqueued_at_ms >= slot_ms


async def test_a_slot_that_somebody_promoted_waits_to_run(app: App, cron: CronJobs) -> None:
    """It is not among the delayed jobs any more, and was taken for one that nobody would ever start."""
    await cron.create(name="n", pattern=FAR, handler="tick")
    slot_ms = (await scheduler_there(app, "n")).next_ms
    await promote(app, f"repeat:n:{slot_ms}")

    assert await lost_iterations(app.queue()) == []
    assert (await cron.sync()).kept == ["n"]
    async with serving(app):
        await eventually(lambda: has_ended(app, f"repeat:n:{slot_ms}"))
    assert (await scheduler_there(app, "n")).next_ms > slot_ms


async def test_what_cannot_be_mended_here_is_not_tried_each_second(
    app: App, cron: CronJobs, database: Database, settings: MakeSettings
) -> None:
    """A worker that had not looked itself, since another one had, forgot what it could not mend."""
    await cron.create(name="n", pattern=FAR, handler="tick")
    keys = app.queue().keys
    await app.client.call("DEL", keys.job(f"repeat:n:{(await scheduler_there(app, 'n')).next_ms}"))
    before = int(await app.client.call("HGET", keys.cron_passes(), "begun"))
    async with App(Registry(), settings()) as without_handlers:
        repair = SchedulerRepair(without_handlers.queue(), Sync(without_handlers, database))
        for is_held in (False, True, False, True, False):
            if not is_held:
                await app.client.call("DEL", keys.cron_look())
            await repair.tick()
    assert int(await app.client.call("HGET", keys.cron_passes(), "begun")) == before + 1
