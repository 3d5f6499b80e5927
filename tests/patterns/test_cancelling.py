"""Cancelling from any process, and running a job again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

import pytest
from pydantic import BaseModel, field_validator
from redis.asyncio import Redis

from jobqueue import (
    App,
    InvalidOption,
    JobActive,
    JobContext,
    JobFailed,
    JobFinished,
    JobNotFound,
    JobNotInState,
    Registry,
    fixed,
    make_job,
    make_superseding_job,
)
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, Gate, own_keys, serving, working
from tests.support.eventually import eventually
from tests.support.foreign import remove


@make_job
async def work(ctx: JobContext, payload: str) -> str:
    return payload


async def waiting(app: App) -> str:
    return (await app.enqueue_job(work, "x")).job_id


async def prioritized(app: App) -> str:
    return (await app.enqueue_job(work, "x", priority=5)).job_id


async def delayed(app: App) -> str:
    return (await app.enqueue_job(work, "x", delay_ms=60_000)).job_id


async def parked(app: App) -> str:
    await app.enqueue_job(work, "head", order_key="a", delay_ms=60_000)
    return (await app.enqueue_job(work, "x", order_key="a")).job_id


@pytest.mark.parametrize("stored", [waiting, prioritized, delayed, parked])
async def test_a_job_that_has_not_started_never_runs_and_ends_failed_at_once(
    settings: MakeSettings, stored: Callable[[App], Awaitable[str]]
) -> None:
    async with App(Registry([work]), settings()) as app:
        job_id = await stored(app)

        assert await app.cancel_job(job_id, "not wanted") == "cancelled"

        job = await app.queue().job(job_id)
        assert await app.queue().state(job_id) == "failed"
        assert job.failed_reason == "Cancelled: not wanted"
        assert job.attempts_started == 0


async def test_what_a_cancelled_job_held_is_given_back(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    @make_superseding_job(dedupe_key=lambda payload: payload, concurrency=1)
    async def sync(ctx: JobContext, payload: str) -> None: ...

    async with App(Registry([sync]), settings()) as app:
        job = await app.enqueue_job(sync, "r1", order_key="a", related=("order", "7"))
        assert await own_keys(redis, prefix) != set()
        await app.cancel_job(job.job_id)

    assert await own_keys(redis, prefix) == set()


async def test_an_active_job_is_told_at_once_and_ends_failed_with_the_reason(settings: MakeSettings) -> None:
    told, gate = list[str](), Gate()

    @make_job
    async def sleeper(ctx: JobContext) -> str:
        gate.reached.set()
        told.append(await ctx.signal.wait())
        return "as if nothing had happened"

    async with working(settings(), sleeper) as app:
        job = await app.enqueue_job(sleeper)
        await gate.reached.wait()

        assert await app.cancel_job(job.job_id, "not wanted") == "cancelling"
        with pytest.raises(JobFailed, match=r"^Cancelled: not wanted$"):
            await job.wait(WAIT_S)

    assert told == ["not wanted"]


async def test_a_run_that_does_not_listen_is_cancelled_after_the_grace(settings: MakeSettings) -> None:
    gate, was_cancelled = Gate(), asyncio.Event()

    @make_job(grace_ms=50)
    async def deaf(ctx: JobContext) -> None:
        gate.reached.set()
        try:
            await asyncio.sleep(60)  # it looks at no signal
        except asyncio.CancelledError:
            was_cancelled.set()
            raise

    async with working(settings(), deaf) as app:
        job = await app.enqueue_job(deaf)
        await gate.reached.wait()
        await app.cancel_job(job.job_id)
        with pytest.raises(JobFailed, match="Cancelled"):
            await job.wait(WAIT_S)

    assert was_cancelled.is_set()


async def test_a_cancelled_job_is_not_retried(settings: MakeSettings) -> None:
    starts, gate = list[int](), Gate()

    @make_job(attempts=5, backoff=fixed(1))
    async def work(ctx: JobContext) -> None:
        starts.append(ctx.job.attempt)
        gate.reached.set()
        await ctx.signal.wait()
        raise RuntimeError("stopped")

    async with working(settings(), work) as app:
        job = await app.enqueue_job(work)
        await gate.reached.wait()
        await app.cancel_job(job.job_id)
        with pytest.raises(JobFailed, match="Cancelled"):
            await job.wait(WAIT_S)

    assert starts == [1]


async def test_a_result_that_comes_after_the_cancelling_is_ignored(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The push is lost and the poll has not come: only the step that would write the completion sees the mark."""
    monkeypatch.setattr("jobqueue.worker.marks.POLL_S", 60.0)
    gate = Gate()

    @make_job
    async def work(ctx: JobContext) -> str:
        await gate.wait()
        return "done"

    async with working(settings(), work) as app:
        job = await app.enqueue_job(work)
        await gate.reached.wait()
        stored = await app.queue().job(job.job_id)
        mark = f"{stored.enqueued_at_ms}:too late"
        await app.client.call("SET", app.queue().keys.cancelled(job.job_id), mark)
        gate.opened.set()

        with pytest.raises(JobFailed, match=r"^Cancelled: too late$"):
            await job.wait(WAIT_S)


