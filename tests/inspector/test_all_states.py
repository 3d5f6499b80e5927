"""The list of all states, and jobs that move while a list is made."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.inspector import MAX_SORTED, Inspector, JobFilter
from tests.board.support import activate, complete, fail, heartbeat


async def test_jobs_of_all_states_are_listed_by_their_own_time_newest_first(app: App, inspector: Inspector) -> None:
    # given: finished jobs count by their finish, others by their enqueueing
    waiting, delayed, active, done, failed = [
        await app.enqueue_job(heartbeat, delay_ms=60_000 if number == 1 else 0) for number in range(5)
    ]
    await activate(app, active)
    await complete(app, done, "1", 3_500)
    await fail(app, failed, "no", at_ms=500)
    for at_ms, enqueued in ((1_000, waiting), (2_000, delayed), (4_000, active), (1, done), (2, failed)):
        await app.client.call("HSET", app.queue().keys.job(enqueued.job_id), "timestamp", at_ms)

    listed = await inspector.jobs("jobs", None)
    second = await inspector.jobs("jobs", None, 1, 2)

    expected = [(active, "active"), (done, "completed"), (delayed, "delayed"), (waiting, "waiting"), (failed, "failed")]
    assert [(view.id, view.state) for view in listed.jobs] == [(one.job_id, state) for one, state in expected]
    assert (listed.total, listed.complete) == (5, True)
    assert [view.id for view in second.jobs] == [done.job_id, delayed.job_id]
    assert second.total == 5


async def test_the_list_of_all_states_reaches_so_far_and_says_so(
    inspector: Inspector, redis: Redis, prefix: str
) -> None:
    await redis.zadd(f"{prefix}:jobs:completed", {f"c{n}": 2 * n for n in range(MAX_SORTED)})
    await redis.zadd(f"{prefix}:jobs:failed", {f"f{n}": 2 * n + 1 for n in range(MAX_SORTED)})
    last = await inspector.jobs("jobs", None, MAX_SORTED - 2, 2)
    beyond = await inspector.jobs("jobs", None, MAX_SORTED, 50)
    assert ([view.id for view in last.jobs], last.total) == (["f500", "c500"], 2 * MAX_SORTED)
    assert (beyond.jobs, beyond.total, beyond.complete) == ((), None, False)


async def test_a_job_that_moves_while_a_list_is_made_is_in_it_once_at_most(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    base = f"{prefix}:jobs:"
    await app.enqueue_jobs([(heartbeat, None)] * 200)

    done = asyncio.Event()

    async def move() -> None:
        while not done.is_set():
            job_id = await redis.lmove(f"{base}wait", f"{base}active", "RIGHT", "LEFT")
            assert isinstance(job_id, str)
            await redis.lrem(f"{base}active", 1, job_id)
            await redis.zadd(f"{base}completed", {job_id: 1})
            await redis.zrem(f"{base}completed", job_id)
            await redis.lpush(f"{base}wait", job_id)

    moving = asyncio.create_task(move())
    for wanted in (JobFilter(), JobFilter(name="heartbeat"), JobFilter(text="heart")):
        for state in (None, "waiting"):
            found = [view.id for view in (await inspector.jobs("jobs", state, 0, 20, wanted=wanted)).jobs]
            assert len(found) == len(set(found)) == 20
    done.set()
    await moving


async def test_a_job_that_is_removed_while_a_list_is_made_is_left_out_and_an_id_without_a_job_is_not(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    base = f"{prefix}:jobs:"
    jobs = [enqueued.job_id for enqueued in await app.enqueue_jobs([(heartbeat, None)] * 400)]
    await redis.lpush(f"{base}wait", "no job's")

    async def remove() -> None:
        for job_id in reversed(jobs):
            async with redis.pipeline(transaction=True) as removal:
                removal.lrem(f"{base}wait", 1, job_id)
                removal.delete(f"{base}{job_id}")
                await removal.execute()

    removing, looks = asyncio.create_task(remove()), 0
    while not removing.done():
        for state in (None, "waiting"):
            listed = (await inspector.jobs("jobs", state, 0, 50)).jobs
            assert [view.id for view in listed if view.problem is not None] in ([], ["no job's"])
            looks += 1
    await removing

    assert looks > 2
    assert [view.id for view in (await inspector.jobs("jobs", "waiting")).jobs] == ["no job's"]


async def test_jobs_of_one_millisecond_are_listed_by_id_the_last_first(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    ids: list[str] = []
    for priority in (0, 3, 1, 2, 0, 1, 0, 5, 0, 1, 2, 0):
        job = await app.enqueue_job(heartbeat, priority=priority)
        await redis.hset(f"{prefix}:jobs:{job.job_id}", "timestamp", "1000")
        ids.append(job.job_id)
    ids.reverse()

    assert [view.id for view in (await inspector.jobs("jobs", None)).jobs] == ids
    found = await inspector.jobs("jobs", "prioritized")
    assert [view.id for view in found.jobs] == [job_id for job_id in ids if job_id in {one.id for one in found.jobs}]
    assert [view.id for view in (await inspector.jobs("jobs", None, wanted=JobFilter(name="heartbeat"))).jobs] == ids
