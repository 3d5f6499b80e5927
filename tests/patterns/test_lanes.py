"""Lanes: who holds one, what is left of it, and jobs that did not claim theirs when they were enqueued."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import App, Enqueued, Handler, JobContext, JobFailed, Registry, fixed, make_superseding_job, packing
from jobqueue.clock import now_ms
from jobqueue.scripts import shipped
from tests.conftest import MakeSettings
from tests.patterns.working import FIGURES, LEASE, WAIT_S, Gate, keys_of, own_keys, own_keys_of_jobs, serving, working
from tests.support.eventually import eventually
from tests.support.foreign import add_foreign, has_ended


def by_payload(payload: str) -> str:
    return payload


@make_superseding_job(name="sync", dedupe_key=by_payload)
async def sync(ctx: JobContext, payload: str) -> str:
    return "synced"


# What is left


async def test_nothing_of_ours_is_left_after_completion(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    async with App(Registry([sync]), settings()) as app:
        jobs = [await app.enqueue_job(sync, "r1") for _ in range(3)]
        assert await own_keys(redis, prefix) == {
            "job:lane:sync:r1",
            f"job:superseded:{jobs[0].job_id}",
            f"job:superseded:{jobs[1].job_id}",
        }
        async with serving(app):
            await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    left = {key for key in await keys_of(redis, prefix) if not key.removeprefix("jobs:").startswith(FIGURES)}
    bullmqs = {"id", "meta", "events", "completed", "stalled-check"}
    assert left - {f"jobs:{key}" for key in bullmqs | {"marker", LEASE}} == {f"jobs:{job.job_id}" for job in jobs}


async def test_a_failed_job_leaves_its_lane(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    @make_superseding_job(dedupe_key=by_payload, attempts=1)
    async def broken(ctx: JobContext, payload: str) -> None:
        raise RuntimeError("no route")

    async with working(settings(), broken) as app:
        with pytest.raises(JobFailed):
            await (await app.enqueue_job(broken, "r1")).wait(WAIT_S)

    assert await own_keys(redis, prefix) == set()


async def test_marks_and_lanes_outlive_the_longest_delay_and_have_an_end(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """A lane that expired while its job was delayed would let the old job run after the new one."""
    year_ms = 365 * 24 * 60 * 60 * 1000

    async with App(Registry([sync]), settings()) as app:
        first = await app.enqueue_job(sync, "r1", delay_ms=year_ms)
        await app.enqueue_job(sync, "r1", delay_ms=2 * year_ms)

    assert await redis.pttl(f"{prefix}:jobs:job:superseded:{first.job_id}") > year_ms
    assert await redis.pttl(f"{prefix}:jobs:job:lane:sync:r1") > 2 * year_ms


@pytest.mark.parametrize("key", ["a:b:c", "with space", "ünïcode ✓", ":", "*", "x" * 1_000])
async def test_a_text_of_one_line_is_a_dedupe_key(settings: MakeSettings, redis: Redis, prefix: str, key: str) -> None:
    async with App(Registry([sync]), settings()) as app:
        jobs = [await app.enqueue_job(sync, key) for _ in range(2)]
        async with serving(app):
            results = [await job.wait(WAIT_S) for job in jobs]

    assert results == [{"superseded": True, "by": jobs[1].job_id}, "synced"]
    assert await own_keys(redis, prefix) == set()


async def test_custom_job_ids_supersede_each_other(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    async with App(Registry([sync]), settings()) as app:
        first = await app.enqueue_job(sync, "r1", job_id="first of all")
        second = await app.enqueue_job(sync, "r1", job_id="ünïcode")
        async with serving(app):
            assert await first.wait(WAIT_S) == {"superseded": True, "by": "ünïcode"}
            assert await second.wait(WAIT_S) == "synced"

    assert second.superseded == "first of all"
    assert await own_keys(redis, prefix) == set()


async def test_each_job_has_an_id_of_its_own_and_its_dedupe_key_travels_in_its_data(settings: MakeSettings) -> None:
    async with App(Registry([sync]), settings()) as app:
        enqueued = await app.enqueue_job(sync, "r1")

        assert (await app.queue().job(enqueued.job_id)).envelope.dedupe_key == "r1"
        assert enqueued.job_id == "1"


# The last one runs


async def test_in_a_storm_the_last_runs_and_never_two_that_are_not_marked(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    unmarked_at_once: list[int] = []
    running: set[str] = set()

    @make_superseding_job(dedupe_key=lambda _: "r1")
    async def storm(ctx: JobContext, payload: int) -> int:
        running.add(ctx.job.id)
        watched = sorted(running)
        marks = await redis.mget([f"{prefix}:jobs:job:superseded:{job_id}" for job_id in watched])
        # One that ended while Redis was asked has no mark any more.
        still = [mark for job_id, mark in zip(watched, marks, strict=True) if job_id in running]
        unmarked_at_once.append(still.count(None))
        try:
            await asyncio.wait_for(ctx.signal.wait(), 0.02)
        except TimeoutError:
            return payload
        finally:
            running.discard(ctx.job.id)
        return -1

    async with working(settings(worker_concurrency=4), storm) as app:
        jobs: list[Enqueued] = []
        for number in range(200):
            jobs.append(await app.enqueue_job(storm, number))
            if number % 10 == 0:
                await asyncio.sleep(0.005)  # lets some of them begin
        results = await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert results[-1] == 199
    assert max(unmarked_at_once) <= 1
    assert all(isinstance(result, (int, dict)) for result in results)
    assert await own_keys(redis, prefix) == set()


async def test_enqueued_at_once_by_many_callers_exactly_one_is_not_superseded(settings: MakeSettings) -> None:
    async with App(Registry([sync]), settings()) as app:
        jobs = await app.enqueue_jobs([(sync, "r1")] * 50)
        async with serving(app):
            results = await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert results.count("synced") == 1
    assert results[-1] == "synced"


# Jobs that claim at pick-up


async def test_a_foreign_job_claims_its_lane_when_it_is_picked_up(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    gate = Gate()

    @make_superseding_job(dedupe_key=lambda payload: payload["id"])
    async def watch(ctx: JobContext, payload: dict[str, str]) -> str:
        gate.reached.set()
        await ctx.signal.wait()
        return "synced"

    async with working(settings(), watch) as app:
        first = await add_foreign(app, "watch", json.dumps({"id": "r1"}), {"attempts": 1})
        await gate.reached.wait()
        assert await own_keys_of_jobs(redis, prefix) == {"job:lane:watch:r1"}

        second = await app.enqueue_job(watch, {"id": "r1"})

        assert second.superseded == first
        await eventually(lambda: has_ended(app, first))
        assert (await app.queue().job(first)).result == {"superseded": True, "by": second.job_id}
        gate.reached.clear()
        third = await app.enqueue_job(watch, {"id": "r1"}, delay_ms=60_000)
        assert await second.wait(WAIT_S) == {"superseded": True, "by": third.job_id}


@pytest.mark.parametrize("key", [None, 5, "", "x" * 1_001, "lone \ud800"])
async def test_a_foreign_job_whose_dedupe_key_is_no_text_fails_with_the_reason(
    settings: MakeSettings, key: Any
) -> None:
    """It must not wedge: claimed, lost and claimed again for ever."""

    @make_superseding_job(dedupe_key=lambda _: key, attempts=1)
    async def odd(ctx: JobContext, payload: object) -> str:
        return "synced"

    async with working(settings(), odd) as app:
        job_id = await add_foreign(app, "odd", "{}", {"attempts": 1})
        await eventually(lambda: has_ended(app, job_id), deadline_s=5)

        assert "dedupe_key" in ((await app.queue().job(job_id)).failed_reason or "")


async def add_scheduler(app: App, handler: Handler[Any], payload: object, *, every_ms: int, start_ms: int) -> str:
    """A job scheduler with an interval, as Node's upsertJobScheduler makes it; returns the id of its first job."""
    keys = app.queue().keys
    before = ("repeat", "delayed", "wait", "paused", "meta", "prioritized", "marker", "id", "events", "pc", "active")
    repeat = {"every": every_ms, "count": 1, "offset": start_ms % every_ms}
    job_options = {"repeat": repeat, "attempts": 1, "prevMillis": start_ms, "timestamp": now_ms(), "delay": 0}
    args = (
        start_ms,
        packing.pack({"name": handler.name, "every": every_ms}),
        "nightly",
        json.dumps({"type": "cron", "payload": payload}),
        packing.pack({"attempts": 1}),
        packing.pack(job_options),
        now_ms(),
        keys.base,
        "",
    )
    job_id, _ = await app.client.run(shipped("addJobScheduler"), [keys.of(word) for word in before], args)
    return str(job_id)


