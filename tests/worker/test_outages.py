"""Redis away, restarted, flushed of its scripts, or without our connections: the worker waits and goes on."""

from __future__ import annotations

import asyncio
import resource
import time

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.worker.harness import Site, ask, at_work

RESUMES_S = 5.0


async def echo(ctx: JobContext, value: int) -> int:
    return value


async def resumes(site: Site, value: int) -> None:
    """A job that is enqueued now is done within the time that the worker has to resume."""
    began_s = time.monotonic()
    job = await site.app.enqueue_job("echo", value)
    assert await job.wait(10) == value
    assert time.monotonic() - began_s < RESUMES_S


async def test_a_worker_that_starts_before_redis_waits_for_it(settings: MakeSettings, own_redis: RedisServer) -> None:
    own_redis.stop()
    ours = settings(redis_url=own_redis.url)

    async def start_redis() -> None:
        await asyncio.sleep(0.5)  # the subject: half a second without Redis
        await asyncio.to_thread(own_redis.start)

    arriving = asyncio.ensure_future(start_redis())
    async with at_work(ours, make_job(echo)) as site:
        await arriving
        assert site.count("redis.lost") >= 1
        await resumes(site, 1)


async def test_a_worker_goes_on_after_redis_was_killed_and_restarted(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    runs: list[int] = []

    async def work(ctx: JobContext, number: int) -> int:
        runs.append(number)
        await asyncio.sleep(0.02)  # the work
        return number

    handler = make_job(work)

    async with at_work(settings(redis_url=own_redis.url, worker_concurrency=2), handler) as site:
        jobs = await site.app.enqueue_jobs([(handler, number) for number in range(100)])
        await eventually(lambda: len(runs) > 10)
        own_redis.kill()
        await eventually(lambda: site.count("redis.lost"))
        own_redis.start()
        began_s = time.monotonic()
        ran_before = len(runs)
        await eventually(lambda: len(runs) > ran_before + 2)
        assert time.monotonic() - began_s < RESUMES_S

        for number, job in enumerate(jobs):
            assert await job.wait(20) == number
        assert sorted(runs) == list(range(100)), "none lost, none run twice"


async def test_an_idle_worker_goes_on_after_redis_was_restarted(settings: MakeSettings, own_redis: RedisServer) -> None:
    async with at_work(settings(redis_url=own_redis.url), make_job(echo)) as site:
        await resumes(site, 1)
        await asyncio.to_thread(own_redis.restart)

        await resumes(site, 2)


async def test_flushed_scripts_are_loaded_again(settings: MakeSettings, own_redis: RedisServer) -> None:
    async with (
        at_work(settings(redis_url=own_redis.url), make_job(echo)) as site,
        own_redis.client() as client,
    ):
        for value in range(5):
            await ask(client, "SCRIPT", "FLUSH")
            await resumes(site, value)


async def test_a_job_that_runs_while_the_scripts_are_flushed_keeps_its_lock(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    runs: list[str] = []

    async def outlasts_its_lock(ctx: JobContext) -> None:
        runs.append(ctx.job.id)
        await asyncio.sleep(2.0)  # the subject: twice the lock

    handler = make_job(outlasts_its_lock)
    short = settings(redis_url=own_redis.url, worker_lock_ms=1_000, worker_stalled_ms=100)

    async with at_work(short, handler) as site, own_redis.client() as client:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: runs)
        await ask(client, "SCRIPT", "FLUSH")
        assert (await site.end_of(job.job_id))[0] == "completed"
        assert len(runs) == 1


async def test_killed_connections_are_opened_again(settings: MakeSettings, own_redis: RedisServer) -> None:
    async with (
        at_work(settings(redis_url=own_redis.url), make_job(echo)) as site,
        own_redis.client() as client,
    ):
        for value in range(5):
            await ask(client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await eventually_enqueued(site, value)


async def eventually_enqueued(site: Site, value: int) -> None:
    """The producer's connection may be the one that was killed: then nothing was sent, and it may try again."""
    job_id = f"again-{value}"
    job = await site.app.enqueue_job("echo", value, job_id=job_id)
    assert await job.wait(RESUMES_S) == value


async def test_a_read_only_redis_is_waited_for(settings: MakeSettings, own_redis: RedisServer) -> None:
    async with (
        at_work(settings(redis_url=own_redis.url), make_job(echo)) as site,
        own_redis.client() as client,
    ):
        job = await site.app.enqueue_job("echo", 7, delay_ms=300)
        await ask(client, "REPLICAOF", "127.0.0.1", "1")
        await asyncio.sleep(1.0)  # the subject: the job comes due while nothing can be written
        await ask(client, "REPLICAOF", "NO", "ONE")

        assert await job.wait(RESUMES_S) == 7


async def test_a_redis_that_is_full_is_waited_for(settings: MakeSettings, own_redis: RedisServer) -> None:
    may_end = asyncio.Event()
    runs: list[str] = []

    async def work(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        await may_end.wait()
        return "done"

    handler = make_job(work)

    async with at_work(settings(redis_url=own_redis.url), handler) as site, own_redis.client() as client:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: runs)
        await ask(client, "CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1")
        may_end.set()
        await asyncio.sleep(0.5)  # the subject: the completion meets a full Redis
        await ask(client, "CONFIG", "SET", "maxmemory", "0")

        assert await job.wait(RESUMES_S) == "done"
        assert runs == [job.job_id]


async def test_an_outage_costs_little_processor_time(settings: MakeSettings, own_redis: RedisServer) -> None:
    def cpu_s() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    runs: list[str] = []
    redis_is_gone = asyncio.Event()

    async def work(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        await redis_is_gone.wait()
        return ctx.job.id

    handler = make_job(work)

    async with at_work(settings(redis_url=own_redis.url, worker_concurrency=100), handler) as site:
        jobs = await site.app.enqueue_jobs([(handler, None)] * 50)
        await eventually(lambda: len(runs) == 50)
        own_redis.kill()
        redis_is_gone.set()
        await eventually(lambda: site.count("redis.lost"))
        before_s = cpu_s()
        await asyncio.sleep(2.0)  # the subject: an outage, with fifty results to record and fifty slots idle
        spent_s = cpu_s() - before_s
        own_redis.start()

        assert spent_s < 1.0, "half of the time is far from idle, and far from a busy loop"
        for job in jobs:
            assert (await site.end_of(job.job_id))[0] == "completed"
        assert len(runs) == 50
