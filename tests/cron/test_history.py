"""History: a row says when its job ran last and how that ended, whoever ran it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, fixed, make_job, make_superseding_job
from jobqueue.clock import now_ms
from jobqueue.cron import CronJobs
from jobqueue.cron.history import AT_ONCE, BEHIND_REST_S, IDLE_REST_S, LEASE_MS, REST_S, CronHistory
from jobqueue.cron.migrations import FOLDER
from jobqueue.cron.past import moment_of
from jobqueue.cron.table import CronJobRow
from jobqueue.database import open_database
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.cron.slots import Site, at_work, far_row, site
from tests.interop.node_peer import NodePeer
from tests.patterns.working import Gate, own_keys, serving
from tests.support.eventually import eventually

HOUR_MS: Final = 3_600_000


@make_job
async def work(ctx: JobContext) -> str:
    return "done"


def reader(made: Site) -> CronHistory:
    return CronHistory(made.app, made.app.queue(), made.database)


async def read_all(history: CronHistory) -> None:
    """As its loop would, until nothing more waits."""
    while await history.tick() == BEHIND_REST_S:
        continue


async def emit(made: Site, kind: str, job_id: str, **fields: str) -> None:
    """An event as the shipped scripts write it."""
    flat = [part for pair in fields.items() for part in pair]
    await made.app.client.call("XADD", made.app.queue().keys.of("events"), "*", "event", kind, "jobId", job_id, *flat)


async def trim(made: Site) -> None:
    """Every event is lost, as on a queue where others follow too fast."""
    await made.app.client.call("XTRIM", made.app.queue().keys.of("events"), "MAXLEN", 0)


async def give_up_lease(made: Site) -> None:
    """As if the reader had died a while ago."""
    await made.app.client.call("HSET", made.app.queue().keys.cron_history(), "until", 0)


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


@pytest.fixture
async def made(settings: MakeSettings) -> AsyncIterator[Site]:
    async with site(settings(), work) as made:
        yield made


async def test_one_reader_at_a_time_reads(made: Site) -> None:
    row = await far_row(made, "work")
    leader, other = reader(made), reader(made)
    assert await leader.tick() == REST_S

    rest_s = await other.tick()
    assert REST_S < rest_s <= LEASE_MS / 1000 + 0.1, "it comes again when the lease has ended"

    await emit(made, "active", f"repeat:{row.job_id}:1")
    assert await leader.tick() == REST_S
    await give_up_lease(made)
    await emit(made, "completed", f"repeat:{row.job_id}:1", returnvalue="1", prev="active")
    assert await other.tick() == REST_S
    assert await leader.tick() > REST_S
    assert (await made.cron.get(row.id)).last_status == "completed"


async def test_what_was_read_and_not_written_is_read_again_by_the_next_one(made: Site) -> None:
    """The first reader dies after Redis has answered it: here, it has no database to write to."""
    row = await far_row(made, "work")
    async with open_database("sqlite+aiosqlite:////nowhere/at_all.db") as nowhere:
        unlucky = CronHistory(made.app, made.app.queue(), nowhere)
        await emit(made, "active", f"repeat:{row.job_id}:1")
        await unlucky.tick()
    assert (await made.cron.get(row.id)).last_status is None
    await give_up_lease(made)

    await read_all(reader(made))

    assert (await made.cron.get(row.id)).last_status == "active"


async def test_a_reader_that_took_too_long_writes_nothing_and_reads_again(
    made: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one may have the lease by then: what this one has in hand is older than what the row says."""
    row, history = await far_row(made, "work"), reader(made)
    await emit(made, "active", f"repeat:{row.job_id}:1")
    with monkeypatch.context() as late:
        late.setattr("jobqueue.cron.history.SAFE_S", -1.0)
        await history.tick()
    assert (await made.cron.get(row.id)).last_status is None

    await history.tick()

    assert (await made.cron.get(row.id)).last_status == "active"


