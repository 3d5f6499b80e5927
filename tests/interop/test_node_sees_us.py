"""What Node's own tools tell of a queue that only we have worked on."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from jobqueue.clock import now_ms
from jobqueue.context import JobContext
from jobqueue.wrappers import make_job
from tests.conftest import MakeSettings
from tests.interop.node_peer import NodePeer
from tests.interop.ours import NO_ROUTE, echo, fail, report, succeed_third, working

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


async def test_queue_events_tell_the_whole_life_of_our_job(watched: NodePeer, settings: MakeSettings) -> None:
    # when
    async with working(settings(), report) as app:
        result = await app.enqueue_job(report, {"n": 1}, delay_ms=20)
        await watched.wait_for_event("completed", result.job_id)

    # then
    events = [event for event in await watched.events() if event.job_id == result.job_id]
    assert [event.event for event in events] == [
        *("added", "delayed", "waiting", "active", "progress", "completed"),
    ]
    by_name = {event.event: event for event in events}
    assert by_name["added"].name == "report"
    assert by_name["progress"].data == {"done": 1}
    assert (by_name["completed"].returnvalue, by_name["completed"].prev) == ({"n": 1}, "active")
    assert by_name["delayed"].delay == (await watched.job(result.job_id)).timestamp + 20


async def test_queue_events_tell_each_try_of_a_job_that_fails_twice(watched: NodePeer, settings: MakeSettings) -> None:
    async with working(settings(), succeed_third) as app:
        result = await app.enqueue_job(succeed_third, None)
        await watched.wait_for_event("completed", result.job_id)

    events = [event.event for event in await watched.events() if event.job_id == result.job_id]
    one_try = ["active", "delayed", "waiting"]
    assert events == ["added", "waiting", *one_try, *one_try, "active", "completed"]


async def test_queue_events_tell_the_reason_of_our_failure(watched: NodePeer, settings: MakeSettings) -> None:
    async with working(settings(), fail) as app:
        result = await app.enqueue_job(fail, None)
        failed = await watched.wait_for_event("failed", result.job_id)
        await watched.wait_for_event("retries-exhausted", result.job_id)

    job = await watched.job(result.job_id)
    assert (failed.failed_reason, failed.prev) == (NO_ROUTE, "active")
    assert (job.failed_reason, job.state) == (NO_ROUTE, "failed")
    assert [NO_ROUTE in stack and "Traceback" in stack for stack in job.stacktrace] == [True]


async def test_node_counts_our_jobs_by_state(watched: NodePeer, settings: MakeSettings) -> None:
    # given
    release = asyncio.Event()

    @make_job
    async def hold(ctx: JobContext, payload: object) -> None:
        await release.wait()

    async with working(settings(worker_concurrency=1), hold, echo, fail) as app:
        done = await app.enqueue_job(echo, 1)
        broken = await app.enqueue_job(fail, 1)
        await watched.wait_for_event("completed", done.job_id)
        await watched.wait_for_event("failed", broken.job_id)
        held = await app.enqueue_job(hold, 1)
        await watched.wait_for_event("active", held.job_id)
        await app.enqueue_jobs([(echo, 1), (echo, 2), (echo, 3)])
        await app.enqueue_jobs([(echo, 1), (echo, 2)], priority=3)
        await app.enqueue_job(echo, 1, delay_ms=HOUR_MS)

        # when
        counts = await watched.counts()
        release.set()
        await watched.wait_for_event("completed", count=7)

    # then
    assert counts == {
        "active": 1,
        "completed": 1,
        "delayed": 1,
        "failed": 1,
        "prioritized": 2,
        "waiting": 3,
        "waiting-children": 0,
    }


async def test_node_finds_our_worker_once_under_the_name_that_it_leaves_on_its_jobs(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # when
    async with working(settings(), echo) as app:
        result = await app.enqueue_job(echo, 1)
        await watched.wait_for_event("completed", result.job_id)
        workers = await watched.workers()
    afterwards = await watched.workers()

    # then
    job = await watched.job(result.job_id)
    assert job.processed_by
    assert [worker.rawname for worker in workers] == [f"{watched.prefix}:am9icw==:w:{job.processed_by}"]
    assert afterwards == []


async def test_node_reads_the_log_and_progress_of_our_job(watched: NodePeer, settings: MakeSettings) -> None:
    async with working(settings(), report) as app:
        result = await app.enqueue_job(report, 1)
        await watched.wait_for_event("completed", result.job_id)

    assert any("half" in line for line in await watched.logs(result.job_id))
    assert (await watched.job(result.job_id)).progress == {"done": 1}


async def test_node_reads_our_metrics_of_the_minutes_that_are_over(
    watched: NodePeer, settings: MakeSettings, redis: Redis
) -> None:
    # given: three completed and one failed, three minutes ago as far as the metrics can tell
    async with working(settings(worker_metrics=True), echo, fail) as app:
        await app.enqueue_jobs([(echo, n) for n in range(3)])
        await app.enqueue_job(fail, 1)
        await watched.wait_for_event("completed", count=3)
        await watched.wait_for_event("failed")
        key = f"{watched.prefix}:jobs:metrics:completed"
        await redis.hset(key, "prevTS", str(now_ms() - 3 * MINUTE_MS))

        # when
        await app.enqueue_job(echo, 4)
        await watched.wait_for_event("completed", count=4)

    # then: newest first, so the minutes without jobs stand before the one that had them
    completed, failed = await watched.metrics("completed"), await watched.metrics("failed")
    assert (completed.meta.count, failed.meta.count) == (4, 1)
    *empty, busy = completed.data
    assert (busy, set(empty)) == (3, {0})
    assert completed.meta.prev_count == 3


async def test_node_retries_and_cleans_what_we_have_finished(watched: NodePeer, settings: MakeSettings) -> None:
    # given
    async with working(settings(), echo, fail) as app:
        done = await app.enqueue_job(echo, 1)
        broken = await app.enqueue_job(fail, 1)
        await watched.wait_for_event("completed", done.job_id)
        await watched.wait_for_event("failed", broken.job_id)

        # when
        await watched.retry(broken.job_id, opts={"resetAttemptsMade": True})
        await watched.wait_for_event("failed", broken.job_id, count=2)
        cleaned = await watched.clean("completed")

    # then
    retried = await watched.job(broken.job_id)
    assert cleaned == [done.job_id]
    assert (retried.state, retried.attempts_made, retried.attempts_started) == ("failed", 1, 2)
