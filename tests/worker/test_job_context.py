"""What a handler is handed: its job, a log and progress in order, and a scope that ends with the job."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, fixed, make_job
from jobqueue.settings import Settings
from tests.conftest import MakeSettings
from tests.worker.harness import ask, at_work, keys_of

log = logging.getLogger("shop.orders")


async def log_of(redis: Redis, settings: Settings, job_id: str) -> list[str]:
    lines: list[str] = await ask(redis, "LRANGE", keys_of(settings).job_logs(job_id), 0, -1)
    return lines


async def progress_events(redis: Redis, settings: Settings) -> list[str]:
    entries = await ask(redis, "XRANGE", keys_of(settings).of("events"), "-", "+")
    return [fields["data"] for _, fields in entries if fields["event"] == "progress"]


async def test_log_lines_and_progress_arrive_in_order_and_all_of_them(settings: MakeSettings, redis: Redis) -> None:
    async def reports(ctx: JobContext) -> None:
        for step in range(300):
            ctx.log(f"step {step}")
            ctx.progress(step)

    handler = make_job(reports)
    ours = settings()

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)
        await site.end_of(job.job_id)

        assert await log_of(redis, ours, job.job_id) == [f"step {step}" for step in range(300)]
        assert await progress_events(redis, ours) == [str(step) for step in range(300)]
        assert (await site.job(job.job_id)).progress == 299


async def test_a_thread_may_log_and_report_progress_too(settings: MakeSettings, redis: Redis) -> None:
    def reports(ctx: JobContext) -> None:
        for step in range(100):
            ctx.log(f"step {step}")
        ctx.progress({"done": 100})

    handler = make_job(reports)
    ours = settings()

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)
        await site.end_of(job.job_id)

        assert await log_of(redis, ours, job.job_id) == [f"step {step}" for step in range(100)]
        assert (await site.job(job.job_id)).progress == {"done": 100}


async def test_what_was_logged_before_a_failure_is_kept(settings: MakeSettings, redis: Redis) -> None:
    async def fails(ctx: JobContext) -> None:
        ctx.log("so far so good")
        raise ValueError("then not")

    handler = make_job(fails, attempts=2, backoff=fixed(1))
    ours = settings()

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)
        await site.end_of(job.job_id)

        assert await log_of(redis, ours, job.job_id) == ["so far so good", "failed: then not"] * 2


async def test_the_job_s_log_is_capped(settings: MakeSettings, redis: Redis) -> None:
    async def talks(ctx: JobContext) -> None:
        for number in range(20):
            ctx.log(str(number))

    handler = make_job(talks, keep_logs=5)
    ours = settings()

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)
        await site.end_of(job.job_id)

        assert await log_of(redis, ours, job.job_id) == ["15", "16", "17", "18", "19"]


async def test_progress_that_is_no_json_is_the_handler_s_error(settings: MakeSettings) -> None:
    async def reports(ctx: JobContext) -> None:
        ctx.progress(object())

    handler = make_job(reports, attempts=1)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        state, reason = await site.end_of(job.job_id)
        assert state == "failed"
        assert "object" in (reason or "")


@pytest.mark.parametrize("kind", ["on the loop", "in a thread"])
async def test_a_line_logged_inside_a_job_reaches_the_log_of_that_job_alone(
    settings: MakeSettings, redis: Redis, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def on_the_loop(ctx: JobContext) -> None:
        log.warning("hello from %s", ctx.job.id)
        await asyncio.sleep(0)
        await asyncio.gather(in_a_child_task(ctx))

    async def in_a_child_task(ctx: JobContext) -> None:
        log.warning("a child of %s", ctx.job.id)

    def in_a_thread(ctx: JobContext) -> None:
        log.warning("hello from %s", ctx.job.id)
        log.warning("a child of %s", ctx.job.id)

    handler = make_job(on_the_loop if kind == "on the loop" else in_a_thread, name="logs")
    ours = settings()

    async with at_work(ours, handler) as site:
        jobs = await site.app.enqueue_jobs([(handler, None)] * 5)
        for job in jobs:
            await site.end_of(job.job_id)
        log.warning("outside of any job")

        for job in jobs:
            assert await log_of(redis, ours, job.job_id) == [
                f"WARNING shop.orders: hello from {job.job_id}",
                f"WARNING shop.orders: a child of {job.job_id}",
            ]
    assert "hello from" in caplog.text


async def test_a_context_variable_of_one_job_does_not_leak_into_the_next(settings: MakeSettings) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
    seen: list[str] = []

    async def sets_it(ctx: JobContext) -> None:
        seen.append(tenant.get())
        tenant.set(f"tenant of {ctx.job.id}")

    def sets_it_in_a_thread(ctx: JobContext) -> None:
        seen.append(tenant.get())
        tenant.set(f"tenant of {ctx.job.id}")

    on_loop, in_thread = make_job(sets_it), make_job(sets_it_in_a_thread)

    async with at_work(settings(worker_concurrency=1), on_loop, in_thread) as site:
        jobs = [await site.app.enqueue_job(one) for one in (on_loop, in_thread, on_loop, in_thread)]
        for job in jobs:
            await site.end_of(job.job_id)

    assert seen == ["nobody"] * 4


async def test_a_job_knows_what_it_is(settings: MakeSettings) -> None:
    async def tells(ctx: JobContext) -> dict[str, object]:
        job = ctx.job
        return {"id": job.id, "name": job.name, "attempt": job.attempt, "queue": job.queue, "on": ctx.worker_name}

    handler = make_job(tells)

    async with at_work(settings(), handler, name="here") as site:
        job = await site.app.enqueue_job(handler)

        assert await job.wait(10) == {
            "id": job.job_id,
            "name": "tells",
            "attempt": 1,
            "queue": "jobs",
            "on": "here",
        }


async def test_a_job_that_a_handler_enqueues_records_its_creator(settings: MakeSettings) -> None:
    async def child(ctx: JobContext) -> str | None:
        return ctx.job.envelope.created_by

    async def parent(ctx: JobContext) -> str:
        return (await ctx.enqueue_job("child")).job_id

    children, parents = make_job(child), make_job(parent)

    async with at_work(settings(), children, parents) as site:
        first = await site.app.enqueue_job(parents)
        child_id = await first.wait(10)

        assert await site.end_of(child_id) == ("completed", f'"{first.job_id}"')
