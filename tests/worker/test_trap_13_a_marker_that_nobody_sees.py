"""Trap 13: the stalled check wakes its own worker, since the queue's marker may go to one that is frozen."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.transitions import Claimant
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import ask, at_work, keys_of


async def test_a_stalled_job_is_taken_up_at_once_though_a_frozen_worker_takes_its_marker(
    settings: MakeSettings, redis: Redis
) -> None:
    """Redis gives the marker to whoever waits longest: a worker that is frozen, or cut off, takes it and does nothing.

    The worker whose check put the job back would find it only after its longest wait, of 5 s.
    """

    async def work(ctx: JobContext) -> None: ...

    handler = make_job(work)
    ours = settings(worker_stalled_ms=500)
    keys = keys_of(ours)
    async with App(Registry([handler]), ours) as app:
        job = await app.enqueue_job(handler)
        await app.queue().claim(Claimant("a-worker-that-is-gone", "gone", 60_000))
    await ask(redis, "DEL", keys.job_lock(job.job_id), keys.of("marker"))
    await ask(redis, "SADD", keys.of("stalled"), job.job_id)
    await ask(redis, "SET", keys.of("stalled-check"), "not at the start", "PX", 800)

    async def somebody_waits() -> bool:
        return int((await redis.info("clients"))["blocked_clients"]) > 0

    frozen = asyncio.ensure_future(ask(redis, "BZPOPMIN", keys.of("marker"), 4.5))
    await eventually(somebody_waits)
    async with at_work(ours, handler) as site:
        assert (await site.end_of(job.job_id, 3))[0] == "completed"
    assert (await frozen)[0] == keys.of("marker"), "the frozen worker was the one that was called"
