"""Tries: how many, how far apart, and which errors end them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from redis.asyncio import Redis

from jobqueue import Backoff, JobContext, exponential, fixed, make_job
from jobqueue.clock import now_ms
from jobqueue.job import MAX_DELAY_MS, BackoffFunction
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import ask, at_work, keys_of

LATE_MS = 250


async def gaps_of(settings: MakeSettings, backoff: Backoff | BackoffFunction, attempts: int) -> list[int]:
    """Milliseconds between the tries of a job that always fails."""
    tried_ms: list[int] = []

    async def fails(ctx: JobContext) -> None:
        tried_ms.append(now_ms())
        raise ValueError("as always")

    handler = make_job(fails, attempts=attempts, backoff=backoff)
    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)
        assert await site.end_of(job.job_id) == ("failed", "as always")
    return [after - before for before, after in pairwise(tried_ms)]


async def test_a_fixed_backoff_waits_the_same_each_time(settings: MakeSettings) -> None:
    gaps_ms = await gaps_of(settings, fixed(150), attempts=4)

    assert len(gaps_ms) == 3
    assert all(150 <= gap_ms < 150 + LATE_MS for gap_ms in gaps_ms)


async def test_an_exponential_backoff_doubles_each_time(settings: MakeSettings) -> None:
    gaps_ms = await gaps_of(settings, exponential(100), attempts=4)

    assert [gap_ms >= least for gap_ms, least in zip(gaps_ms, (100, 200, 400), strict=True)] == [True] * 3
    assert all(gap_ms < least + LATE_MS for gap_ms, least in zip(gaps_ms, (100, 200, 400), strict=True))


async def test_jitter_shortens_the_wait_and_never_lengthens_it(settings: MakeSettings) -> None:
    gaps_ms = await gaps_of(settings, fixed(200, jitter=0.5), attempts=4)

    assert all(100 <= gap_ms < 200 + LATE_MS for gap_ms in gaps_ms)


async def test_a_backoff_of_nothing_tries_again_at_once(settings: MakeSettings) -> None:
    gaps_ms = await gaps_of(settings, fixed(0), attempts=3)

    assert len(gaps_ms) == 2
    assert max(gaps_ms) < LATE_MS


async def test_a_backoff_function_is_asked_with_the_try_and_its_error(settings: MakeSettings) -> None:
    asked: list[tuple[int, str]] = []

    def my_backoff(attempt: int, error: BaseException) -> int:
        asked.append((attempt, str(error)))
        return 100 * attempt

    gaps_ms = await gaps_of(settings, my_backoff, attempts=3)

    assert asked == [(1, "as always"), (2, "as always")]
    assert [gap_ms >= least for gap_ms, least in zip(gaps_ms, (100, 200), strict=True)] == [True, True]


async def test_a_backoff_function_that_raises_fails_the_job_and_says_so(settings: MakeSettings) -> None:
    def broken(attempt: int, error: BaseException) -> int:
        raise LookupError("no such table")

    async def fails(ctx: JobContext) -> None:
        raise ValueError("the first cause")

    handler = make_job(fails, attempts=3, backoff=broken)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        state, reason = await site.end_of(job.job_id)
        assert (state, reason) == ("failed", "the first cause (and its backoff function raised no such table)")


async def test_an_unrecoverable_error_ends_the_tries(settings: MakeSettings) -> None:
    tries: list[int] = []

    class PermanentError(Exception):
        """Trying again will not help."""

    class StillPermanentError(PermanentError): ...

    async def fails(ctx: JobContext) -> None:
        tries.append(ctx.job.attempt)
        raise StillPermanentError("gone for good")

    handler = make_job(fails, attempts=5, backoff=fixed(1), unrecoverable=(PermanentError,))

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("failed", "gone for good")
        assert tries == [1]


async def test_a_job_s_own_attempts_and_backoff_beat_the_handler_s(settings: MakeSettings) -> None:
    tries: list[int] = []

    async def fails(ctx: JobContext) -> None:
        tries.append(ctx.job.attempt)
        raise ValueError("as always")

    handler = make_job(fails, attempts=5, backoff=fixed(60_000))

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler, attempts=2, backoff=fixed(1))

        assert (await site.end_of(job.job_id))[0] == "failed"
        assert tries == [1, 2]


async def test_each_failed_try_leaves_its_stack_trace(settings: MakeSettings, redis: Redis) -> None:
    async def fails(ctx: JobContext) -> None:
        raise ValueError(f"try {ctx.job.attempt}")

    handler = make_job(fails, attempts=3, backoff=fixed(1))
    ours = settings()

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)
        await site.end_of(job.job_id)
        stored = await site.job(job.job_id)

        assert [trace.strip().splitlines()[-1] for trace in stored.stacktrace] == [
            f"ValueError: try {number}" for number in (1, 2, 3)
        ]
        assert stored.failed_reason == "try 3"
        log = await ask(redis, "LRANGE", keys_of(ours).job_logs(job.job_id), 0, -1)
        assert log == [f"failed: try {number}" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("text", "end"),
    [("\ud800 alone", "alone"), ("nul \x00 inside", "inside"), ("x" * 200_000, "… (200000 characters)")],
    ids=["a lone surrogate", "a NUL", "too long to be kept whole"],
)
async def test_an_error_of_any_text_can_be_recorded(settings: MakeSettings, text: str, end: str) -> None:
    async def fails(ctx: JobContext) -> None:
        raise ValueError(text)

    handler = make_job(fails, attempts=2, backoff=fixed(1))

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        state, reason = await site.end_of(job.job_id)
        assert state == "failed"
        assert (reason or "").endswith(end)
        assert len(reason or "") < 11_000


async def test_a_backoff_function_cannot_put_a_job_off_for_ever(settings: MakeSettings) -> None:
    """10**30 ms was written as it was given: beyond what a score can hold, the job lay in `delayed` for good."""

    async def fails(ctx: JobContext) -> None:
        raise ValueError("no route")

    handler = make_job(fails, attempts=2, backoff=lambda attempt, error: 10**30)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: site.count("job.retried"))

        assert (await site.job(job.job_id)).delay_ms == MAX_DELAY_MS
