"""Duplicates: an unfinished job about the same object makes a second one refused."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import (
    App,
    DuplicateJob,
    Enqueued,
    JobContext,
    JobFailed,
    Registry,
    fixed,
    make_job,
    make_superseding_job,
)
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, Gate, own_keys, serving, working
from tests.support.foreign import remove

CHANNEL = ("channel", "42")


@make_job(duplicates="reject")
async def top_up(ctx: JobContext) -> str:
    return "topped up"


@make_job
async def ping(ctx: JobContext) -> str:
    return "pong"


async def test_a_second_job_of_the_handler_about_the_same_object_is_refused_while_the_first_is_unfinished(
    settings: MakeSettings,
) -> None:
    async with App(Registry([top_up]), settings()) as app:
        first = await app.enqueue_job(top_up, related=CHANNEL)
        with pytest.raises(DuplicateJob) as refused:
            await app.enqueue_job(top_up, related=CHANNEL)

        assert (refused.value.job_id, refused.value.handler) == (first.job_id, "top_up")
        assert await app.client.call("LLEN", app.queue().keys.of("wait")) == 1


async def test_another_object_another_handler_and_no_object_are_no_duplicates(settings: MakeSettings) -> None:
    async with App(Registry([top_up, ping]), settings()) as app:
        await app.enqueue_job(top_up, related=CHANNEL)

        await app.enqueue_job(top_up, related=("channel", "43"))
        await app.enqueue_job(top_up, related=("order", "42"))
        await app.enqueue_job(ping, related=CHANNEL)
        await app.enqueue_job(ping, related=CHANNEL)
        await app.enqueue_job(top_up)
        await app.enqueue_job(top_up)


async def test_once_the_first_has_ended_another_is_taken(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    async with working(settings(), top_up) as app:
        for _ in range(3):
            assert await (await app.enqueue_job(top_up, related=CHANNEL)).wait(WAIT_S) == "topped up"

    assert await own_keys(redis, prefix) == set()


async def test_a_job_in_backoff_is_unfinished(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job(name="top_up", duplicates="reject", attempts=2, backoff=fixed(60_000))
    async def failing(ctx: JobContext) -> None:
        gate.reached.set()
        raise RuntimeError("no")

    async with working(settings(), failing) as app:
        await app.enqueue_job(failing, related=CHANNEL)
        await gate.reached.wait()
        with pytest.raises(DuplicateJob):
            await app.enqueue_job(failing, related=CHANNEL)


async def test_of_many_at_once_exactly_one_is_stored(settings: MakeSettings) -> None:
    async with App(Registry([top_up]), settings()) as app:
        answers = await asyncio.gather(
            *(app.enqueue_job(top_up, related=CHANNEL) for _ in range(50)), return_exceptions=True
        )

    assert [type(answer) for answer in answers].count(Enqueued) == 1
    assert sum(isinstance(answer, DuplicateJob) for answer in answers) == 49


async def test_a_job_that_was_removed_is_in_nobodys_way(settings: MakeSettings) -> None:
    async with App(Registry([top_up]), settings()) as app:
        first = await app.enqueue_job(top_up, related=CHANNEL)
        await remove(app, first.job_id)

        assert (await app.enqueue_job(top_up, related=CHANNEL)).created


async def test_a_dedupe_key_whose_duplicates_are_refused_supersedes_nobody(settings: MakeSettings) -> None:
    @make_superseding_job(dedupe_key=lambda payload: payload, duplicates="reject")
    async def sync(ctx: JobContext, payload: str) -> str:
        return payload

    async with App(Registry([sync]), settings()) as app:
        first = await app.enqueue_job(sync, "r1")
        with pytest.raises(DuplicateJob, match=rf"job '{first.job_id}'"):
            await app.enqueue_job(sync, "r1")
        async with serving(app):
            assert await first.wait(WAIT_S) == "r1"


async def test_a_failed_job_is_not_retried_beside_its_unfinished_duplicate(settings: MakeSettings) -> None:
    @make_job(name="top_up", duplicates="reject", attempts=1)
    async def failing(ctx: JobContext) -> None:
        raise RuntimeError("no")

    async with App(Registry([failing]), settings()) as app:
        first = await app.enqueue_job(failing, related=CHANNEL)
        async with serving(app):
            with pytest.raises(JobFailed):
                await first.wait(WAIT_S)
        second = await app.enqueue_job(failing, related=CHANNEL)

        with pytest.raises(DuplicateJob) as refused:
            await app.retry_job(first.job_id)

    assert refused.value.job_id == second.job_id
