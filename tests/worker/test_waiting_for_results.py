"""`result.wait`: the return value, or the failure, from the event stream, whatever happens to the connection."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, JobFailed, JobNotFound, Registry, make_job
from jobqueue.errors import ClientClosed
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.proxy import proxied
from tests.support.redis_server import RedisServer
from tests.worker.harness import ask, at_work, keys_of


async def echo(ctx: JobContext, value: int) -> dict[str, int]:
    if value < 0:
        raise ValueError(f"{value} is negative")
    return {"value": value}


HANDLER = make_job(echo, attempts=1)


async def test_the_waiter_gets_the_return_value(settings: MakeSettings) -> None:
    async with at_work(settings(), HANDLER) as site:
        job = await site.app.enqueue_job(HANDLER, 5)

        assert await job.wait(10) == {"value": 5}


async def test_the_waiter_gets_the_failure(settings: MakeSettings) -> None:
    async with at_work(settings(), HANDLER) as site:
        job = await site.app.enqueue_job(HANDLER, -5)

        with pytest.raises(JobFailed, match=r"^-5 is negative$"):
            await job.wait(10)


async def test_a_job_that_had_finished_long_ago_answers_at_once(settings: MakeSettings) -> None:
    async with at_work(settings(), HANDLER) as site:
        job = await site.app.enqueue_job(HANDLER, 5)
        failed = await site.app.enqueue_job(HANDLER, -5)
        await site.end_of(job.job_id)
        await site.end_of(failed.job_id)

        assert await job.wait(10) == {"value": 5}
        assert await job.wait(10) == {"value": 5}
        with pytest.raises(JobFailed):
            await failed.wait(10)


async def test_many_may_wait_for_one_job_and_one_for_many(settings: MakeSettings) -> None:
    async with at_work(settings(), HANDLER) as site:
        jobs = await site.app.enqueue_jobs([(HANDLER, number) for number in range(50)])
        results = await asyncio.gather(*(job.wait(10) for job in jobs for _ in range(3)))

        assert results == [{"value": number} for number in range(50) for _ in range(3)]


async def test_a_job_that_nobody_runs_is_given_up_after_the_time_limit(settings: MakeSettings) -> None:
    async with App(Registry([HANDLER]), settings()) as app:
        job = await app.enqueue_job(HANDLER, 5)

        with pytest.raises(TimeoutError):
            await job.wait(0.2)


async def test_a_job_that_was_removed_is_missing(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    async with App(Registry([HANDLER]), ours) as app:
        job = await app.enqueue_job(HANDLER, 5)
        await ask(redis, "DEL", keys_of(ours).job(job.job_id))

        with pytest.raises(JobNotFound):
            await job.wait(10)


async def test_a_waiter_that_gave_up_does_not_hurt_the_next(settings: MakeSettings) -> None:
    ours = settings()
    async with App(Registry([HANDLER]), ours) as app:
        job = await app.enqueue_job(HANDLER, 5)
        with pytest.raises(TimeoutError):
            await job.wait(0.1)
        waiting = asyncio.ensure_future(job.wait(10))

        async with at_work(ours, HANDLER):
            assert await waiting == {"value": 5}


async def test_a_result_that_came_while_the_waiter_was_cut_off_is_not_missed(
    settings: MakeSettings, redis_server: RedisServer
) -> None:
    async with proxied(redis_server.url) as proxy, App(Registry([HANDLER]), settings(redis_url=proxy.url)) as app:
        job = await app.enqueue_job(HANDLER, 5)
        waiting = asyncio.ensure_future(job.wait(20))
        await somebody_listens(redis_server)
        proxy.go_silent()
        async with at_work(settings(), HANDLER) as site:
            assert (await site.end_of(job.job_id))[0] == "completed"
        proxy.cut_all()
        proxy.speak_again()

        assert await waiting == {"value": 5}


async def test_a_waiter_outlives_a_restart_of_redis(settings: MakeSettings, own_redis: RedisServer) -> None:
    ours = settings(redis_url=own_redis.url)
    async with App(Registry([HANDLER]), ours) as app:
        job = await app.enqueue_job(HANDLER, 5)
        waiting = asyncio.ensure_future(job.wait(20))
        await somebody_listens(own_redis)
        await asyncio.to_thread(own_redis.kill)
        await asyncio.to_thread(own_redis.start)

        async with at_work(ours, HANDLER):
            assert await waiting == {"value": 5}


async def somebody_listens(server: RedisServer) -> None:
    async with server.client() as client:

        async def is_reading() -> bool:
            return any(known["cmd"] == "xread" for known in await client.client_list())

        await eventually(is_reading)


async def test_closing_the_app_ends_the_waiting(settings: MakeSettings) -> None:
    app = App(Registry([HANDLER]), settings())
    job = await app.enqueue_job(HANDLER, 5)
    waiting = asyncio.ensure_future(job.wait())
    await asyncio.sleep(0.1)  # lets it subscribe: nothing tells that it has

    await app.close()

    with pytest.raises(ClientClosed, match="the app was closed"):
        await asyncio.wait_for(waiting, 5)
