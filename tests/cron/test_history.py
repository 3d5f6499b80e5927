"""History: a row says when its job ran last and how that ended, whoever ran it."""

from __future__ import annotations

from redis.asyncio import Redis

from jobqueue import JobContext, make_job, make_superseding_job
from jobqueue.clock import now_ms
from jobqueue.cron.history import IDLE_REST_S, CronHistory
from jobqueue.cron.past import moment_of
from jobqueue.database import open_database
from tests.conftest import MakeSettings
from tests.cron.histories import HOUR_MS, give_up_lease, read_all, reader, work
from tests.cron.slots import at_work, far_row, site
from tests.interop.node_peer import NodePeer
from tests.patterns.working import Gate, own_keys, serving
from tests.support.eventually import eventually


async def test_a_row_tells_of_the_run_while_it_goes_on_and_after_it(settings: MakeSettings, database_url: str) -> None:
    gate = Gate()

    @make_job(name="work")
    async def wait(ctx: JobContext) -> None:
        await gate.wait()

    async with at_work(settings(database_url=database_url), wait) as made:
        row = await far_row(made, "work")
        before = moment_of(now_ms())
        job_id = await made.slot(row)

        running = await made.row_says(row, "active", job_id)
        assert running.last_run_at is not None
        assert running.last_run_at >= before
        assert running.last_completed_at is None
        gate.opened.set()

        completed = await made.row_says(row, "completed", job_id)
        assert completed.last_run_at == running.last_run_at
        assert completed.last_completed_at is not None
        assert completed.last_completed_at >= running.last_run_at
        assert completed.updated_at == row.updated_at, "nobody has edited it"


async def test_a_row_tells_of_a_run_by_a_node_worker(settings: MakeSettings, redis_url: str) -> None:
    made_settings = settings()
    async with site(made_settings, work) as made, NodePeer(redis_url, made_settings.jobs_prefix) as node:
        row, history = await far_row(made, "work", max_attempts=1), reader(made)
        await node.start_worker("failUntil", {"attempt": 9, "message": "no route"})
        failed = await made.slot(row)
        assert await made.ended(failed) == ("failed", "no route")
        await read_all(history)
        assert (await made.cron.get(row.id)).last_status == "failed"
        await node.stop_worker()

        await node.start_worker("value", {"value": {"skipped": True, "of": "its own"}})
        completed = await made.slot(row)
        await made.ended(completed)
        await read_all(history)

        told = await made.row_says(row, "completed", completed)
        assert told.last_completed_at is not None


async def test_a_run_is_active_until_its_last_try_has_ended(settings: MakeSettings) -> None:
    tries: list[int] = []

    @make_job(name="work")
    async def fail(ctx: JobContext) -> None:
        tries.append(ctx.job.attempt)
        raise RuntimeError("no route")

    async with site(settings(), fail) as made:
        row, history = await far_row(made, "work", max_attempts=2, backoff_ms=1_000), reader(made)
        await read_all(history)
        async with serving(made.app):
            job_id = await made.slot(row)
            await eventually(lambda: tries)
            await made.is_in(job_id, "delayed")
            await read_all(history)
            waiting = await made.cron.get(row.id)
            assert (waiting.last_status, tries) == ("active", [1])

            await made.ended(job_id)
            await read_all(history)
            failed = await made.cron.get(row.id)
        assert failed.last_status == "failed"

        assert failed.last_run_at is not None
        assert waiting.last_run_at is not None
        assert failed.last_run_at > waiting.last_run_at, "a try is a run that begins anew"
        assert failed.last_completed_at is None


async def test_a_skipped_slot_never_hides_the_run_that_goes_on(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job(name="work")
    async def wait(ctx: JobContext) -> None:
        await gate.wait()

    async with at_work(settings(), wait) as made:
        row = await far_row(made, "work")
        job_id = await made.slot(row)
        running = await made.row_says(row, "active", job_id)
        await made.ended(await made.slot(row))
        history = reader(made)
        await give_up_lease(made)
        await read_all(history)

        assert await made.cron.get(row.id) == running
        gate.opened.set()
        await made.row_says(row, "completed", job_id)


async def test_a_missed_slot_is_told_and_leaves_the_last_run_as_it_was(settings: MakeSettings) -> None:
    async with at_work(settings(), work) as made:
        row = await far_row(made, "work", misfire="skip")
        job_id = await made.slot(row)
        completed = await made.row_says(row, "completed", job_id)

        await made.ended(await made.slot(row, now_ms() - HOUR_MS))

        skipped = await made.row_says(row, "skipped", job_id)
        assert skipped.last_run_at == completed.last_run_at
        assert skipped.last_completed_at == completed.last_completed_at


async def test_a_superseded_run_is_no_completion(settings: MakeSettings) -> None:
    gate = Gate()

    @make_superseding_job(name="work", dedupe_key=lambda _: "lane", grace_ms=0)
    async def wait(ctx: JobContext) -> None:
        if ctx.job.scheduler_id is not None:
            await gate.wait()

    async with at_work(settings(), wait) as made:
        row = await far_row(made, "work")
        job_id = await made.slot(row)
        await gate.reached.wait()

        await made.app.enqueue_job(wait)

        told = await made.row_says(row, "superseded", job_id)
        assert told.last_completed_at is None


async def test_a_trigger_of_a_disabled_row_is_told(settings: MakeSettings) -> None:
    async with at_work(settings(), work) as made:
        row = await far_row(made, "work", enabled=False)

        triggered = await made.cron.trigger(row.id)

        told = await made.row_says(row, "completed", triggered.job_id)
        assert told.last_completed_at is not None


async def test_the_end_of_a_run_is_told_though_its_row_was_disabled_meanwhile(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job(name="work")
    async def wait(ctx: JobContext) -> None:
        await gate.wait()

    async with at_work(settings(), wait) as made:
        row = await far_row(made, "work")
        job_id = await made.slot(row)
        await made.row_says(row, "active", job_id)

        await made.cron.update(row.id, enabled=False, job_id="renamed")
        gate.opened.set()

        await made.row_says(row, "completed", job_id)


async def test_where_there_are_no_cron_jobs_nothing_is_read_or_kept(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    async with site(settings(), work) as made:
        await made.app.enqueue_job(work)
        async with open_database("sqlite+aiosqlite:////nowhere/at_all.db") as nowhere:
            history = CronHistory(made.app, made.app.queue(), nowhere)

            assert await history.tick() == IDLE_REST_S
        assert await own_keys(redis, prefix) == set()


async def test_the_run_of_a_removed_row_is_not_told_to_the_row_that_took_its_name(settings: MakeSettings) -> None:
    """The new row, which had never run, said that it was completed: its first run would leave out what was before."""
    gate = Gate()

    @make_job(name="work")
    async def wait(ctx: JobContext) -> None:
        await gate.wait()

    async with site(settings(), wait) as made:
        old, history = await far_row(made, "work"), reader(made)
        async with serving(made.app):
            job_id = await made.slot(old)
            await made.row_says(old, "active", job_id)
            await made.cron.delete(old.id)
            new = await far_row(made, "work")
            gate.opened.set()
            await made.ended(job_id)
        await give_up_lease(made)

        await read_all(history)

        assert await made.cron.get(new.id) == new
