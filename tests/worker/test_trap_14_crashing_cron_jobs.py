"""Trap 14: a scheduler's job that killed its process was never failed."""

from __future__ import annotations

import pytest
from bullmq import Queue as BullQueue
from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.handler import Handler
from jobqueue.settings import Settings
from tests.conftest import MakeSettings
from tests.worker.crew import Crew
from tests.worker.harness import ask, at_work, keys_of

HOUR_MS = 3_600_000
MAX_CLAIMS = 2


def harmless_crash(runs: list[str]) -> Handler[None]:
    """A handler of the crew's name and limit that does not take the test's own process away."""

    async def crash(ctx: JobContext) -> None:
        runs.append(ctx.job.id)

    return make_job(crash, attempts=1, max_claims=MAX_CLAIMS)


async def schedule_crash(settings: Settings) -> str:
    """A scheduler whose first job is due at once; returns that job's id."""
    queue = BullQueue(settings.jobs_queue, {"connection": settings.redis_url, "prefix": settings.jobs_prefix})
    try:
        job = await queue.upsertJobScheduler("nightly", {"every": HOUR_MS}, "crash", {}, {})
        assert job is not None
        return str(job.id)
    finally:
        await queue.close()


async def enqueue_crash(settings: Settings) -> str:
    async with App(Registry([harmless_crash([])]), settings) as app:
        return (await app.enqueue_job("crash")).job_id


@pytest.mark.parametrize("made_by", ["a scheduler", "a caller"])
async def test_a_job_that_kills_its_process_is_quarantined_after_max_claims(
    settings: MakeSettings, redis: Redis, crew: Crew, made_by: str
) -> None:
    """BullMQ's stalled check fails a job that stalls too often, but spares the jobs of schedulers: a nightly job that
    took its process down did so again and again, for ever, and whatever ran beside it went down with it. Ours counts
    the claims itself.
    """
    runs: list[str] = []
    short = settings(worker_lock_ms=1_000, worker_stalled_ms=100)
    job_id = await (schedule_crash(short) if made_by == "a scheduler" else enqueue_crash(short))

    for claim in range(1, MAX_CLAIMS + 1):
        victim = crew.start(short)
        await crew.have_started(claim)
        assert victim.wait(10) == 7

    async with at_work(short, harmless_crash(runs)) as site:
        state, reason = await site.end_of(job_id)

        assert (state, runs) == ("failed", [])
        assert crew.runs()[job_id] == MAX_CLAIMS
        if made_by == "a scheduler":
            assert reason == "quarantined: 2 workers died or stalled while they ran it"
            assert await ask(redis, "ZCARD", keys_of(short).of("delayed")) == 1, "tomorrow's job stays"
