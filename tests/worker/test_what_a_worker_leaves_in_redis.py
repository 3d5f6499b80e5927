"""What a worker writes besides the outcome: metrics, its name, its connections; and what it leaves behind: nothing."""

from __future__ import annotations

import base64

from redis.asyncio import Redis

from jobqueue import JobContext, fixed, make_job
from jobqueue.clock import now_ms
from tests.conftest import MakeSettings
from tests.patterns.working import own_keys, own_keys_of_jobs
from tests.support.eventually import eventually
from tests.worker.harness import ask, at_work, keys_of


async def odd_fails(ctx: JobContext, number: int) -> int:
    if number % 2:
        raise ValueError("odd")
    return number


async def test_nothing_is_counted_unless_it_is_asked_for(settings: MakeSettings, redis: Redis) -> None:
    """As in Node. Counting takes Redis a fourteenth of what a job takes it in all."""
    handler = make_job(odd_fails)
    ours = settings()

    async with at_work(ours, handler) as site:
        await site.end_of((await site.app.enqueue_job(handler, 2)).job_id)

    assert await ask(redis, "EXISTS", keys_of(ours).metrics("completed")) == 0


async def test_completed_and_failed_jobs_are_counted_by_the_minute(settings: MakeSettings, redis: Redis) -> None:
    handler = make_job(odd_fails, attempts=1)
    ours = settings(worker_metrics=True)
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        for number in range(5):
            await site.end_of((await site.app.enqueue_job(handler, number)).job_id)

        assert await ask(redis, "HGET", keys.metrics("completed"), "count") == "3"
        assert await ask(redis, "HGET", keys.metrics("failed"), "count") == "2"


async def test_a_minute_that_has_passed_becomes_a_point_of_the_metrics(settings: MakeSettings, redis: Redis) -> None:
    handler = make_job(odd_fails)
    ours = settings(worker_metrics=True)
    keys = keys_of(ours)
    a_minute_ago_ms = now_ms() - 60_000
    before = ("count", 7, "prevTS", a_minute_ago_ms, "prevCount", 4)
    await ask(redis, "HSET", keys.metrics("completed"), *before)

    async with at_work(ours, handler) as site:
        await site.end_of((await site.app.enqueue_job(handler, 2)).job_id)

        assert await ask(redis, "LRANGE", keys.metrics("completed") + ":data", 0, -1) == ["3"]
        assert await ask(redis, "HGET", keys.metrics("completed"), "count") == "8"


async def test_a_job_names_the_worker_that_ran_it(settings: MakeSettings, redis: Redis) -> None:
    handler = make_job(odd_fails)
    ours = settings()

    async with at_work(ours, handler, name="worker-7") as site:
        job = await site.app.enqueue_job(handler, 2)
        await site.end_of(job.job_id)

        assert await ask(redis, "HGET", keys_of(ours).job(job.job_id), "pb") == "worker-7"
        assert (await site.job(job.job_id)).processed_by == "worker-7"


async def test_a_worker_s_connection_has_the_name_that_node_looks_for(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    queue = base64.b64encode(ours.jobs_queue.encode()).decode()
    wanted = f"{ours.jobs_prefix}:{queue}:w:worker-7"

    async def names() -> list[str]:
        clients = await redis.client_list()
        return [client["name"] for client in clients if client["name"].startswith(ours.jobs_prefix)]

    async with at_work(ours, name="worker-7"):

        async def is_named() -> bool:
            return await names() == [wanted]

        await eventually(is_named)


async def test_the_queue_says_which_bullmq_wrote_it(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()

    async with at_work(ours):
        meta = await ask(redis, "HGETALL", keys_of(ours).of("meta"))

        assert meta["version"] == "bullmq:6.7.0"
        assert meta["opts.maxLenEvents"] == "10000"


async def test_finished_jobs_leave_no_lock_no_mark_and_nothing_active(settings: MakeSettings, redis: Redis) -> None:
    handler = make_job(odd_fails, attempts=2, backoff=fixed(1))
    ours = settings()
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        for job in await site.app.enqueue_jobs([(handler, number) for number in range(50)]):
            await site.end_of(job.job_id)

        for word in ("wait", "active"):
            assert await ask(redis, "LLEN", keys.of(word)) == 0
        assert await ask(redis, "SCARD", keys.of("stalled")) == 0
        assert await ask(redis, "KEYS", f"{keys.base}*:lock") == []
        assert await own_keys_of_jobs(redis, ours.jobs_prefix) == set()
    assert await own_keys(redis, ours.jobs_prefix) == set()
