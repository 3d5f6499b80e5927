"""What does not supersede: errors, other lanes, and jobs that were refused or existed already."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import (
    App,
    InvalidPayload,
    JobCancelled,
    JobContext,
    JobFailed,
    PayloadTooLarge,
    Registry,
    exponential,
    fixed,
    make_superseding_job,
)
from jobqueue.job import EnqueueOptions
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, Gate, keys_of, own_keys, serving, working


def by_payload(payload: str) -> str:
    return payload


async def test_other_errors_are_retried_by_the_policy(settings: MakeSettings) -> None:
    @make_superseding_job(dedupe_key=by_payload, attempts=3, backoff=exponential(10))
    async def sync(ctx: JobContext, payload: str) -> int:
        if ctx.job.attempt < 3:
            raise RuntimeError("no route")
        return ctx.job.attempt

    async with working(settings(), sync) as app:
        assert await (await app.enqueue_job(sync, "r1")).wait(WAIT_S) == 3


class AbortError(Exception):
    """What an HTTP client may raise."""


@pytest.mark.parametrize("error", [AbortError("aborted"), JobCancelled("stop"), asyncio.CancelledError("stop")])
async def test_a_cancellation_that_is_not_our_signal_is_an_ordinary_error(
    settings: MakeSettings, redis: Redis, prefix: str, error: BaseException
) -> None:
    @make_superseding_job(dedupe_key=by_payload, attempts=2, backoff=fixed(10))
    async def sync(ctx: JobContext, payload: str) -> None:
        raise error

    async with working(settings(), sync) as app:
        job = await app.enqueue_job(sync, "r1")
        with pytest.raises(JobFailed, match=r"aborted|stop"):
            await job.wait(WAIT_S)
        assert (await app.queue().job(job.job_id)).attempts_made == 2

    assert await own_keys(redis, prefix) == set()


async def test_one_key_under_two_handlers_is_two_lanes(settings: MakeSettings) -> None:
    both = asyncio.Barrier(2)

    async def sync(ctx: JobContext, payload: str) -> str:
        await both.wait()
        return ctx.job.name

    one = make_superseding_job(sync, name="one", dedupe_key=by_payload)
    two = make_superseding_job(sync, name="two", dedupe_key=by_payload)

    async with working(settings(), one, two) as app:
        jobs = [await app.enqueue_job(one, "r1"), await app.enqueue_job(two, "r1")]
        assert [await job.wait(WAIT_S) for job in jobs] == ["one", "two"]


async def test_a_failed_add_never_evicts_the_holder(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    @make_superseding_job(name="sync", dedupe_key=lambda _: "r1")
    async def handler(ctx: JobContext, payload: str) -> str:
        return "synced"

    untyped: Any = handler

    async with App(Registry([handler]), settings(jobs_max_payload_bytes=100)) as app:
        holder = await app.enqueue_job(handler, "r1", job_id="holder")
        before = await keys_of(redis, prefix)
        with pytest.raises(InvalidPayload):
            await app.enqueue_job(untyped, 5)
        with pytest.raises(PayloadTooLarge):
            await app.enqueue_job(handler, "x" * 200)
        existing = EnqueueOptions(job_id="holder")
        ways: list[EnqueueOptions] = [existing, {**existing, "delay_ms": 5}, {**existing, "priority": 5}]
        for options in ways:
            again = await app.enqueue_job(handler, "r2", **options)
            assert (again.created, again.superseded) == (False, None)
        assert await keys_of(redis, prefix) == before

        async with serving(app):
            assert await holder.wait(WAIT_S) == "synced"


async def test_a_job_id_that_was_used_and_finished_evicts_nobody(settings: MakeSettings) -> None:
    gate = Gate()

    @make_superseding_job(dedupe_key=lambda _: "r1")
    async def sync(ctx: JobContext, payload: str) -> str:
        if payload == "held":
            await gate.wait()
        return "synced"

    async with working(settings(), sync) as app:
        await (await app.enqueue_job(sync, "short", job_id="used")).wait(WAIT_S)
        holder = await app.enqueue_job(sync, "held")
        await gate.reached.wait()

        again = await app.enqueue_job(sync, "short", job_id="used")
        gate.opened.set()

        assert (again.created, again.superseded) == (False, None)
        assert await holder.wait(WAIT_S) == "synced"
