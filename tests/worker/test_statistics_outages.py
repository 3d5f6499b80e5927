"""What becomes of a worker's figures where Redis is away, or the worker is killed."""

from __future__ import annotations

import asyncio
import signal

import pytest
from redis.asyncio import Redis

from jobqueue.errors import RedisUnavailable
from jobqueue.worker.statistics import Figures
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.proxy import proxied
from tests.support.redis_server import RedisServer
from tests.worker.crew import Crew
from tests.worker.figures import DONE, app_of, ended, flush_of, job_of, kept
from tests.worker.programs.crew import work


async def test_what_redis_did_not_take_is_sent_when_it_is_back(settings: MakeSettings, own_redis: RedisServer) -> None:
    ours = settings(redis_url=own_redis.url)
    async with app_of(ours) as app:
        figures = Figures()
        flush = flush_of(app, figures)
        figures.ended(job_of(), DONE, 0.01)
        await flush.tick()
        await asyncio.to_thread(own_redis.kill)
        for _ in range(5):
            figures.ended(job_of(), DONE, 0.01)
            with pytest.raises(RedisUnavailable):
                await flush.tick()
        await asyncio.to_thread(own_redis.start)

        await flush.tick()  # what was taken out to be sent
        await flush.tick()  # what was counted meanwhile

    assert ended((await kept(ours))["work"]) == (6, 0, 0)


async def test_a_batch_whose_answer_is_lost_is_added_once(
    settings: MakeSettings, redis_server: RedisServer, redis: Redis
) -> None:
    async with proxied(redis_server.url) as proxy, app_of(settings(redis_url=proxy.url)) as app:
        figures = Figures()
        flush = flush_of(app, figures)
        figures.ended(job_of(), DONE, 0.01)
        await flush.tick()
        figures.ended(job_of(), DONE, 0.01)
        lost = proxy.lose_answer("resolutions")
        with pytest.raises(RedisUnavailable):
            await flush.tick()
        await lost.wait()

        await flush.tick()

    assert ended((await kept(settings()))["work"]) == (2, 0, 0)


async def test_the_last_flush_is_not_waited_for_while_redis_is_frozen(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    async with app_of(settings(redis_url=own_redis.url)) as app:
        figures = Figures()
        flush = flush_of(app, figures)
        figures.ended(job_of(), DONE, 0.01)
        await flush.tick()
        figures.ended(job_of(), DONE, 0.01)
        own_redis.pause()

        await asyncio.wait_for(flush.stop(), 5)
        own_redis.resume()


async def test_a_worker_that_is_killed_loses_no_more_than_it_counted_since_the_last_flush(
    settings: MakeSettings, redis: Redis, crew: Crew
) -> None:
    ours = settings()
    process = crew.start(ours)
    async with app_of(ours) as app:
        for _ in range(10):
            await app.enqueue_job(work, 0)

        async def flushed() -> bool:
            return ended((await kept(ours)).get("work", {})) == (10, 0, 0)

        await eventually(flushed, 20)
        for _ in range(5):
            await app.enqueue_job(work, 0)
        await crew.have_started(15)
        process.send_signal(signal.SIGKILL)
        process.wait()

    completed, failed, retried = ended((await kept(ours))["work"])
    assert 10 <= completed <= 15
    assert failed == retried == 0