async def test_the_mark_of_a_former_job_of_that_id_cancels_nobody(settings: MakeSettings) -> None:
    async with working(settings(), work) as app:
        await app.client.call("SET", app.queue().keys.cancelled("1"), "12345:an old one")

        assert await (await app.enqueue_job(work, "x")).wait(WAIT_S) == "x"


async def test_the_cancelling_of_a_schedulers_job_outlives_its_delay(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """The mark ended after 90 days, and a job of a yearly scheduler ran although it was cancelled."""
    delay_ms = 300 * 24 * 60 * 60 * 1000

    async with App(Registry([work]), settings()) as app:
        job = await app.enqueue_job(work, "x", delay_ms=delay_ms)
        await redis.hset(f"{prefix}:jobs:{job.job_id}", "rjk", "yearly")

        assert await app.cancel_job(job.job_id) == "cancelling"
        assert await redis.pttl(f"{prefix}:jobs:job:cancel:{job.job_id}") > delay_ms


async def test_a_cancelled_jobs_redelivery_does_not_run(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    """Its worker died after it was told."""
    async with App(Registry([work]), settings()) as app:
        job = await app.enqueue_job(work, "x")
        await redis.lmove(f"{prefix}:jobs:wait", f"{prefix}:jobs:active", "LEFT", "RIGHT")
        await redis.sadd(f"{prefix}:jobs:stalled", job.job_id)
        assert await app.cancel_job(job.job_id, "not wanted") == "cancelling"

        async with serving(app):
            with pytest.raises(JobFailed, match="Cancelled: not wanted"):
                await job.wait(WAIT_S)
        assert await own_keys(redis, prefix) == set()


async def test_all_jobs_of_an_object_are_cancelled_the_running_one_too(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job
    async def run(ctx: JobContext) -> None:
        gate.reached.set()
        await ctx.signal.wait()

    async with working(settings(), run, work) as app:
        running = await app.enqueue_job(run, related=("channel", "42"))
        await gate.reached.wait()
        later = await app.enqueue_job(work, "x", related=("channel", "42"), delay_ms=60_000)
        other = await app.enqueue_job(work, "other", related=("channel", "43"))

        cancelled = await app.cancel_jobs(related=("channel", "42"), reason="closed")

        assert cancelled == {"jobs": tuple(sorted([running.job_id, later.job_id]))}
        for job in (running, later):
            with pytest.raises(JobFailed, match="Cancelled: closed"):
                await job.wait(WAIT_S)
        assert await other.wait(WAIT_S) == "other"


async def test_another_objects_job_that_has_the_id_of_a_removed_one_is_not_cancelled(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """A BullMQ tool removed the first; its id stayed with its object, and cancelling that cancelled the second."""
    async with App(Registry([work]), settings()) as app:
        await app.enqueue_job(work, "first", job_id="x", related=("order", "1"))
        gone = await app.enqueue_job(work, "gone", related=("order", "1"))
        await remove(app, "x")
        await remove(app, gone.job_id)
        await app.enqueue_job(work, "second", job_id="x", related=("order", "2"))

        assert await app.cancel_jobs(related=("order", "1")) == {"jobs": ()}
        assert await app.queue().state("x") == "waiting"
    assert await own_keys(redis, prefix) == {"job:related:order:2"}


async def test_an_objects_jobs_that_tools_removed_do_not_pile_up(settings: MakeSettings, redis: Redis) -> None:
    async with App(Registry([work]), settings()) as app:
        for _ in range(60):
            await remove(app, (await app.enqueue_job(work, "x", related=("order", "1"))).job_id)

        assert await redis.scard(f"{app.queue().keys.base}job:related:order:1") < 10


async def test_a_job_that_has_ended_cannot_be_cancelled(settings: MakeSettings) -> None:
    async with working(settings(), work) as app:
        job = await app.enqueue_job(work, "x")
        await job.wait(WAIT_S)

        with pytest.raises(JobFinished, match="completed"):
            await app.cancel_job(job.job_id)
        with pytest.raises(JobNotFound):
            await app.cancel_job("nobody")


class Picky(BaseModel):
    """A payload whose validator breaks after the job was stored."""

    number: int
    broken: ClassVar[bool] = False

    @field_validator("number")
    @classmethod
    def check(cls, number: int) -> int:
        if cls.broken:
            raise KeyError(number)
        return number


async def test_a_job_whose_validator_raises_anything_can_be_cancelled_and_retried(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    @make_job
    async def count(ctx: JobContext, payload: Picky) -> None: ...

    async with App(Registry([count]), settings()) as app:
        job = await app.enqueue_job(count, Picky(number=1), order_key="a")
        monkeypatch.setattr(Picky, "broken", True)

        assert await app.cancel_job(job.job_id) == "cancelled"
        await app.retry_job(job.job_id)
        assert await app.queue().state(job.job_id) == "waiting"


async def test_a_cancelled_job_that_is_retried_stands_before_all_that_were_enqueued_after_it(
    settings: MakeSettings,
) -> None:
    """It had never started, so it was taken for a new one and went to the end of its key."""
    ran: list[str] = []

    @make_job
    async def step(ctx: JobContext, payload: str) -> None:
        ran.append(payload)

    async with App(Registry([step]), settings()) as app:
        jobs = [await app.enqueue_job(step, name, order_key="a") for name in ("first", "second", "third")]
        await app.cancel_job(jobs[1].job_id)
        await app.retry_job(jobs[1].job_id)
        assert await app.queue().state(jobs[1].job_id) == "waiting-children"
        async with serving(app):
            await jobs[2].wait(WAIT_S)

    assert ran == ["first", "second", "third"]


@pytest.mark.parametrize("job_id", [None, 5, True, "\ud800"])
async def test_what_is_no_id_is_refused(settings: MakeSettings, job_id: str) -> None:
    async with App(Registry([work]), settings()) as app:
        for act in (app.cancel_job, app.retry_job, app.requeue):
            with pytest.raises(InvalidOption, match="job_id"):
                await act(job_id)


@pytest.mark.parametrize("reason", ["Annulé\xa0: doublon", "👩‍🚀", "x" * 1_000])
async def test_a_reason_may_be_in_any_script(settings: MakeSettings, reason: str) -> None:
    async with App(Registry([work]), settings()) as app:
        job = await app.enqueue_job(work, "x")
        await app.cancel_job(job.job_id, reason)

        assert (await app.queue().job(job.job_id)).failed_reason == f"Cancelled: {reason}"


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "x" * 1_001, None])
async def test_a_reason_is_one_line_of_text(settings: MakeSettings, reason: str) -> None:
    async with App(Registry([work]), settings()) as app:
        job = await app.enqueue_job(work, "x")
        with pytest.raises(InvalidOption, match="reason"):
            await app.cancel_job(job.job_id, reason)
        assert await app.queue().state(job.job_id) == "waiting"


# Running it again


async def test_a_failed_or_cancelled_job_runs_again_with_its_attempts_reset(settings: MakeSettings) -> None:
    attempts: list[int] = []
    fails = [True]

    @make_job(attempts=2, backoff=fixed(1))
    async def work(ctx: JobContext) -> str:
        attempts.append(ctx.job.attempt)
        if fails:
            raise RuntimeError("no")
        return "worked"

    async with App(Registry([work]), settings()) as app:
        job = await app.enqueue_job(work)
        async with serving(app):
            with pytest.raises(JobFailed):
                await job.wait(WAIT_S)
        await app.retry_job(job.job_id)
        await app.cancel_job(job.job_id)
        fails.clear()
        await app.retry_job(job.job_id)
        assert (await app.queue().job(job.job_id)).attempts_made == 0
        async with serving(app):
            assert await job.wait(WAIT_S) == "worked"

    assert attempts == [1, 2, 1]


async def test_a_finished_and_an_active_job_are_refused_with_errors_of_their_own(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job
    async def run(ctx: JobContext) -> None:
        await gate.wait()

    async with working(settings(), run, work) as app:
        done = await app.enqueue_job(work, "x")
        await done.wait(WAIT_S)
        running = await app.enqueue_job(run)
        await gate.reached.wait()
        later = await app.enqueue_job(work, "x", delay_ms=60_000)

        with pytest.raises(JobFinished, match="completed"):
            await app.retry_job(done.job_id)
        with pytest.raises(JobActive, match="active"):
            await app.retry_job(running.job_id)
        with pytest.raises(JobNotInState, match="delayed"):
            await app.retry_job(later.job_id)
        gate.opened.set()


async def test_a_job_that_expires_before_it_starts_ends_failed(settings: MakeSettings) -> None:
    async with App(Registry([work]), settings()) as app:
        job = await app.enqueue_job(work, "x", expires_in_ms=1)
        await eventually(lambda: has_passed(app, job.job_id))
        async with serving(app):
            with pytest.raises(JobFailed, match=r"^Expired$"):
                await job.wait(WAIT_S)


async def has_passed(app: App, job_id: str) -> bool:
    expires_at_ms = (await app.queue().job(job_id)).envelope.expires_at_ms
    seconds, _ = await app.client.call("TIME")
    return int(seconds) * 1000 > (expires_at_ms or 0)
