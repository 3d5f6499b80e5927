"""Trap 4, at its edges: a result whose own code raises anything, and a limit that counts bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from jobqueue import JobContext, fixed, make_job
from tests.conftest import MakeSettings
from tests.worker.harness import at_work


@pytest.mark.parametrize("raised", [RuntimeError, KeyError, SystemExit, asyncio.CancelledError])
async def test_a_result_whose_own_code_raises_fails_its_job_once(
    settings: MakeSettings, raised: type[BaseException]
) -> None:
    runs: list[int] = []

    def rows() -> Iterator[int]:
        yield 1
        raise raised("as it does")

    async def returns_it(ctx: JobContext) -> object:
        runs.append(ctx.job.attempt)
        return rows()

    handler = make_job(returns_it, attempts=5, backoff=fixed(1))

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)
        state, reason = await site.end_of(job.job_id)

        assert (state, runs) == ("failed", [1])
        assert (reason or "").startswith("the result cannot be stored as JSON: ")


async def test_the_limit_of_a_result_counts_bytes_and_not_characters(settings: MakeSettings) -> None:
    async def returns_it(ctx: JobContext) -> str:
        return "é" * 600

    handler = make_job(returns_it, attempts=1)

    async with at_work(settings(jobs_max_result_bytes=1_000), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == (
            "failed",
            "the result is 1202 bytes, the limit is 1000 (JOBS_MAX_RESULT_BYTES)",
        )
