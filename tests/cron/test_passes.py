"""Passes: many at once, some out of date, with clocks that are wrong or a server that has gone."""

from __future__ import annotations

import asyncio

import pytest

from jobqueue import App
from jobqueue.cron import CronJobs, SyncReport, next_run
from jobqueue.cron.schedulers import begin_pass, drop_all
from jobqueue.database import Database
from jobqueue.errors import DatabaseUnavailable
from tests.cron.scheduled import FAR, jobs_of, scheduler_of, scheduler_there


async def test_a_slot_that_has_run_is_not_run_again_by_an_edit(app: App, cron: CronJobs) -> None:
    """A clock that was ahead ran the slot before its time; by the right clock it is still to come."""
    row = await cron.create(name="n", pattern="0 0 1 1,2 *", handler="tick")
    slot, keys = (await scheduler_there(app, "n")).next_ms, app.queue().keys
    job_id = f"repeat:n:{slot}"
    await app.client.call("ZREM", keys.of("delayed"), job_id)
    await app.client.call("HSET", keys.job(job_id), "processedOn", 1, "finishedOn", 2)
    await app.client.call("ZADD", keys.of("completed"), 2, job_id)

    await cron.update(row.id, pattern="0 0 1 1,2,3 *")

    assert (await scheduler_there(app, "n")).next_ms > slot
    assert await app.queue().state(job_id) == "completed"


async def test_a_slot_that_a_clock_ahead_has_fired_is_not_fired_again_though_nothing_is_kept_of_it(
    app: App, cron: CronJobs
) -> None:
    """A worker whose clock is ahead ran the slot and removed its job; only what it made next tells how far it was."""
    row = await cron.create(name="n", pattern="0 0 1 1,2,3 *", handler="tick")
    keys, first = app.queue().keys, await scheduler_there(app, "n")
    await run_before_its_time(app, "n", first.next_ms)
    second = await scheduler_there(app, "n")

    for pattern in ("0 0 1 1,2,3,4 *", "0 0 1 1,2,3,5 *"):
        await cron.update(row.id, pattern=pattern)
        assert (await scheduler_there(app, "n")).next_ms == second.next_ms > first.next_ms
    await cron.update(row.id, enabled=False)
    await cron.update(row.id, enabled=True)
    assert (await scheduler_there(app, "n")).next_ms == second.next_ms
    assert await app.client.call("EXISTS", keys.job(f"repeat:n:{first.next_ms}")) == 0


async def run_before_its_time(app: App, scheduler_id: str, slot_ms: int) -> None:
    """What is left of a slot's job that was picked up by a clock ahead of its time, and whose handler keeps nothing."""
    queue, job_id = app.queue(), f"repeat:{scheduler_id}:{slot_ms}"
    job = await queue.job(job_id)
    after_ms = next_run("0 0 1 1,2,3 *", "UTC", slot_ms)
    repeat = {"pattern": "0 0 1 1,2,3 *", "tz": "UTC", "count": 2}
    await queue.advance_scheduler(job, after_ms, {"prevMillis": after_ms, "repeat": repeat})
    await app.client.call("HSET", queue.keys.job(f"repeat:{scheduler_id}:{after_ms}"), "timestamp", slot_ms + 5)
    await app.client.call("ZREM", queue.keys.of("delayed"), job_id)
    await app.client.call("DEL", queue.keys.job(job_id))


async def test_a_pass_gives_way_to_one_that_began_later(app: App, cron: CronJobs, database: Database) -> None:
    """The later one read the table later: what the older one still wants to write may be out of date."""
    row = await cron.create(name="n", pattern=FAR, handler="tick")
    older = await begin_pass(app.queue(), has_rows=True)
    newer = await begin_pass(app.queue(), has_rows=True)
    assert older is not None
    assert newer is not None
    assert await drop_all(app.queue(), newer, ["nothing"]) == ["foreign"]
    assert await drop_all(app.queue(), older, [row.job_id]) == ["overtaken"]
    assert await scheduler_of(app, "n") is not None


async def test_many_passes_at_once_leave_one_pending_job_for_each_row(app: App, cron: CronJobs) -> None:
    for number in range(5):
        await cron.create(name=f"n{number}", pattern=FAR, handler="tick")
    await app.client.call("DEL", *(app.queue().keys.of(f"repeat:n{number}") for number in range(5)))

    await asyncio.gather(*(cron.sync() for _ in range(20)))

    for number in range(5):
        scheduler = await scheduler_there(app, f"n{number}")
        assert await jobs_of(app, f"n{number}") == [f"repeat:n{number}:{scheduler.next_ms}"]


async def test_where_there_are_no_cron_jobs_a_pass_leaves_nothing(app: App, cron: CronJobs) -> None:
    await cron.sync()
    assert await app.client.call("KEYS", app.queue().keys.of("*")) == []


async def test_a_pass_that_redis_no_longer_knows_writes_nothing(app: App, cron: CronJobs) -> None:
    """After Redis had lost its data, its number stood in the way of all passes until as many had begun anew."""
    await cron.create(name="n", pattern=FAR, handler="tick")
    lost = await begin_pass(app.queue(), has_rows=True)
    assert lost is not None
    assert lost.number > 1
    base = app.queue().keys.base
    await app.client.call("DEL", *(await app.client.call("KEYS", f"{base}*")))

    assert await drop_all(app.queue(), lost, ["n"]) == ["overtaken"]
    assert (await cron.sync()).added == ["n"]


async def test_a_change_is_made_though_the_database_goes_before_redis_follows(
    app: App, cron: CronJobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away() -> SyncReport:
        raise DatabaseUnavailable("sqlite", "gone")

    monkeypatch.setattr(cron, "sync", away)
    row = await cron.create(name="n", pattern=FAR, handler="tick")
    assert await cron.get(row.id) == row
    assert "the cron job is saved" in caplog.text


async def test_a_change_whose_pass_was_overtaken_makes_another(
    app: App, cron: CronJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who overtook it may have died before it came to this row."""
    passes, sync = iter([SyncReport(overtaken=True)]), cron.sync

    async def overtaken_once() -> SyncReport:
        return next(passes, None) or await sync()

    monkeypatch.setattr(cron, "sync", overtaken_once)
    await cron.create(name="n", pattern=FAR, handler="tick")
    assert await scheduler_of(app, "n") is not None
