"""A worker that is stopped while Redis is away: it ends in its time, and what it held is found by the next one."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from jobqueue.scripts import shipped
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.proxy import proxied
from tests.support.redis_server import RedisServer
from tests.worker.harness import ask, at_work

SHORT = {"worker_shutdown_ms": 60_000, "redis_call_ms": 500, "redis_connect_ms": 500}
"""With nothing at work the time that jobs may take to finish must not be waited for."""

STOPS_S = 8.0


async def echo(ctx: JobContext) -> str:
    return ctx.worker_name


HANDLER = make_job(echo, grace_ms=100)


async def test_an_idle_worker_stops_though_redis_is_gone(settings: MakeSettings, own_redis: RedisServer) -> None:
    async with at_work(settings(redis_url=own_redis.url, **SHORT), HANDLER) as site:
        await asyncio.to_thread(own_redis.kill)
        await eventually(lambda: site.count("redis.lost"))

        await asyncio.wait_for(site.worker.stop(), STOPS_S)


async def test_an_idle_worker_stops_though_redis_is_frozen(settings: MakeSettings, own_redis: RedisServer) -> None:
    async with at_work(settings(redis_url=own_redis.url, **SHORT), HANDLER) as site:
        own_redis.pause()

        await asyncio.wait_for(site.worker.stop(), STOPS_S)
        own_redis.resume()


async def test_a_worker_with_a_result_to_record_stops_though_redis_is_gone(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    may_end = asyncio.Event()

    async def work(ctx: JobContext) -> None:
        await may_end.wait()

    handler = make_job(work, grace_ms=100)

    ours = settings(redis_url=own_redis.url, **(SHORT | {"worker_shutdown_ms": 200}))
    async with at_work(ours, handler) as site:
        await site.app.enqueue_job(handler)
        await eventually(lambda: site.count("job.started"))
        await asyncio.to_thread(own_redis.kill)
        may_end.set()
        await eventually(lambda: site.count("redis.lost"))

        await asyncio.wait_for(site.worker.stop(), STOPS_S)


async def test_a_worker_whose_claim_is_in_doubt_stops_though_redis_does_not_come_back(
    settings: MakeSettings, redis_server: RedisServer, redis: Redis
) -> None:
    claim = shipped("moveToActive")
    await ask(redis, "SCRIPT", "LOAD", claim.text)
    async with proxied(redis_server.url) as proxy, at_work(settings(redis_url=proxy.url, **SHORT), HANDLER) as site:
        await asyncio.sleep(0.2)  # lets the first claim, of the empty queue, pass: nothing tells that it has
        lost = proxy.lose_answer(claim.sha)
        await site.app.enqueue_job(HANDLER)
        await lost.wait()
        proxy.go_silent()
        await eventually(lambda: site.count("redis.lost"))
        stopping = asyncio.ensure_future(site.worker.stop())
        done, _ = await asyncio.wait({stopping}, timeout=STOPS_S)
        proxy.speak_again()

        assert done, "it would have waited for Redis for ever"
