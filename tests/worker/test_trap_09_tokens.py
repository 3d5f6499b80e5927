"""Trap 9: all concurrent fetches shared one lock token."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import ask, at_work, keys_of


async def test_jobs_that_are_active_at_once_have_tokens_of_their_own(settings: MakeSettings, redis: Redis) -> None:
    """In the `bullmq` package the fetching tasks closed over the loop's variable and all saw its last value: jobs
    that were active at once shared one token, so that a stale run could complete or renew what another one held.
    """
    started: list[str] = []
    may_end = asyncio.Event()

    async def work(ctx: JobContext) -> None:
        started.append(ctx.job.id)
        await may_end.wait()

    handler = make_job(work)
    ours = settings(worker_concurrency=10)
    keys = keys_of(ours)

    async with at_work(ours, handler) as site, at_work(ours, handler):
        jobs = await site.app.enqueue_jobs([(handler, None)] * 20)
        await eventually(lambda: len(started) == 20)
        tokens = [await ask(redis, "GET", keys.job_lock(job.job_id)) for job in jobs]
        may_end.set()

        assert None not in tokens
        assert len(set(tokens)) == 20
