"""Trap 8: an idle worker asked Redis two questions for each unit of concurrency, and each call travelled alone."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.worker.harness import Site, at_work

QUIET = {"worker_concurrency": 100, "worker_stalled_ms": 600_000}
"""No stalled check in between, which would be counted with the calls."""


async def script_calls(redis: Redis) -> int:
    stats: dict[str, Any] = await redis.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{word}", {"calls": 0})["calls"]) for word in ("eval", "evalsha"))


async def reads(redis: Redis) -> int:
    return int((await redis.info("stats"))["total_reads_processed"])


async def let_it_fall_idle() -> None:
    await asyncio.sleep(0.3)  # an idle worker waits on its marker; nothing tells that it does


async def completed(site: Site, jobs: int) -> None:
    """Wait without `wait`, which would ask Redis with a script itself."""
    await eventually(lambda: site.count("job.completed") == jobs)


async def warm_up(site: Site) -> None:
    """One job, so that Redis knows the scripts, and idle again: the first call of each is refused and repeated."""
    await site.app.enqueue_job("work")
    await completed(site, 1)
    await let_it_fall_idle()


async def test_an_idle_worker_with_a_hundred_slots_spends_five_script_calls_on_a_lone_job(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """In the `bullmq` package each unit of concurrency fetched for itself: one lone job in an idle queue cost 202
    script calls at concurrency 100 (Node 3.9), for every job, in every idle worker.
    """

    async def work(ctx: JobContext) -> None: ...

    handler = make_job(work)

    async with at_work(settings(redis_url=own_redis.url, **QUIET), handler) as site, own_redis.client() as client:
        await warm_up(site)
        before = await script_calls(client)
        await site.app.enqueue_job(handler)
        await completed(site, 2)
        await let_it_fall_idle()
        adding = 1

        assert await script_calls(client) - before - adding <= 5


async def test_an_idle_worker_with_a_hundred_slots_asks_nothing(settings: MakeSettings, own_redis: RedisServer) -> None:
    async def work(ctx: JobContext) -> None: ...

    async with (
        at_work(settings(redis_url=own_redis.url, **QUIET), make_job(work)),
        own_redis.client() as client,
    ):
        await let_it_fall_idle()
        before = await script_calls(client)
        await asyncio.sleep(1.0)  # the subject: an idle second

        assert await script_calls(client) == before


async def test_a_job_of_many_costs_one_script_call(settings: MakeSettings, own_redis: RedisServer) -> None:
    """The package needed two, one to complete and one to fetch: ours fetches the next with the completion."""

    async def work(ctx: JobContext) -> None: ...

    handler = make_job(work)
    jobs = 500

    async with own_redis.client() as client:
        ours = settings(redis_url=own_redis.url, **(QUIET | {"worker_concurrency": 10}))
        async with at_work(ours, handler) as site:
            await warm_up(site)
            before = await script_calls(client)
            await site.app.enqueue_jobs([(handler, None)] * jobs)
            await completed(site, 1 + jobs)
            adding = jobs

            assert await script_calls(client) - before - adding < 1.2 * jobs


async def test_calls_of_one_turn_of_the_loop_reach_redis_in_one_write(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """The package held one connection with a lock around each call: 75 jobs a second at 5 ms of distance."""
    async with at_work(settings(redis_url=own_redis.url, **QUIET)) as site, own_redis.client() as client:
        connection = site.app.client
        await connection.call("PING")
        await let_it_fall_idle()
        before = await reads(client)
        answers = await asyncio.gather(*(connection.call("ECHO", number) for number in range(100)))

        asking = 1
        assert await reads(client) - before - asking <= 3
        assert answers == [str(number) for number in range(100)]
