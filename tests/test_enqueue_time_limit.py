"""REDIS_CALL_MS holds for all of an enqueueing, whatever that has to do on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jobqueue import App, JobContext, OutcomeUnknown, RedisUnavailable, Registry, make_job, make_superseding_job
from tests.conftest import MakeSettings
from tests.support.redis_server import RedisServer

LIMIT_MS = 300
WIDE_S = 6.0
"""Twenty times the limit: any machine manages that."""

OPTIONS = pytest.mark.parametrize("options", [{}, {"job_id": "order-1"}], ids=["any id", "own id"])


@make_job
async def echo(ctx: JobContext) -> None: ...


@make_superseding_job(dedupe_key=lambda payload: payload)
async def sync(ctx: JobContext, payload: str) -> None: ...


@asynccontextmanager
async def app_before(server: RedisServer, settings: MakeSettings, **changes: object) -> AsyncGenerator[App]:
    ours = settings(redis_url=server.url, redis_call_ms=LIMIT_MS, **changes)
    async with App(Registry([echo, sync]), ours) as app:
        yield app


@OPTIONS
async def test_a_redis_that_freezes_holds_a_producer_no_longer_than_the_limit(
    settings: MakeSettings, own_redis: RedisServer, options: dict[str, Any]
) -> None:
    """With a job id a lost answer is asked for again, and the limit was looked at between two tries only: each of
    them could take its own time to connect and its own time to call.
    """
    async with app_before(own_redis, settings, redis_connect_ms=60_000) as app:
        await app.enqueue_job(echo)
        own_redis.pause()

        async with asyncio.timeout(WIDE_S):
            with pytest.raises(OutcomeUnknown):
                await app.enqueue_job(echo, **options)
            with pytest.raises(OutcomeUnknown):
                await app.enqueue_job(sync, "lane", **options)


@OPTIONS
async def test_connecting_counts_towards_the_limit(
    settings: MakeSettings, own_redis: RedisServer, options: dict[str, Any]
) -> None:
    """A Redis that is frozen still accepts, since its kernel does. Opening the connection had a limit of its own,
    which came on top.
    """
    own_redis.pause()

    async with app_before(own_redis, settings, redis_connect_ms=60_000) as app:
        async with asyncio.timeout(WIDE_S):
            with pytest.raises((OutcomeUnknown, RedisUnavailable)):
                await app.enqueue_job(echo, **options)


async def test_many_jobs_are_held_no_longer_either(settings: MakeSettings, own_redis: RedisServer) -> None:
    async with app_before(own_redis, settings, redis_connect_ms=60_000) as app:
        await app.enqueue_job(echo)
        own_redis.pause()

        async with asyncio.timeout(WIDE_S):
            with pytest.raises(OutcomeUnknown):
                await app.enqueue_jobs([(echo, None)] * 50)


async def test_a_producer_that_was_held_up_can_go_on_when_redis_does(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """What was given up may have been stored; with its id it is stored once all the same."""
    async with app_before(own_redis, settings) as app:
        await app.enqueue_job(echo)
        own_redis.pause()
        with pytest.raises(OutcomeUnknown):
            await app.enqueue_job(echo, job_id="order-1")
        own_redis.resume()

        assert (await app.enqueue_job(echo, job_id="order-1")).job_id == "order-1"
        assert await app.client.call("LLEN", app.queue().keys.of("wait")) == 2


async def test_a_first_try_that_takes_the_whole_limit_leaves_none_for_a_second(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """With a job id it was asked again after the first answer was given up, for as long again."""
    ours = settings(redis_url=own_redis.url, redis_call_ms=3_000)
    async with App(Registry([echo]), ours) as app:
        await app.enqueue_job(echo)
        own_redis.pause()

        async with asyncio.timeout(5.5):
            with pytest.raises(OutcomeUnknown):
                await app.enqueue_job(echo, job_id="order-1")
