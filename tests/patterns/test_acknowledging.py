"""Manual acknowledgement: the job stays active until somebody, in whatever process, says how its work ended."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, JobFailed, JobNotInState, Registry, fixed, make_job
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, own_keys, serving, working
from tests.support.eventually import eventually


class Handed:
    """What the handler handed over."""

    def __init__(self) -> None:
        self.jobs: list[str] = []


async def is_active(app: App, job_id: str) -> bool:
    return await app.queue().state(job_id) == "active"


async def test_the_job_stays_active_until_it_is_marked_done(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    handed = Handed()

    @make_job(ack="manual")
    async def hand_over(ctx: JobContext) -> None:
        handed.jobs.append(ctx.job.id)

    async with working(settings(), hand_over) as app, App(Registry([hand_over]), settings()) as elsewhere:
        job = await app.enqueue_job(hand_over)
        await eventually(lambda: bool(handed.jobs))
        assert await is_active(app, job.job_id)

        await elsewhere.mark_done(job.job_id, {"rows": 3})

        assert await job.wait(WAIT_S) == {"rows": 3}
    assert await own_keys(redis, prefix) == set()


async def test_a_requeued_job_runs_again_and_uses_no_attempt(settings: MakeSettings) -> None:
    attempts: list[int] = []

    @make_job(ack="manual", attempts=1)
    async def hand_over(ctx: JobContext) -> None:
        attempts.append(ctx.job.attempt)

    async with working(settings(), hand_over) as app:
        job = await app.enqueue_job(hand_over)
        await eventually(lambda: len(attempts) == 1)
        await app.requeue(job.job_id)
        await eventually(lambda: len(attempts) == 2)
        await app.mark_done(await app.queue().job(job.job_id))
        assert await job.wait(WAIT_S) is None

    assert attempts == [1, 1]


async def test_done_may_be_said_before_the_handler_has_returned(settings: MakeSettings) -> None:
    @make_job(ack="manual")
    async def hand_over(ctx: JobContext) -> str:
        await app.mark_done(ctx.job, "early")
        return "ignored"

    async with working(settings(), hand_over) as app:
        assert await (await app.enqueue_job(hand_over)).wait(WAIT_S) == "early"


async def test_its_time_limit_ends_the_try_of_a_job_that_nobody_acknowledges(settings: MakeSettings) -> None:
    @make_job(ack="manual", timeout_ms=100, attempts=1)
    async def hand_over(ctx: JobContext) -> None: ...

    async with working(settings(), hand_over) as app:
        with pytest.raises(JobFailed, match="timed out after 100 ms"):
            await (await app.enqueue_job(hand_over)).wait(WAIT_S)


async def test_an_unacknowledged_jobs_lock_is_renewed(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    handed = Handed()

    @make_job(ack="manual")
    async def hand_over(ctx: JobContext) -> None:
        handed.jobs.append(ctx.job.id)

    async with working(settings(worker_lock_ms=1_000, worker_stalled_ms=300), hand_over) as app:
        job = await app.enqueue_job(hand_over)
        await eventually(lambda: bool(handed.jobs))
        await asyncio.sleep(2.5)  # more than twice its lock
        assert handed.jobs == [job.job_id]
        await app.mark_done(job.job_id)
        await job.wait(WAIT_S)


async def test_a_handler_that_raises_is_retried_like_any_other(settings: MakeSettings) -> None:
    @make_job(ack="manual", attempts=1)
    async def hand_over(ctx: JobContext) -> None:
        raise RuntimeError("no")

    async with working(settings(), hand_over) as app:
        with pytest.raises(JobFailed, match="no"):
            await (await app.enqueue_job(hand_over)).wait(WAIT_S)


async def test_what_was_acknowledged_is_not_run_again_though_its_worker_died_before_it_was_recorded(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    ran: list[str] = []

    @make_job(ack="manual")
    async def hand_over(ctx: JobContext) -> None:
        ran.append(ctx.job.id)

    async with App(Registry([hand_over]), settings()) as app:
        job = await app.enqueue_job(hand_over)
        await redis.lmove(f"{prefix}:jobs:wait", f"{prefix}:jobs:active", "LEFT", "RIGHT")
        await redis.sadd(f"{prefix}:jobs:stalled", job.job_id)
        await app.mark_done(job.job_id, "done elsewhere")

        async with serving(app):
            assert await job.wait(WAIT_S) == "done elsewhere"
    assert ran == []


async def test_a_job_that_is_not_active_or_acknowledges_by_itself_is_refused(settings: MakeSettings) -> None:
    @make_job(ack="manual")
    async def hand_over(ctx: JobContext) -> None: ...

    @make_job
    async def plain(ctx: JobContext) -> None: ...

    async with App(Registry([hand_over, plain]), settings()) as app:
        waits, other = await app.enqueue_job(hand_over), await app.enqueue_job(plain)
        with pytest.raises(JobNotInState, match="waiting"):
            await app.mark_done(waits.job_id)
        with pytest.raises(JobNotInState, match="by itself"):
            await app.requeue(other.job_id)


async def test_a_handler_that_returns_because_its_worker_stops_has_acknowledged_nothing(settings: MakeSettings) -> None:
    """It was completed with what the handler returned, and the work that it had handed over was lost."""
    handed = Handed()

    @make_job(ack="manual")
    async def hand_over(ctx: JobContext) -> str:
        handed.jobs.append(ctx.job.id)
        await ctx.signal.wait()
        return "in good order"

    async with App(Registry([hand_over]), settings(worker_shutdown_ms=50)) as app:
        job = await app.enqueue_job(hand_over)
        async with serving(app):
            await eventually(lambda: bool(handed.jobs))
        assert await app.queue().state(job.job_id) == "waiting"


async def test_done_is_done_though_the_handler_raises_afterwards(settings: MakeSettings) -> None:
    """The acknowledgement was taken, and forgotten with the try: the job stayed active for ever."""

    @make_job(ack="manual", attempts=3, backoff=fixed(1))
    async def hand_over(ctx: JobContext) -> None:
        await app.mark_done(ctx.job, "done")
        raise RuntimeError("after it was done")

    async with working(settings(), hand_over) as app:
        assert await (await app.enqueue_job(hand_over)).wait(WAIT_S) == "done"


async def test_done_is_done_though_the_worker_stops_meanwhile(settings: MakeSettings) -> None:
    """It was said while the job was given back, and the work was done twice."""
    handed = Handed()

    @make_job(ack="manual", grace_ms=5_000)
    async def hand_over(ctx: JobContext) -> None:
        handed.jobs.append(ctx.job.id)
        await ctx.signal.wait()
        await app.mark_done(ctx.job, "done")

    async with App(Registry([hand_over]), settings(worker_shutdown_ms=50)) as app:
        job = await app.enqueue_job(hand_over)
        async with serving(app):
            await eventually(lambda: bool(handed.jobs))
        assert await job.wait(WAIT_S) == "done"
    assert handed.jobs == [job.job_id]


async def test_a_worker_that_stops_gives_an_unacknowledged_job_back(settings: MakeSettings) -> None:
    handed = Handed()

    @make_job(ack="manual")
    async def hand_over(ctx: JobContext) -> None:
        handed.jobs.append(ctx.job.id)

    async with App(Registry([hand_over]), settings(worker_shutdown_ms=50)) as app:
        job = await app.enqueue_job(hand_over)
        async with serving(app):
            await eventually(lambda: bool(handed.jobs))
        assert await app.queue().state(job.job_id) == "waiting"


async def test_what_was_said_of_a_former_job_of_that_id_completes_nobody(settings: MakeSettings) -> None:
    """Node's `obliterate` begins the ids of a queue at 1 again, and knows nothing of our marks."""

    @make_job(ack="manual")
    async def hand_over(ctx: JobContext) -> None:
        await app.mark_done(ctx.job, "this one's")

    async with working(settings(), hand_over) as app:
        await app.client.call("SET", app.queue().keys.acknowledged("1"), '12345:done "a former one\'s"')

        assert await (await app.enqueue_job(hand_over)).wait(WAIT_S) == "this one's"