async def test_a_busy_queues_events_are_read_a_bounded_number_at_a_time(made: Site) -> None:
    row, history = await far_row(made, "work"), reader(made)
    await read_all(history)
    events = made.app.queue().keys.of("events")
    for _ in range(AT_ONCE + AT_ONCE // 2):
        await made.app.client.call("XADD", events, "*", "event", "completed", "jobId", "7", "returnvalue", "null")
    await emit(made, "active", f"repeat:{row.job_id}:1")

    assert await history.tick() == BEHIND_REST_S
    assert (await made.cron.get(row.id)).last_status is None
    assert await history.tick() == REST_S
    assert (await made.cron.get(row.id)).last_status == "active"


async def test_the_end_of_a_run_is_found_though_its_event_was_trimmed(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job(name="work")
    async def wait(ctx: JobContext) -> None:
        await gate.wait()

    async with site(settings(), wait) as made, serving(made.app):
        row = await far_row(made, "work")
        job_id = await made.slot(row)
        await made.row_says(row, "active", job_id)
        gate.opened.set()
        await made.ended(job_id)

        await trim(made)

        told = await made.row_says(row, "completed", job_id)
        assert told.last_completed_at is not None


async def test_a_slot_is_found_though_all_its_events_were_trimmed(settings: MakeSettings) -> None:
    async with site(settings(), work) as made:
        row, history = await far_row(made, "work"), reader(made)
        job_id = await made.slot(row)
        await read_all(history)
        await history.tick()  # it knows by now which slot the scheduler waits for
        async with serving(made.app):
            await made.ended(job_id)
            await trim(made)

            await read_all(history)

        told = await made.cron.get(row.id)
        assert (told.last_status, told.last_job_id) == ("completed", job_id)
        assert told.last_run_at is not None
        assert told.last_completed_at is not None
        assert told.last_completed_at >= told.last_run_at


async def test_a_run_whose_job_was_removed_is_not_active_for_ever(settings: MakeSettings, redis_url: str) -> None:
    @make_job(name="work", backoff=fixed(HOUR_MS))
    async def fail(ctx: JobContext) -> None:
        raise RuntimeError("no route")

    made_settings = settings()
    async with site(made_settings, fail) as made, NodePeer(redis_url, made_settings.jobs_prefix) as node:
        row, history = await far_row(made, "work", backoff_ms=HOUR_MS), reader(made)
        async with serving(made.app):
            job_id = await made.slot(row)
            await made.row_says(row, "active", job_id)
            await made.is_in(job_id, "delayed")
        await node.remove(job_id)
        await give_up_lease(made)

        await read_all(history)

        told = await made.cron.get(row.id)
        assert (told.last_status, told.last_job_id) == ("removed", job_id)


@pytest.mark.parametrize(
    "job_id", ["repeat:foreign:1", "repeat:", "cron.nobody.1", "cron..", "cron.\x00.1", "repeat:n:x"]
)
async def test_what_belongs_to_no_row_is_passed_over(made: Site, job_id: str) -> None:
    row, history = await far_row(made, "work"), reader(made)
    await emit(made, "active", job_id)
    await emit(made, "completed", job_id, returnvalue="null", prev="active")
    await emit(made, "active", f"repeat:{row.job_id}:1")

    await read_all(history)

    assert (await made.cron.get(row.id)).last_job_id == f"repeat:{row.job_id}:1"


async def test_a_stream_that_was_deleted_is_read_from_its_new_beginning(made: Site) -> None:
    row, history = await far_row(made, "work"), reader(made)
    await emit(made, "active", f"repeat:{row.job_id}:1")
    await read_all(history)
    await made.app.client.call("DEL", made.app.queue().keys.of("events"))
    await read_all(history)

    await emit(made, "failed", f"repeat:{row.job_id}:1", failedReason="no route", prev="active")
    await read_all(history)

    assert (await made.cron.get(row.id)).last_status == "failed"


async def test_while_the_database_is_away_nothing_is_lost_and_that_is_said_once(
    settings: MakeSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jobqueue.cron")
    async with site(settings(), work) as made:
        row = await far_row(made, "work")
        other_url = f"sqlite+aiosqlite:///{tmp_path / 'later' / 'jobqueue.db'}"
        async with open_database(other_url) as database:
            history = CronHistory(made.app, made.app.queue(), database)
            await emit(made, "active", f"repeat:{row.job_id}:1")
            for _ in range(3):
                await history.tick()
            await emit(made, "completed", f"repeat:{row.job_id}:1", returnvalue="null", prev="active")

            (tmp_path / "later").mkdir()
            await upgrade(other_url, [FOLDER])
            async with database.transaction() as session:
                session.add(CronJobRow(**asdict(row)))
            await read_all(history)

            (copied,) = await CronJobs(made.app, database).list()
            assert copied.last_status == "completed"
    said = [record.message for record in caplog.records if "what happens to cron jobs" in record.message]
    assert len(said) == 2
    assert said[1].endswith("is written down again")
