"""Trap 13: the first stalled check came one interval after the start; and a TimeoutError failed without a reason."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.settings import Settings
from jobqueue.transitions import Claimant
from jobqueue.worker.checks import StalledCheck
from jobqueue.worker.reporter import Reporter
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import ask, at_work, keys_of


def long_interval(settings: MakeSettings) -> Settings:
    """The default interval, longer than the test: whatever is found, the check at start has found."""
    return settings(worker_stalled_ms=30_000)


async def leave_behind(redis: Redis, settings: Settings, *, marked: bool) -> str:
    """A job as a worker leaves it that was killed: active, its lock expired; `marked` by a stalled check of then."""
    keys = keys_of(settings)

    async def work(ctx: JobContext) -> None: ...

    async with App(Registry([make_job(work)]), settings) as app:
        job = await app.enqueue_job("work")
        await app.queue().claim(Claimant("a-worker-that-is-gone", "gone", 60_000))
        await ask(redis, "DEL", keys.job_lock(job.job_id))
        if marked:
            await ask(redis, "SADD", keys.of("stalled"), job.job_id)
    return job.job_id


async def test_a_job_that_a_killed_worker_left_is_taken_up_by_the_next_one_at_its_start(
    settings: MakeSettings, redis: Redis
) -> None:
    """In the `bullmq` package the check slept before it looked: after a crash and a restart, which is when it is
    needed, the jobs in hand lay there for another half a minute.
    """

    async def work(ctx: JobContext) -> str:
        return f"claimed {ctx.job.stalled_count + 1} times"

    ours = long_interval(settings)
    job_id = await leave_behind(redis, ours, marked=True)

    async with at_work(ours, make_job(work)) as site:
        assert await site.end_of(job_id, 5) == ("completed", '"claimed 2 times"')
        assert site.count("job.stalled") == 1


async def test_a_job_that_no_check_had_marked_is_taken_up_within_an_interval(
    settings: MakeSettings, redis: Redis
) -> None:
    """Two looks are needed: the first marks what is active, the next finds what has lost its lock since."""

    async def work(ctx: JobContext) -> None: ...

    ours = settings(worker_stalled_ms=500)
    job_id = await leave_behind(redis, ours, marked=False)

    async with at_work(ours, make_job(work)) as site:
        assert (await site.end_of(job_id, 5))[0] == "completed"


async def test_the_next_worker_takes_up_the_job_though_the_killed_one_has_just_checked(
    settings: MakeSettings, redis: Redis
) -> None:
    """One worker at a time checks, by a key that lives for an interval: it may be that of the worker that died."""

    async def work(ctx: JobContext) -> None: ...

    ours = settings(worker_stalled_ms=500)
    job_id = await leave_behind(redis, ours, marked=True)
    await ask(redis, "SET", keys_of(ours).of("stalled-check"), "then", "PX", 400)

    async with at_work(ours, make_job(work)) as site:
        assert (await site.end_of(job_id, 5))[0] == "completed"


async def test_a_check_that_another_worker_has_made_is_repeated_when_its_time_is_over_not_an_interval_later(
    settings: MakeSettings, redis: Redis
) -> None:
    """Each kept a rhythm of its own. When the one died that checked, the turn of the other was up to an interval late:
    jobs ran again 13 s after a kill, with a lock and an interval of 5 s each.
    """
    ours = long_interval(settings)
    async with App(settings=ours) as app:
        check = StalledCheck(app.queue(), Reporter(app.events), lambda: None, app.registry, interval_ms=30_000)
        assert 29 < await check.tick() <= 31
        await ask(redis, "PEXPIRE", keys_of(ours).of("stalled-check"), 400)

        assert await check.tick() < 1


async def test_a_job_that_still_has_its_lock_is_left_alone(settings: MakeSettings, redis: Redis) -> None:
    may_end = asyncio.Event()
    runs: list[str] = []

    async def work(ctx: JobContext) -> None:
        runs.append(ctx.worker_name)
        await may_end.wait()

    handler = make_job(work)
    ours = settings(worker_lock_ms=1_000, worker_stalled_ms=100)

    async with at_work(ours, handler, name="first") as first, at_work(ours, handler, name="second") as second:
        job = await first.app.enqueue_job(handler)
        await eventually(lambda: runs)
        await asyncio.sleep(2.2)  # the subject: a job that outlasts its lock, which is renewed
        may_end.set()

        assert (await first.end_of(job.job_id))[0] == "completed"
        assert len(runs) == 1
        assert first.count("job.stalled") + second.count("job.stalled") == 0


@pytest.mark.parametrize("silent", [TimeoutError(), asyncio.CancelledError(), ValueError(""), ValueError("  \n")])
async def test_an_error_without_a_text_fails_with_its_name(settings: MakeSettings, silent: BaseException) -> None:
    """`str(TimeoutError())` is empty, so in the `bullmq` package such a job failed for no reason at all."""

    async def fails(ctx: JobContext) -> None:
        raise silent

    handler = make_job(fails, attempts=1)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("failed", type(silent).__name__)
