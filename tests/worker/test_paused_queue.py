"""A paused queue: nothing is claimed, what runs goes on, and a resume wakes the worker at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bullmq import Queue as BullQueue
from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from jobqueue.settings import Settings
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import at_work, keys_of, position


@asynccontextmanager
async def bull_queue(settings: Settings) -> AsyncGenerator[BullQueue]:
    """The package's own queue object, which pauses as Node 6 does."""
    queue = BullQueue(settings.jobs_queue, {"connection": settings.redis_url, "prefix": settings.jobs_prefix})
    try:
        yield queue
    finally:
        await queue.close()


async def test_a_paused_queue_is_left_alone_and_a_resume_wakes_the_worker_at_once(
    settings: MakeSettings, redis: Redis
) -> None:
    async def work(ctx: JobContext) -> str:
        return "done"

    handler = make_job(work)
    ours = settings()

    async with at_work(ours, handler) as site, bull_queue(ours) as queue:
        await queue.pause()
        job = await site.app.enqueue_job(handler)
        await asyncio.sleep(0.5)  # the subject: nothing happens
        assert await position(redis, keys_of(ours), job.job_id) == "wait"

        began_s = time.monotonic()
        await queue.resume()
        assert await job.wait(10) == "done"
        assert time.monotonic() - began_s < 1.0


async def test_a_worker_that_starts_on_a_paused_queue_is_woken_by_the_resume(settings: MakeSettings) -> None:
    async def work(ctx: JobContext) -> str:
        return "done"

    handler = make_job(work)
    ours = settings()

    async with bull_queue(ours) as queue:
        await queue.pause()
        async with at_work(ours, handler) as site:
            job = await site.app.enqueue_job(handler)
            await asyncio.sleep(0.3)  # the subject: it has looked, and found the queue paused
            began_s = time.monotonic()
            await queue.resume()

            assert await job.wait(10) == "done"
            assert time.monotonic() - began_s < 1.0


async def test_a_job_that_runs_when_its_queue_is_paused_ends_and_the_next_one_waits(
    settings: MakeSettings, redis: Redis
) -> None:
    may_end = asyncio.Event()
    runs: list[str] = []

    async def work(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        await may_end.wait()
        return "done"

    handler = make_job(work)
    ours = settings(worker_concurrency=1)

    async with at_work(ours, handler) as site, bull_queue(ours) as queue:
        running = await site.app.enqueue_job(handler)
        waiting = await site.app.enqueue_job(handler)
        await eventually(lambda: runs)
        await queue.pause()
        may_end.set()
        assert await running.wait(10) == "done"
        await asyncio.sleep(0.2)  # the subject: nothing happens
        assert await position(redis, keys_of(ours), waiting.job_id) == "wait"

        await queue.resume()
        assert await waiting.wait(10) == "done"


async def test_a_delayed_job_that_comes_due_in_a_paused_queue_runs_on_the_resume(settings: MakeSettings) -> None:
    async def work(ctx: JobContext) -> str:
        return "done"

    handler = make_job(work)
    ours = settings()

    async with at_work(ours, handler) as site, bull_queue(ours) as queue:
        await queue.pause()
        job = await site.app.enqueue_job(handler, delay_ms=100)
        await asyncio.sleep(0.4)  # the subject: it has come due meanwhile
        began_s = time.monotonic()
        await queue.resume()

        assert await job.wait(10) == "done"
        assert time.monotonic() - began_s < 1.0
