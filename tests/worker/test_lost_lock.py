"""A job whose lock is taken away while it runs: the run is told, and its result does not count."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.worker.harness import ask, at_work, keys_of


async def test_a_run_whose_lock_was_taken_is_told_to_stop_and_its_result_is_dropped(
    settings: MakeSettings, redis: Redis
) -> None:
    told: list[str] = []

    async def work(ctx: JobContext) -> str:
        told.append(await ctx.signal.wait())
        return "does not count"

    handler = make_job(work)
    ours = settings(worker_lock_ms=1_000)
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: site.count("job.started"))
        await ask(redis, "SET", keys.job_lock(job.job_id), "somebody-else", "PX", 60_000)
        await eventually(lambda: site.count("job.fenced"))

        assert told == ["the lock of the job was lost"]
        assert await ask(redis, "GET", keys.job_lock(job.job_id)) == "somebody-else", "the other's lock is left alone"
        assert (await site.app.queue().outcome(job.job_id))[0] == "unfinished"


async def test_a_job_that_was_removed_while_it_ran_does_no_harm(settings: MakeSettings, redis: Redis) -> None:
    may_end = asyncio.Event()

    async def work(ctx: JobContext) -> None:
        await may_end.wait()

    handler = make_job(work)
    ours = settings(worker_concurrency=1)
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: site.count("job.started"))
        await ask(redis, "LREM", keys.of("active"), 1, job.job_id)
        await ask(redis, "DEL", keys.job(job.job_id), keys.job_lock(job.job_id))
        may_end.set()
        following = await site.app.enqueue_job(handler)

        assert await site.end_of(following.job_id) == ("completed", "null")
        assert site.count("job.fenced") == 1


async def test_locks_are_renewed_over_a_unix_socket_too(settings: MakeSettings, redis_server: RedisServer) -> None:
    runs: list[str] = []

    async def outlasts_its_lock(ctx: JobContext) -> None:
        runs.append(ctx.job.id)
        await asyncio.sleep(1.5)  # the subject: longer than the lock

    handler = make_job(outlasts_its_lock)
    ours = settings(redis_url=redis_server.unix_url, worker_lock_ms=1_000, worker_stalled_ms=100)

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)

        assert (await site.end_of(job.job_id))[0] == "completed"
        assert len(runs) == 1
