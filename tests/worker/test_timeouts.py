"""The time limit of a try: the signal, the grace, the cancellation, and what ignores all three."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from jobqueue import JobContext, fixed, make_job
from jobqueue.handler import Handler
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import at_work

FOR_EVER_S = 600.0


async def hold_on(ctx: JobContext) -> None:
    await asyncio.sleep(FOR_EVER_S)  # the subject: longer than any limit


LIMITS: dict[str, tuple[int | None, int | None, int | None, int]] = {
    "the job's beats the handler's and the worker's": (150, 60_000, 60_000, 150),
    "the handler's beats the worker's": (None, 160, 60_000, 160),
    "the worker's is the last": (None, None, 170, 170),
}


@pytest.mark.parametrize("rule", LIMITS)
async def test_the_time_limit_of_a_try(settings: MakeSettings, rule: str) -> None:
    of_job_ms, of_handler_ms, of_worker_ms, counts_ms = LIMITS[rule]
    handler: Handler[None] = make_job(hold_on, attempts=1, timeout_ms=of_handler_ms, grace_ms=0)
    limits: dict[str, Any] = {} if of_job_ms is None else {"timeout_ms": of_job_ms}

    async with at_work(settings(worker_timeout_ms=of_worker_ms), handler) as site:
        job = await site.app.enqueue_job("hold_on", None, **limits)

        assert await site.end_of(job.job_id) == ("failed", f"timed out after {counts_ms} ms")


async def test_a_try_that_times_out_counts_and_is_followed_by_the_next(settings: MakeSettings) -> None:
    tries: list[int] = []

    async def slow_at_first(ctx: JobContext) -> str:
        tries.append(ctx.job.attempt)
        if ctx.job.attempt == 1:
            await hold_on(ctx)
        return "in time"

    handler = make_job(slow_at_first, attempts=2, backoff=fixed(1), timeout_ms=100, grace_ms=0)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await job.wait(10) == "in time"
        assert tries == [1, 2]
        assert (await site.job(job.job_id)).attempts_made == 2


async def test_the_signal_comes_first_and_the_cancellation_after_the_grace(settings: MakeSettings) -> None:
    heard: list[str] = []

    async def listens(ctx: JobContext) -> None:
        heard.append(await ctx.signal.wait())
        try:
            await hold_on(ctx)
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    handler = make_job(listens, attempts=1, timeout_ms=100, grace_ms=200)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("failed", "timed out after 100 ms")
        assert heard == ["timed out after 100 ms", "cancelled"]


async def test_a_result_that_comes_after_the_limit_does_not_count(settings: MakeSettings) -> None:
    async def late(ctx: JobContext) -> str:
        await ctx.signal.wait()
        return "too late"

    handler = make_job(late, attempts=1, timeout_ms=100)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("failed", "timed out after 100 ms")


async def test_a_job_that_ends_in_time_is_not_disturbed_by_its_limit(settings: MakeSettings) -> None:
    async def quick(ctx: JobContext) -> str:
        return "quick"

    handler = make_job(quick, timeout_ms=100, grace_ms=0)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)
        assert await job.wait(10) == "quick"
        await asyncio.sleep(0.3)  # the subject: the limit would have passed by now

        assert await site.end_of(job.job_id) == ("completed", '"quick"')


async def test_a_handler_that_swallows_its_cancellation_loses_its_try_and_is_counted(settings: MakeSettings) -> None:
    may_end = asyncio.Event()

    async def stubborn(ctx: JobContext) -> str:
        while not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    handler = make_job(stubborn, attempts=1, timeout_ms=50, grace_ms=50)

    async with at_work(settings(worker_concurrency=1), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id, 15) == ("failed", "timed out after 50 ms")
        assert site.worker.stragglers.running == {"stubborn": 1}
        may_end.set()
        await eventually(lambda: not site.worker.stragglers.running)
        assert await site.end_of(job.job_id) == ("failed", "timed out after 50 ms")


async def test_a_thread_that_hangs_loses_its_try_and_is_counted_until_it_returns(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    may_end = threading.Event()

    def hangs(ctx: JobContext) -> str:
        may_end.wait()
        return "too late"

    handler = make_job(hangs, attempts=1, timeout_ms=50, grace_ms=50)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("failed", "timed out after 50 ms")
        assert site.worker.stragglers.running == {"hangs": 1}
        assert "hangs ignores its cancellation" in caplog.text
        may_end.set()
        await eventually(lambda: not site.worker.stragglers.running)
        assert await site.end_of(job.job_id) == ("failed", "timed out after 50 ms")


async def test_a_thread_sees_the_signal(settings: MakeSettings) -> None:
    started = threading.Event()

    def listens(ctx: JobContext) -> str:
        started.set()
        while not ctx.signal.aborted:
            threading.Event().wait(0.01)
        ctx.raise_if_cancelled()
        return "never told"

    handler = make_job(listens, attempts=1, timeout_ms=100, grace_ms=5_000)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("failed", "timed out after 100 ms")
        assert site.worker.stragglers.running == {}
