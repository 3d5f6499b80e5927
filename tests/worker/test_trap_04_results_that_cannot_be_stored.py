"""Trap 4: a result that could not be encoded ran the handler again, for all its attempts."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from jobqueue import JobContext, fixed, make_job
from tests.conftest import MakeSettings
from tests.worker.harness import at_work


def _cycle() -> object:
    ring: list[object] = []
    ring.append(ring)
    return ring


def _nested(depth: int) -> object:
    value: object = None
    for _ in range(depth):
        value = [value]
    return value


UNSTORABLE: dict[str, tuple[Callable[[], object], str]] = {
    "no JSON": (object, "the result cannot be stored as JSON: .*object"),
    "not a number": (lambda: float("nan"), "the result cannot be stored as JSON: .*not JSON compliant"),
    "infinity": (lambda: {"rate": float("inf")}, "the result cannot be stored as JSON: .*not JSON compliant"),
    "a lone surrogate": (lambda: "\ud800", "the result cannot be stored as JSON: .*surrogates not allowed"),
    "a cycle": (_cycle, "the result cannot be stored as JSON: .*[Cc]ircular"),
    "too deep": (lambda: _nested(100_000), "the result cannot be stored as JSON: .*recursion"),
    "too large": (lambda: "x" * 2_000, r"the result is 2002 bytes, the limit is 1000 \(JOBS_MAX_RESULT_BYTES\)"),
}


@pytest.mark.parametrize("kind", UNSTORABLE)
async def test_a_result_that_cannot_be_stored_fails_its_job_once(settings: MakeSettings, kind: str) -> None:
    """In the `bullmq` package the error of encoding was taken for an error of the handler: one that had done its
    work, and sent its e-mail, was run again for all of its attempts. Ours encodes before it writes, and fails once.
    """
    make, reason = UNSTORABLE[kind]
    runs: list[int] = []

    async def returns_it(ctx: JobContext) -> object:
        runs.append(ctx.job.attempt)
        return make()

    handler = make_job(returns_it, attempts=5, backoff=fixed(1))

    async with at_work(settings(jobs_max_result_bytes=1_000), handler) as site:
        job = await site.app.enqueue_job(handler)

        state, why = await site.end_of(job.job_id)

        assert state == "failed"
        assert re.match(reason, why or ""), why
        assert runs == [1]


async def test_a_result_of_just_the_limit_is_stored(settings: MakeSettings) -> None:
    async def returns_it(ctx: JobContext) -> str:
        return "x" * 998

    handler = make_job(returns_it)

    async with at_work(settings(jobs_max_result_bytes=1_000), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await job.wait(10) == "x" * 998
