"""Trap 5: the time limit of the socket equalled the longest wait, so an idle worker went deaf."""

from __future__ import annotations

import asyncio
import time

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.worker.harness import at_work


async def test_an_idle_worker_keeps_its_connection_and_hears_the_next_job_at_once(settings: MakeSettings) -> None:
    """In the `bullmq` package the blocking wait (5 s) met redis-py's default time limit for sockets (5 s): the wait
    ended in an error, again and again, and an idle worker heard of new jobs up to 20 s late.
    """

    async def answer(ctx: JobContext) -> str:
        return "heard"

    handler = make_job(answer)

    async with at_work(settings(redis_call_ms=1_000), handler) as site:
        await asyncio.sleep(6.0)  # the subject: idle for longer than the longest wait, with a shorter time limit

        asked_s = time.monotonic()
        job = await site.app.enqueue_job(handler)
        assert await job.wait(10) == "heard"

        assert time.monotonic() - asked_s < 1.0
        assert site.count("redis.lost") == 0, "a wait must not be taken for a dead connection"
