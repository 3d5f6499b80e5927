"""Enqueueing while Redis is away, frozen, or gone in the middle of an answer."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import App, OutcomeUnknown, RedisUnavailable
from jobqueue.clock import now_ms
from tests.conftest import MakeSettings
from tests.support.mail import ADA, REGISTRY, send_mail, stored, tidy
from tests.support.processes import free_port
from tests.support.proxy import proxied
from tests.support.redis_server import RedisServer


def add_call_of(request: bytes) -> bool:
    """True for what adds a job: an EVALSHA that carries a job's data."""
    return b"EVALSHA" in request and b'"type":"adhoc"' in request


async def test_a_redis_that_is_away_fails_soon_and_names_the_address_without_the_password(
    settings: MakeSettings,
) -> None:
    port = free_port()

    async with App(REGISTRY, settings(redis_url=f"redis://ada:hunter2@127.0.0.1:{port}/0")) as app:
        with pytest.raises(RedisUnavailable, match=f"127.0.0.1:{port}") as refused:
            await app.enqueue_job(send_mail, ADA)
        with pytest.raises(RedisUnavailable):
            await app.enqueue_job(send_mail, ADA, job_id="mail-1")
        with pytest.raises(RedisUnavailable):
            await app.enqueue_jobs([(send_mail, ADA)] * 10)

    assert "hunter2" not in str(refused.value) + repr(refused.value)
    assert "hunter2" not in repr(app.locator)


async def test_a_redis_that_refuses_the_password_is_told_without_it(settings: MakeSettings, redis_url: str) -> None:
    url = redis_url.replace("redis://", "redis://ada:hunter2@")

    async with App(REGISTRY, settings(redis_url=url)) as app:
        with pytest.raises(RedisUnavailable, match=r"WRONGPASS|AUTH") as refused:
            await app.enqueue_job(send_mail, ADA)

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("options", [{}, {"job_id": "mail-1"}])
async def test_a_frozen_redis_fails_within_the_time_limit(
    settings: MakeSettings, own_redis: RedisServer, options: dict[str, Any]
) -> None:
    async with App(REGISTRY, settings(redis_url=own_redis.url, redis_call_ms=200, redis_connect_ms=200)) as app:
        await app.enqueue_job(send_mail, ADA)
        own_redis.pause()
        started_ms = now_ms()

        with pytest.raises((OutcomeUnknown, RedisUnavailable)):
            await app.enqueue_job(send_mail, ADA, **options)

        assert now_ms() - started_ms < 5_000
        own_redis.resume()


async def test_an_app_finds_its_redis_again(settings: MakeSettings, own_redis: RedisServer) -> None:
    async with App(REGISTRY, settings(redis_url=own_redis.url)) as app:
        await app.enqueue_job(tidy)
        own_redis.restart()

        assert (await app.enqueue_job(tidy, job_id="after")).created


# A lost answer


async def test_without_a_job_id_a_lost_answer_is_told_and_not_repeated(
    settings: MakeSettings, redis: Redis, redis_url: str, prefix: str
) -> None:
    async with proxied(redis_url) as proxy, App(REGISTRY, settings(redis_url=proxy.url)) as app:
        await app.enqueue_job(tidy)
        proxy.cut_answer_of = add_call_of

        with pytest.raises(OutcomeUnknown, match="job_id"):
            await app.enqueue_job(send_mail, ADA)

    assert await redis.llen(f"{prefix}:jobs:wait") == 2


@pytest.mark.parametrize("options", [{}, {"delay_ms": 60_000}, {"priority": 4}])
async def test_with_a_job_id_a_lost_answer_is_asked_for_again_and_the_job_stored_once(
    settings: MakeSettings, redis: Redis, redis_url: str, prefix: str, options: dict[str, Any]
) -> None:
    async with proxied(redis_url) as proxy, App(REGISTRY, settings(redis_url=proxy.url)) as app:
        await app.enqueue_job(tidy, job_id="first", **options)
        proxy.cut_answer_of = lambda request: add_call_of(request) and proxy.cuts == 0

        enqueued = await app.enqueue_job(send_mail, ADA, job_id="mail-1", **options)

        assert enqueued.job_id == "mail-1"
        assert proxy.cuts == 1
    events = [fields or {} for _, fields in await redis.xrange(f"{prefix}:jobs:events") or ()]
    assert [event["jobId"] for event in events if event["event"] == "added"] == ["first", "mail-1"]
    assert (await stored(redis, prefix, enqueued))["data"]["payload"] == {"to": "ada"}


async def test_with_a_job_id_asking_again_ends_at_the_time_limit(settings: MakeSettings, redis_url: str) -> None:
    async with proxied(redis_url) as proxy, App(REGISTRY, settings(redis_url=proxy.url, redis_call_ms=300)) as app:
        await app.enqueue_job(tidy)
        proxy.cut_answer_of = add_call_of

        with pytest.raises((OutcomeUnknown, RedisUnavailable)):
            await app.enqueue_job(send_mail, ADA, job_id="mail-1")

        assert proxy.cuts < 100  # it rests between two tries
