"""What patterns cost in script calls, and that nobody pays for a pattern that he does not use."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import App, Handler, JobContext, make_job, make_superseding_job
from tests.conftest import MakeSettings
from tests.patterns.working import working
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

IDLE = 100_000
QUIET = {"worker_concurrency": 10, "worker_stalled_ms": 600_000}
"""No stalled check in between, which would be counted with the calls."""


@make_job
async def work(ctx: JobContext) -> None: ...


@make_superseding_job(dedupe_key=lambda payload: payload)
async def sync(ctx: JobContext, payload: str) -> None: ...


async def script_calls(redis: Redis) -> int:
    stats: dict[str, Any] = await redis.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{word}", {"calls": 0})["calls"]) for word in ("eval", "evalsha"))


async def ended(app: App, redis: Redis, jobs: int) -> bool:
    return await redis.zcard(app.queue().keys.of("completed")) == jobs


async def calls_of_lone_jobs(app: App, redis: Redis, jobs: int = 10) -> int:
    """Script calls of some jobs, one after another, each of which finds the worker idle."""
    before = await script_calls(redis)
    done = int(await redis.zcard(app.queue().keys.of("completed")))
    for number in range(jobs):
        await app.enqueue_job(work)
        await eventually(partial(ended, app, redis, done + number + 1))
    await asyncio.sleep(0.3)  # an idle worker waits on its marker; nothing tells that it does
    return await script_calls(redis) - before


@pytest.mark.timeout(180)  # a hundred thousand of each take their time where the machine is busy
async def test_a_hundred_thousand_idle_order_keys_and_lanes_add_no_script_call_to_a_lone_job(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """Each key and each lane is held by a job that is delayed for a day."""
    async with working(settings(redis_url=own_redis.url, **QUIET), work, sync) as app, own_redis.client() as redis:
        await calls_of_lone_jobs(app, redis)
        without = await calls_of_lone_jobs(app, redis)
        await hold_lanes(app)
        await hold_order_keys(app, redis)

        assert await calls_of_lone_jobs(app, redis) <= without + 5


async def hold_lanes(app: App) -> None:
    await app.enqueue_jobs(((sync, f"r{number}") for number in range(IDLE)), delay_ms=24 * 60 * 60 * 1000)


async def hold_order_keys(app: App, redis: Redis) -> None:
    """As the add script leaves them for jobs that exist."""
    keys = app.queue().keys
    for start in range(0, IDLE, 10_000):
        async with redis.pipeline(transaction=False) as pipe:
            for number in range(start, start + 10_000):
                pipe.zadd(keys.order(f"k{number}"), {str(11 + number): 0})
            await pipe.execute()


async def calls_of_many(app: App, redis: Redis, handler: Handler[None], jobs: int, **options: Any) -> int:
    """Script calls of jobs that are all there when the first one ends, without those that add them."""
    done = int(await redis.zcard(app.queue().keys.of("completed")))
    before = await script_calls(redis)
    await app.enqueue_jobs([(handler, None)] * jobs, **options)
    await eventually(lambda: ended(app, redis, done + jobs))
    return await script_calls(redis) - before - jobs


async def test_a_job_with_an_order_key_costs_at_most_one_script_call_more(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """One asks whether it is its turn; the next of its key is let go in the step that completes it, and fetched.

    With one slot, since an idle one asks after each of BullMQ's markers, which every claim leaves.
    """
    jobs = 500
    ours = settings(redis_url=own_redis.url, **(QUIET | {"worker_concurrency": 1}))

    async with working(ours, work) as app, own_redis.client() as redis:
        await calls_of_many(app, redis, work, 20, order_key="warm")
        plain = await calls_of_many(app, redis, work, jobs)
        ordered = await calls_of_many(app, redis, work, jobs, order_key="k")

        assert ordered <= plain + 1.1 * jobs
