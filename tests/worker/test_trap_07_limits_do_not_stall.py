"""Trap 7: a rate limit or a global concurrency made the worker sleep for its longest wait after each job."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from jobqueue.settings import Settings
from tests.conftest import MakeSettings
from tests.worker.harness import ask, at_work, keys_of


async def limit(redis: Redis, settings: Settings, **limits: int) -> None:
    """What Node's setGlobalConcurrency and setGlobalRateLimit write."""
    for name, value in limits.items():
        await ask(redis, "HSET", keys_of(settings).of("meta"), name, value)


@pytest.mark.parametrize("concurrency", [1, 10])
async def test_a_queue_of_global_concurrency_one_does_not_stall(
    settings: MakeSettings, redis: Redis, concurrency: int
) -> None:
    """In the `bullmq` package 5 jobs of 50 ms took 20 s: after each one the worker found the queue at its limit and
    slept for its longest wait, though a place had just become free. Node needs 0.27 s.
    """
    at_once, most_at_once = 0, 0

    async def work(ctx: JobContext) -> None:
        nonlocal at_once, most_at_once
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        await asyncio.sleep(0.05)  # the work
        at_once -= 1

    handler = make_job(work)
    ours = settings(worker_concurrency=concurrency)
    await limit(redis, ours, concurrency=1)

    async with at_work(ours, handler) as site:
        began_s = time.monotonic()
        jobs = await site.app.enqueue_jobs([(handler, None)] * 5)
        for job in jobs:
            await job.wait(30)

        assert time.monotonic() - began_s < 3
        assert most_at_once == 1


async def test_two_workers_share_a_global_concurrency_without_stalling(settings: MakeSettings, redis: Redis) -> None:
    at_once, most_at_once = 0, 0

    async def work(ctx: JobContext) -> None:
        nonlocal at_once, most_at_once
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        await asyncio.sleep(0.05)  # the work
        at_once -= 1

    handler = make_job(work)
    ours = settings()
    await limit(redis, ours, concurrency=2)

    async with at_work(ours, handler) as site, at_work(ours, handler):
        began_s = time.monotonic()
        jobs = await site.app.enqueue_jobs([(handler, None)] * 10)
        for job in jobs:
            await job.wait(30)

        assert time.monotonic() - began_s < 3
        assert most_at_once <= 2


@pytest.mark.parametrize("concurrency", [1, 10])
async def test_a_rate_limited_queue_goes_on_the_moment_it_may(
    settings: MakeSettings, redis: Redis, concurrency: int
) -> None:
    """The other half: `limitUntil` was stored and never read, so a rate limit cost the longest wait as well."""
    started_s: list[float] = []

    async def work(ctx: JobContext) -> None:
        started_s.append(time.monotonic())

    handler = make_job(work)
    ours = settings(worker_concurrency=concurrency)
    await limit(redis, ours, max=1, duration=200)

    async with at_work(ours, handler) as site:
        jobs = await site.app.enqueue_jobs([(handler, None)] * 5)
        for job in jobs:
            await job.wait(30)

        gaps_s = [after - before for before, after in pairwise(started_s)]
        assert all(gap_s > 0.15 for gap_s in gaps_s), "no faster than the limit"
        assert started_s[-1] - started_s[0] < 3, "and no slower than it must"
