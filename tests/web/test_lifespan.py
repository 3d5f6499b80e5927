"""The life of a service with a worker inside, without a server around it."""

from __future__ import annotations

import logging

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, QueueVersionError, Registry, enqueue_job, make_job
from jobqueue.app import default_app_set
from jobqueue.asgi import STATE, lifespan
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer


@make_job
async def work(ctx: JobContext) -> str:
    return "done"


REGISTRY = Registry([work])


async def make_queue_of_bullmq_5(redis: Redis, prefix: str) -> None:
    await redis.hset(f"{prefix}:jobs:meta", "version", "bullmq:5.71.0")


async def test_a_service_whose_worker_is_refused_does_not_start(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    await make_queue_of_bullmq_5(redis, prefix)
    service = lifespan(App(REGISTRY, settings()), worker=True)

    with pytest.raises(QueueVersionError):
        async with service(None):
            raise AssertionError("the service has started")


async def test_a_worker_that_is_refused_once_redis_is_there_says_so(
    settings: MakeSettings, own_redis: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with own_redis.client() as redis:
        await make_queue_of_bullmq_5(redis, prefix)
    own_redis.stop()
    app = App(REGISTRY, settings(redis_url=own_redis.url, redis_call_ms=100))

    async with lifespan(app, worker=True)(None) as state:
        assert state == {STATE: app}
        own_redis.start()
        await eventually(lambda: "cannot start, so no jobs run here" in caplog.text)

    assert [one.levelno for one in caplog.records if one.name == "jobqueue.asgi"] == [logging.WARNING, logging.ERROR]


async def test_a_service_ends_while_its_worker_still_waits_for_redis(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    own_redis.stop()
    app = App(REGISTRY, settings(redis_url=own_redis.url, redis_call_ms=100))

    async with lifespan(app, worker=True)(None):
        pass  # it does not hang: the time limit of the test would end it


async def test_a_service_of_the_environment_may_begin_again_in_the_same_process(
    settings: MakeSettings, redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does for each of a service's tests. The default App of the second was the closed one of the first."""
    settings()
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("JOBS_PREFIX", prefix)
    monkeypatch.setenv("JOBS_REGISTRY", f"{__name__}:REGISTRY")
    service = lifespan()

    for number in ("1", "2"):
        async with service(None):
            assert (await enqueue_job(work)).job_id == number


async def test_a_service_uses_the_app_that_was_set_and_leaves_it_open(settings: MakeSettings) -> None:
    """It is the kit's, in a test: what the test did after the service had ended found it closed."""
    app = App(REGISTRY, settings())
    with default_app_set(app):
        async with lifespan()(None) as state:
            assert state == {STATE: app}

        assert (await enqueue_job(work)).job_id == "1"
    await app.close()


async def test_one_service_after_another_has_a_default_app_of_its_own(settings: MakeSettings) -> None:
    for _ in range(2):
        async with lifespan(App(REGISTRY, settings()), worker=True)(None):
            assert await (await enqueue_job(work)).wait(10) == "done"
