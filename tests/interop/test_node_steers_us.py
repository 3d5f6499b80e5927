"""What Node's tools and workers do to a queue holds for our worker as it does for theirs."""

from __future__ import annotations

import asyncio

from pydantic import JsonValue

from jobqueue.context import JobContext
from jobqueue.handler import Handler
from jobqueue.wrappers import make_job
from tests.conftest import MakeSettings
from tests.interop.node_peer import NewJob, NodePeer
from tests.interop.ours import echo, working


async def test_a_pause_by_node_stops_us_and_its_resume_wakes_us_at_once(
    watched: NodePeer, settings: MakeSettings
) -> None:
    async with working(settings(), echo) as app:
        first = await app.enqueue_job(echo, 1)
        await watched.wait_for_event("completed", first.job_id)

        # when
        await watched.pause()
        second = await app.enqueue_job(echo, 2)
        # Long enough for an idle worker to take the job; there is no event for what must not come.
        await asyncio.sleep(0.5)
        state_while_paused = (await watched.job(second.job_id)).state
        await watched.resume()
        # A worker that only looks again when its block ends would take up to ten seconds.
        await watched.wait_for_event("completed", second.job_id, timeout_s=3)

    # then
    assert state_while_paused == "waiting"


async def test_a_limit_of_node_on_concurrency_holds_for_us_and_does_not_stall_us(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # given
    active, most_active = 0, 0

    @make_job
    async def work(ctx: JobContext, payload: object) -> None:
        nonlocal active, most_active
        active += 1
        most_active = max(active, most_active)
        await asyncio.sleep(0.05)  # the work: without any, no two jobs would ever meet
        active -= 1

    await watched.set_global_concurrency(2)
    await watched.add_bulk([NewJob("work", n) for n in range(10)])

    # when
    async with working(settings(worker_concurrency=10), work):
        await watched.wait_for_event("completed", count=10, timeout_s=4)

    # then
    assert most_active == 2


async def test_a_rate_limit_of_node_holds_for_us_and_does_not_stall_us(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # given
    started_ms: list[int] = []

    async with working(settings(), _noting_start(started_ms)):
        await watched.set_global_rate_limit(2, 200)
        await watched.add_bulk([NewJob("work", n) for n in range(6)])

        # when
        await watched.wait_for_event("completed", count=6, timeout_s=5)

    # then: never three within the time for two; a wide margin, since a claim's own time is taken before it is sent
    assert len(started_ms) == 6
    started_ms.sort()
    assert min(third - first for first, third in zip(started_ms, started_ms[2:], strict=False)) >= 100


async def test_a_scheduler_that_is_at_its_limit_ends_with_our_worker_as_with_nodes(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # given
    await watched.upsert_scheduler("twice", {"every": 100, "limit": 2}, {"name": "echo", "data": 1})

    # when
    async with working(settings(), echo):
        await watched.wait_for_event("completed", count=2)
        # A third run would be due after 100 ms more; there is no event for what must not come.
        await asyncio.sleep(0.4)
        counts = await watched.counts()

    # then
    assert {state: count for state, count in counts.items() if count} == {"completed": 2}


async def test_a_node_worker_beside_ours_does_not_take_our_running_job_for_stalled(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # given
    release = asyncio.Event()
    runs: list[str] = []

    @make_job
    async def hold(ctx: JobContext, payload: object) -> None:
        runs.append(ctx.job.id)
        await release.wait()

    async with working(settings(), hold) as app:
        result = await app.enqueue_job(hold, 1)
        await watched.wait_for_event("active", result.job_id)

        # when
        await watched.start_worker("echo", opts={"stalledInterval": 50})
        # Six checks: the first marks the job, the second would take it. Nothing tells that a check was made.
        await asyncio.sleep(0.35)
        state_meanwhile = (await watched.job(result.job_id)).state
        release.set()
        await watched.wait_for_event("completed", result.job_id)

    # then
    assert (state_meanwhile, runs) == ("active", [result.job_id])
    assert (await watched.job(result.job_id)).stalled_counter == 0


async def test_the_job_of_a_node_worker_that_is_gone_is_run_by_us(watched: NodePeer, settings: MakeSettings) -> None:
    # given: whoever checked last keeps the others from checking for its own interval
    job_id = await watched.add("echo", {"n": 1})
    brief: dict[str, JsonValue] = {"lockDuration": 500, "stalledInterval": 100}
    await watched.start_worker("sleep", {"ms": 600_000}, opts={"name": "gone"} | brief)
    await watched.wait_for_event("active", job_id)

    # when: forced, it lets go of its job as a killed one would
    await watched.stop_worker(force=True)
    async with working(settings(worker_stalled_ms=100), echo):
        await watched.wait_for_event("stalled", job_id)
        await watched.wait_for_event("completed", job_id)

    # then
    job = await watched.job(job_id)
    assert (job.returnvalue, job.attempts_made, job.attempts_started) == ({"n": 1}, 1, 2)
    assert job.processed_by != "gone"


def _noting_start(started_ms: list[int]) -> Handler[object]:
    @make_job
    async def work(ctx: JobContext, payload: object) -> None:
        assert ctx.job.processed_at_ms is not None
        started_ms.append(ctx.job.processed_at_ms)

    return work
