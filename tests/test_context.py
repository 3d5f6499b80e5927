"""The context: the job, the signal, and what a handler can do from inside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import (
    App,
    InvalidPayload,
    JobCancelled,
    JobContext,
    JobFailed,
    Registry,
    Resources,
    Settings,
    make_job,
)
from jobqueue.clock import now_ms
from jobqueue.context import AbortReason, AbortSignal
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, serving, working

# The signal


def test_a_signal_is_not_aborted_at_first() -> None:
    signal = AbortSignal()

    assert not signal.aborted
    assert signal.reason is None


def test_the_first_reason_counts() -> None:
    signal = AbortSignal()

    assert signal.abort(AbortReason("timeout", "timed out after 5 ms"))
    assert not signal.abort(AbortReason("superseded", "superseded by job 2", "2"))

    assert signal.aborted
    assert signal.reason == "timed out after 5 ms"


async def test_everyone_who_waits_for_the_signal_is_woken() -> None:
    signal = AbortSignal()
    waiting = [asyncio.ensure_future(signal.wait()) for _ in range(3)]
    await asyncio.sleep(0)  # lets them begin to wait

    signal.abort(AbortReason("shutdown", "the worker stops"))

    assert await asyncio.gather(*waiting) == ["the worker stops"] * 3
    assert await signal.wait() == "the worker stops"


# Inside a run


async def test_a_handler_is_told_its_job(settings: MakeSettings) -> None:
    before_ms = now_ms()

    @make_job(attempts=4)
    async def look(ctx: JobContext) -> dict[str, Any]:
        job = ctx.job
        return {
            "job": [job.id, job.queue, job.name, job.attempt, job.attempts],
            "enqueued_at_ms": job.enqueued_at_ms,
            "aborted": ctx.signal.aborted,
            "fence": ctx.fence,
        }

    async with working(settings(), look) as app:
        seen = await (await app.enqueue_job(look, job_id="mine")).wait(WAIT_S)

    assert seen["job"] == ["mine", "jobs", "look", 1, 4]
    assert before_ms <= seen["enqueued_at_ms"] <= now_ms()
    assert (seen["aborted"], seen["fence"]) == (False, None)


async def test_a_run_past_its_time_sees_the_signal_and_is_told_why(settings: MakeSettings) -> None:
    told: list[str] = []

    @make_job(timeout_ms=50, attempts=1)
    async def slow(ctx: JobContext) -> None:
        told.append(await ctx.signal.wait())
        with pytest.raises(JobCancelled, match="timed out after 50 ms"):
            ctx.raise_if_cancelled()
        ctx.raise_if_cancelled()

    async with working(settings(), slow) as app:
        with pytest.raises(JobFailed, match="timed out after 50 ms"):
            await (await app.enqueue_job(slow)).wait(WAIT_S)

    assert told == ["timed out after 50 ms"]


async def test_lines_and_progress_are_stored_in_order_before_the_job_completes(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    @make_job
    async def report(ctx: JobContext) -> None:
        for number in range(250):
            ctx.log(f"line {number}")
            ctx.progress({"done": number})

    async with working(settings(), report) as app:
        enqueued = await app.enqueue_job(report)
        await enqueued.wait(WAIT_S)
        job = await app.queue().job(enqueued.job_id)

    lines = await redis.lrange(f"{prefix}:jobs:{enqueued.job_id}:logs", 0, -1)
    assert lines == [f"line {number}" for number in range(250)]
    assert job.progress == {"done": 249}


async def test_a_thread_may_log_report_and_see_the_signal(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    @make_job
    def report(ctx: JobContext) -> bool:
        ctx.log("from a thread")
        ctx.progress(50)
        ctx.raise_if_cancelled()
        return threading.current_thread() is threading.main_thread()

    async with working(settings(), report) as app:
        enqueued = await app.enqueue_job(report)
        assert await enqueued.wait(WAIT_S) is False

    assert await redis.lrange(f"{prefix}:jobs:{enqueued.job_id}:logs", 0, -1) == ["from a thread"]


async def test_the_log_is_capped_at_what_the_handler_keeps(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    @make_job(keep_logs=3)
    async def chatty(ctx: JobContext) -> None:
        for number in range(10):
            ctx.log(str(number))

    async with working(settings(), chatty) as app:
        enqueued = await app.enqueue_job(chatty)
        await enqueued.wait(WAIT_S)

    assert await redis.lrange(f"{prefix}:jobs:{enqueued.job_id}:logs", 0, -1) == ["7", "8", "9"]


@pytest.mark.parametrize(
    "line", ["", "ünïcode", "null \x00 byte", "two\nlines", "lone \ud800 surrogate", "x" * 100_000]
)
async def test_any_line_can_be_logged_without_hurting_the_job(settings: MakeSettings, line: str) -> None:
    """A file's name, an error's text: a log line may hold what cannot be sent to Redis as it is."""

    @make_job(attempts=1)
    async def chatty(ctx: JobContext) -> str:
        ctx.log(line)
        return "done"

    async with working(settings(), chatty) as app:
        assert await (await app.enqueue_job(chatty)).wait(WAIT_S) == "done"


async def test_progress_that_is_no_json_is_refused_where_it_is_reported(settings: MakeSettings) -> None:
    @make_job(attempts=1)
    async def report(ctx: JobContext) -> str:
        with pytest.raises(ValueError, match=r"."):
            ctx.progress(object())
        with pytest.raises(ValueError, match=r"."):
            ctx.progress(float("nan"))
        return "went on"

    async with working(settings(), report) as app:
        assert await (await app.enqueue_job(report)).wait(WAIT_S) == "went on"


# Jobs from jobs


@make_job
async def child(ctx: JobContext, payload: int) -> int:
    return payload * 2


async def test_a_job_records_the_job_that_created_it(settings: MakeSettings) -> None:
    @make_job
    async def parent(ctx: JobContext) -> list[str]:
        by_handle = await ctx.enqueue_job(child, 1, delay_ms=60_000)
        by_name = await ctx.enqueue_job("child", 2, job_id="second")
        return [by_handle.job_id, by_name.job_id]

    async with working(settings(), parent, child) as app:
        enqueued = await app.enqueue_job(parent)
        children = await enqueued.wait(WAIT_S)
        made = [await app.queue().job(job_id) for job_id in children]

    assert [job.envelope.created_by for job in made] == [enqueued.job_id] * 2
    assert [job.envelope.payload for job in made] == [1, 2]


async def test_a_job_may_wait_for_the_job_that_it_created(settings: MakeSettings) -> None:
    @make_job
    async def parent(ctx: JobContext) -> int:
        result: int = await (await ctx.enqueue_job(child, 21)).wait(WAIT_S)
        return result

    async with working(settings(), parent, child) as app:
        assert await (await app.enqueue_job(parent)).wait(WAIT_S) == 42


async def test_bad_input_inside_a_job_is_the_same_typed_error(settings: MakeSettings) -> None:
    @make_job(attempts=1)
    async def parent(ctx: JobContext) -> str:
        with pytest.raises(InvalidPayload, match=r"payload: "):
            await ctx.enqueue_job("child", "many")
        return "told"

    async with working(settings(), parent, child) as app:
        assert await (await app.enqueue_job(parent)).wait(WAIT_S) == "told"


# Resources


class Database:
    def __init__(self) -> None:
        self.is_open = True


async def test_what_the_lifespan_opened_is_there_by_its_type_and_closed_at_the_stop(settings: MakeSettings) -> None:
    database = Database()

    @asynccontextmanager
    async def lifespan(_: Settings) -> AsyncGenerator[Resources]:
        yield Resources(database)
        database.is_open = False

    @make_job
    async def read(ctx: JobContext) -> bool:
        return ctx.resources[Database].is_open

    async with App(Registry([read], lifespan=lifespan), settings()) as app, serving(app):
        assert await (await app.enqueue_job(read)).wait(WAIT_S) is True

    assert not database.is_open
