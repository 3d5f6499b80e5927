"""Trap 3: a connection error while a completion was recorded turned a success into a failure, or a second run."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, fixed, make_job
from jobqueue.scripts import around, shipped
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.proxy import Lost, Proxy, proxied
from tests.support.redis_server import RedisServer
from tests.worker.harness import Site, ask, at_work

SCRIPTS = (around("endTry", "moveToFinished"), shipped("moveToActive"), around("endTry", "moveToDelayed"))
COMPLETION, CLAIM, DELAY = (script.sha for script in SCRIPTS)


@pytest.fixture(autouse=True)
async def known_scripts(redis: Redis) -> None:
    """Redis knows the scripts: else the answer that is lost would be that it does not."""
    for script in SCRIPTS:
        await ask(redis, "SCRIPT", "LOAD", script.text)


def lose(proxy: Proxy, what: Lost, needle: str) -> asyncio.Event:
    return proxy.lose_request(needle) if what == "request" else proxy.lose_answer(needle)


@pytest.mark.parametrize("loss", ["request", "answer"])
async def test_a_success_whose_recording_is_cut_off_stays_a_success_and_runs_once(
    settings: MakeSettings, redis_server: RedisServer, loss: Lost
) -> None:
    """In the `bullmq` package the ConnectionError of moveToFinished fell into the handler's own error path: a job
    that had succeeded was recorded as failed, or was run again although it had been recorded as completed.
    """
    runs: list[str] = []

    async def work(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        return "done"

    handler = make_job(work, attempts=3, backoff=fixed(1))

    async with proxied(redis_server.url) as proxy, at_work(settings(redis_url=proxy.url), handler) as site:
        lost = lose(proxy, loss, COMPLETION)
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("completed", '"done"')
        await eventually(lambda: site.count("job.completed"))
        assert lost.is_set()
        assert runs == [job.job_id]
        assert (await site.job(job.job_id)).attempts_made == 1


async def test_the_next_job_that_a_lost_answer_had_claimed_is_run_at_once(
    settings: MakeSettings, redis_server: RedisServer
) -> None:
    """Recording fetches the next job in the same call. Where that answer is lost the next job is active under our
    token and nobody knows: it would lie there until its lock, of five minutes, expires.
    """
    runs: list[str] = []
    all_are_queued = asyncio.Event()

    async def work(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        await all_are_queued.wait()
        return ctx.job.id

    handler = make_job(work)

    async with (
        proxied(redis_server.url) as proxy,
        at_work(settings(redis_url=proxy.url, worker_concurrency=1), handler) as site,
    ):
        lost = proxy.lose_answer(COMPLETION)
        jobs = [await site.app.enqueue_job(handler) for _ in range(3)]
        all_are_queued.set()

        assert [await site.end_of(job.job_id) for job in jobs] == [("completed", f'"{job.job_id}"') for job in jobs]
        assert lost.is_set()
        assert runs == [job.job_id for job in jobs]


async def test_a_job_whose_claim_was_answered_into_the_void_is_run_at_once(
    settings: MakeSettings, redis_server: RedisServer
) -> None:
    runs: list[str] = []

    async def work(ctx: JobContext) -> None:
        runs.append(ctx.job.id)

    handler = make_job(work)

    async with proxied(redis_server.url) as proxy, at_work(settings(redis_url=proxy.url), handler) as site:
        job = await enqueue_past_a_lost_claim(site, proxy)

        assert (await site.end_of(job))[0] == "completed"
        assert runs == [job]


async def enqueue_past_a_lost_claim(site: Site, proxy: Proxy) -> str:
    """The worker is idle and waits on the marker; the claim that a new job brings about loses its answer."""
    await asyncio.sleep(0.2)  # lets the first claim, of the empty queue, pass: nothing tells that it has
    lost = proxy.lose_answer(CLAIM)
    job = await site.app.enqueue_job("work")
    await asyncio.wait_for(lost.wait(), 10)
    return job.job_id


async def test_a_failed_try_whose_recording_is_cut_off_is_counted_once(
    settings: MakeSettings, redis_server: RedisServer
) -> None:
    tries: list[int] = []

    async def fails_at_first(ctx: JobContext) -> str:
        tries.append(ctx.job.attempt)
        if len(tries) < 3:
            raise ValueError("not yet")
        return "at last"

    handler = make_job(fails_at_first, attempts=3, backoff=fixed(1))

    async with proxied(redis_server.url) as proxy, at_work(settings(redis_url=proxy.url), handler) as site:
        lost = proxy.lose_answer(DELAY)
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("completed", '"at last"')
        assert lost.is_set()
        assert tries == [1, 2, 3]


async def test_a_success_outlives_the_kill_of_every_connection(settings: MakeSettings, own_redis: RedisServer) -> None:
    runs: list[str] = []

    async def kills_all_connections(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        async with own_redis.client() as client:
            for kind in ("normal", "pubsub"):
                await ask(client, "CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        return "done"

    handler = make_job(kills_all_connections)

    async with at_work(settings(redis_url=own_redis.url), handler) as site:
        jobs = [await site.app.enqueue_job(handler, job_id=f"j-{number}") for number in range(3)]

        assert [await site.end_of(job.job_id) for job in jobs] == [("completed", '"done"')] * 3
        assert sorted(runs) == ["j-0", "j-1", "j-2"]


async def test_a_success_outlives_a_redis_that_is_killed_before_it_is_recorded(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    runs: list[str] = []
    redis_is_gone = asyncio.Event()

    async def outlives_redis(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        await redis_is_gone.wait()
        return "done"

    handler = make_job(outlives_redis)

    async with at_work(settings(redis_url=own_redis.url), handler) as site:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: runs)
        own_redis.kill()
        redis_is_gone.set()
        await eventually(lambda: site.count("redis.lost"))
        own_redis.start()

        assert await site.end_of(job.job_id) == ("completed", '"done"')
        assert runs == [job.job_id]


async def test_a_success_outlives_a_redis_that_is_frozen_while_it_is_recorded(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """A frozen Redis executes the completion when it wakes, long after its answer has been given up."""
    runs: list[str] = []
    redis_is_frozen = asyncio.Event()

    async def outlives_redis(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        await redis_is_frozen.wait()
        return "done"

    handler = make_job(outlives_redis)

    async with at_work(settings(redis_url=own_redis.url, redis_call_ms=500), handler) as site:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: runs)
        own_redis.pause()
        redis_is_frozen.set()
        await eventually(lambda: site.count("redis.lost"))
        own_redis.resume()

        assert await site.end_of(job.job_id) == ("completed", '"done"')
        await eventually(lambda: site.count("job.completed"))
        assert runs == [job.job_id]


async def test_a_result_that_comes_after_the_lock_has_gone_to_another_worker_is_dropped(
    settings: MakeSettings, redis_server: RedisServer
) -> None:
    may_end = asyncio.Event()
    started: list[str] = []

    async def work(ctx: JobContext) -> str:
        started.append(ctx.worker_name)
        if ctx.worker_name == "cut-off":
            await may_end.wait()
        return ctx.worker_name

    handler = make_job(work)
    short = {"worker_lock_ms": 1_000, "worker_stalled_ms": 100, "redis_call_ms": 500}

    async with (
        proxied(redis_server.url) as proxy,
        at_work(settings(redis_url=proxy.url, **short), handler, name="cut-off") as cut_off,
    ):
        job = await cut_off.app.enqueue_job(handler)
        await eventually(lambda: started)
        proxy.go_silent()
        async with at_work(settings(**short), handler, name="connected") as connected:
            assert await connected.end_of(job.job_id) == ("completed", '"connected"')
            may_end.set()
            proxy.speak_again()
            await eventually(lambda: cut_off.count("job.fenced"))

            assert await connected.end_of(job.job_id) == ("completed", '"connected"')
            assert (started, cut_off.count("job.completed")) == (["cut-off", "connected"], 0)


async def test_a_lost_answer_costs_a_moment_and_not_a_lock(settings: MakeSettings, redis_server: RedisServer) -> None:
    async def work(ctx: JobContext) -> None: ...

    handler = make_job(work)

    async with proxied(redis_server.url) as proxy, at_work(settings(redis_url=proxy.url), handler) as site:
        proxy.lose_answer(COMPLETION)
        began_s = time.monotonic()
        first = await site.app.enqueue_job(handler)
        second = await site.app.enqueue_job(handler)

        await first.wait(10)
        await second.wait(10)

        assert time.monotonic() - began_s < 5