async def test_a_schedulers_job_that_waits_for_its_time_does_not_supersede(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """BullMQ creates it ahead of time: at once it would stop a run that has hours left."""
    gate = Gate()

    @make_superseding_job(dedupe_key=by_payload)
    async def held(ctx: JobContext, payload: str) -> str:
        await gate.wait()
        return "synced"

    async with working(settings(), held) as app:
        holder = await app.enqueue_job(held, "r1")
        await gate.reached.wait()
        hour_ms = 3_600_000
        await add_scheduler(app, held, "r1", every_ms=hour_ms, start_ms=now_ms() + hour_ms)
        assert await redis.hget(f"{prefix}:jobs:job:lane:held:r1", "holder") == holder.job_id
        gate.opened.set()

        assert await holder.wait(WAIT_S) == "synced"


async def test_a_schedulers_job_supersedes_an_older_run_when_it_is_picked_up(settings: MakeSettings) -> None:
    gate = Gate()

    @make_superseding_job(dedupe_key=by_payload)
    async def held(ctx: JobContext, payload: str) -> str:
        if ctx.job.scheduler_id is None:
            gate.reached.set()
            await ctx.signal.wait()
        return "synced"

    async with working(settings(), held) as app:
        holder = await app.enqueue_job(held, "r1")
        await gate.reached.wait()
        scheduled = await add_scheduler(app, held, "r1", every_ms=3_600_000, start_ms=now_ms() + 100)

        result = await holder.wait(WAIT_S)
        assert result["superseded"] is True
        await eventually(lambda: has_ended(app, result["by"]))
        assert result["by"].startswith("repeat:nightly:")
        assert scheduled.startswith("repeat:nightly:")


async def test_the_mark_of_a_parked_job_outlives_its_delay(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    delay_ms = 200 * 24 * 60 * 60 * 1000

    async with App(Registry([sync]), settings()) as app:
        await app.enqueue_job(sync, "r1", order_key="a")
        older = await app.enqueue_job(sync, "r2", order_key="a", delay_ms=delay_ms)
        await app.enqueue_job(sync, "r2")

    assert await redis.pttl(f"{prefix}:jobs:job:superseded:{older.job_id}") > delay_ms


async def test_a_trigger_claims_like_an_ad_hoc_job(settings: MakeSettings) -> None:
    gate = Gate()

    @make_superseding_job(name="sync", dedupe_key=by_payload)
    async def held(ctx: JobContext, payload: str) -> str:
        if ctx.job.envelope.type == "adhoc":
            gate.reached.set()
            await ctx.signal.wait()
        return "triggered"

    async with working(settings(), held) as app:
        holder = await app.enqueue_job(held, "r1")
        await gate.reached.wait()
        trigger = await add_foreign(app, "sync", '{"type":"cronTrigger","payload":"r1","id":"row-1"}', {})

        assert await holder.wait(WAIT_S) == {"superseded": True, "by": trigger}
        await eventually(lambda: has_ended(app, trigger))
        assert (await app.queue().job(trigger)).result == "triggered"


async def test_a_lane_outlives_the_backoff_of_its_holder(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    """Its time limit was that of its claim; a backoff that is longer let an old job run after a newer one."""
    backoff_ms = 200 * 24 * 60 * 60 * 1000

    @make_superseding_job(name="sync", dedupe_key=by_payload, attempts=2, backoff=fixed(backoff_ms))
    async def failing(ctx: JobContext, payload: str) -> None:
        raise RuntimeError("no route")

    async with working(settings(), failing) as app:
        job = await app.enqueue_job(failing, "r1")
        await eventually(lambda: is_delayed(app, job.job_id))

    assert await redis.pttl(f"{prefix}:jobs:job:lane:sync:r1") > backoff_ms


async def is_delayed(app: App, job_id: str) -> bool:
    return await app.queue().state(job_id) == "delayed"


async def test_a_slot_that_is_older_than_the_holder_is_superseded_by_it(settings: MakeSettings) -> None:
    """The worker was down: the slot of an hour ago must not stop what was enqueued a minute ago."""
    async with App(Registry([sync]), settings()) as app:
        slot_ms = now_ms() + 300
        scheduled = await add_scheduler(app, sync, "r1", every_ms=3_600_000, start_ms=slot_ms)
        await eventually(lambda: now_ms() > slot_ms)
        newer = await app.enqueue_job(sync, "r1", delay_ms=60_000)

        async with serving(app):
            await eventually(lambda: has_ended(app, scheduled))

        assert (await app.queue().job(scheduled)).result == {"superseded": True, "by": newer.job_id}


# Retried by hand


async def retry_by_hand(app: App, job_id: str) -> None:
    """What Node's Job.retry and every board do. Source: reprocessJob."""
    keys = app.queue().keys
    words = ("events", "failed", "wait", "meta", "active", "marker", "prioritized", "pc")
    args = (job_id, "LPUSH", "failedReason", "failed", "1", "1")
    reply = await app.client.run(shipped("reprocessJob"), [keys.job(job_id), *(keys.of(word) for word in words)], args)
    assert reply == 1


@make_superseding_job(name="flaky", dedupe_key=lambda _: "r1", attempts=1, backoff=fixed(0))
async def flaky(ctx: JobContext, payload: str) -> str:
    if payload == "fails" and ctx.job.stacktrace == ():
        raise RuntimeError("no route")
    return "synced"


async def failed_job(app: App) -> str:
    job = await app.enqueue_job(flaky, "fails")
    with pytest.raises(JobFailed):
        await job.wait(WAIT_S)
    return job.job_id


async def test_a_failed_job_that_is_retried_by_hand_gives_way_to_a_newer_one(settings: MakeSettings) -> None:
    async with working(settings(), flaky) as app:
        failed = await failed_job(app)
        newer = await app.enqueue_job(flaky, "newer", delay_ms=60_000)

        await retry_by_hand(app, failed)
        await eventually(lambda: has_ended(app, failed))

        assert (await app.queue().job(failed)).result == {"superseded": True, "by": newer.job_id}


async def test_a_failed_job_that_is_retried_by_hand_runs_where_no_newer_one_is_left(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    async with working(settings(), flaky) as app:
        failed = await failed_job(app)
        await (await app.enqueue_job(flaky, "newer")).wait(WAIT_S)

        await retry_by_hand(app, failed)
        await eventually(lambda: has_ended(app, failed))

        assert (await app.queue().job(failed)).result in ("synced", None)
    assert await own_keys(redis, prefix) == set()
