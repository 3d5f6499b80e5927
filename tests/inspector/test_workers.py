"""Who serves the queues, as the inspector tells it: workers of ours by their records."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, Settings, Worker, make_job
from jobqueue._version import __version__
from jobqueue.clock import now_ms
from jobqueue.doctor import search
from jobqueue.inspector import Inspector, WorkerView
from jobqueue.inspector.workers import MAX_SHOWN
from jobqueue.presence import GONE_MS
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.worker.crew import crew_in
from tests.worker.harness import ask, at_work, keys_of

FAR = GONE_MS // 1000 + 10


@make_job
async def hold(ctx: JobContext) -> None:
    """Goes on until it is told to stop."""
    await ctx.signal.wait()


@make_job(queue="mail")
async def send(ctx: JobContext) -> None:
    """Of another queue."""


async def listed(inspector: Inspector, *, count: int) -> tuple[WorkerView, ...]:
    """Wait until so many workers are listed."""

    async def so_many() -> list[tuple[WorkerView, ...]]:
        workers = await inspector.workers()
        return [workers] if len(workers) == count else []

    return (await eventually(so_many, FAR))[0]


async def record_keys(redis: Redis, ours: Settings) -> list[str]:
    keys: list[str] = await ask(redis, "KEYS", f"{ours.jobs_prefix}:*:job:worker:*")
    return keys


async def test_a_worker_tells_who_it_is(settings: MakeSettings) -> None:
    ours = settings(worker_concurrency=7)
    before_ms = now_ms()

    async with at_work(ours, hold, send, name="w1") as site:
        (worker,) = await listed(Inspector(site.app), count=1)

    assert (worker.name, worker.language, worker.version) == ("w1", "python", __version__)
    assert (worker.host, worker.pid, worker.concurrency) == (socket.gethostname(), os.getpid(), 7)
    assert set(worker.queues) == {"jobs", "mail"}
    assert worker.started_at_ms is not None
    assert before_ms <= worker.started_at_ms <= now_ms()
    assert before_ms - 1_000 <= worker.seen_at_ms <= now_ms() + 1_000
    assert (worker.active, worker.active_count) == ((), 0)


async def test_a_worker_is_listed_with_the_jobs_that_it_is_at(settings: MakeSettings) -> None:
    ours = settings(worker_shutdown_ms=0)
    async with at_work(ours, hold, name="w1") as site, at_work(ours, hold, name="w2"):
        jobs = await site.app.enqueue_jobs([(hold, None)] * 15)

        async def all_run() -> list[tuple[WorkerView, ...]]:
            workers = await Inspector(site.app).workers()
            return [workers] if sum(worker.active_count or 0 for worker in workers) == 15 else []

        (workers,) = await eventually(all_run)

    assert [worker.name for worker in workers] == ["w1", "w2"]
    assert sorted(job.id for worker in workers for job in worker.active) == sorted(job.job_id for job in jobs)
    assert all(0 < (worker.active_count or 0) <= 10 for worker in workers)
    first = workers[0].active[0]
    assert (first.queue, first.name) == ("jobs", "hold")
    assert first.started_at_ms is not None
    assert abs(now_ms() - first.started_at_ms) < 60_000


async def test_of_very_many_jobs_the_first_are_named_and_all_are_counted(settings: MakeSettings) -> None:
    ours = settings(worker_concurrency=1_100, worker_shutdown_ms=0)
    async with at_work(ours, hold) as site:
        await site.app.enqueue_jobs([(hold, None)] * 1_050)

        async def all_run() -> list[WorkerView]:
            return [worker for worker in await Inspector(site.app).workers() if worker.active_count == 1_050]

        (worker,) = await eventually(all_run)

    assert len(worker.active) == MAX_SHOWN


async def test_two_workers_of_one_name_are_two(settings: MakeSettings) -> None:
    ours = settings()
    async with at_work(ours, hold, name="twin") as site, at_work(ours, hold, name="twin"):
        workers = await listed(Inspector(site.app), count=2)

    assert [worker.name for worker in workers] == ["twin", "twin"]


async def test_a_worker_that_has_stopped_is_gone_at_once(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    async with at_work(ours, hold, send) as site:
        inspector = Inspector(site.app)
        await listed(inspector, count=1)

        await site.worker.stop()

        assert await inspector.workers() == ()
        assert await record_keys(redis, ours) == []


async def test_a_killed_worker_s_record_ends_by_itself(settings: MakeSettings, redis: Redis, tmp_path: Path) -> None:
    ours = settings()
    async with App(Registry([hold]), ours) as app:
        with crew_in(tmp_path) as crew:
            process = crew.start(ours)
            await listed(Inspector(app), count=1)
            process.send_signal(signal.SIGKILL)
            process.wait()

        (key,) = await record_keys(redis, ours)
        assert 0 < await ask(redis, "PTTL", key) <= GONE_MS
        await ask(redis, "PEXPIRE", key, 1)  # half a minute later
        assert await listed(Inspector(app), count=0) == ()


async def test_the_next_worker_forgets_those_that_were_killed(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    index = keys_of(ours).workers()
    await ask(redis, "SADD", index, "killed", "killed too")

    async with at_work(ours, hold):

        async def is_alone() -> bool:
            return len(await ask(redis, "SMEMBERS", index)) == 1

        await eventually(is_alone)


async def test_a_record_that_nobody_of_ours_wrote_is_passed_over(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    keys = keys_of(ours)
    for at, record in enumerate([b"", b"no json", b"[]", b'{"name": 7}', b"\xff", b'{"start": "\\ud800"}']):
        await ask(redis, "SET", keys.worker(f"w{at}"), record)
        await ask(redis, "SADD", keys.workers(), f"w{at}")

    async with App(Registry([hold]), ours) as app:
        assert await Inspector(app).workers() == ()


async def test_every_key_of_the_workers_has_an_end(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    async with at_work(ours, hold) as site:
        await listed(Inspector(site.app), count=1)

        async def is_written() -> bool:
            return bool(await ask(redis, "PTTL", keys_of(ours).workers()) > 0)

        await eventually(is_written)
        found = await search(site.app.queue(), pause_s=0)

    assert found.own_keys >= 2
    assert not found.judged


async def test_a_worker_is_listed_again_when_redis_is_back(settings: MakeSettings, own_redis: RedisServer) -> None:
    ours = settings(redis_url=own_redis.url)
    async with at_work(ours, hold) as site:
        inspector = Inspector(site.app)
        await listed(inspector, count=1)
        async with own_redis.client() as redis:
            await redis.flushall()  # as a Redis that has lost its data

        await listed(inspector, count=1)


async def test_where_redis_does_not_tell_its_clients_ours_are_listed_all_the_same(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    async with own_redis.client() as redis:
        await ask(redis, "ACL", "SETUSER", "looker", "on", ">secret", "~*", "&*", "+@all", "-client|list", "-info")
    seen = settings(redis_url=own_redis.url)
    looker = settings(redis_url=own_redis.url.replace("redis://", "redis://looker:secret@"))

    async with at_work(seen, hold, name="w1"), App(Registry([hold]), looker) as app:
        (worker,) = await listed(Inspector(app), count=1)

    assert worker.name == "w1"


async def test_several_processes_of_one_service_are_listed_each(settings: MakeSettings, tmp_path: Path) -> None:
    ours = settings()
    with crew_in(tmp_path) as crew:
        processes = [crew.start(ours) for _ in range(2)]
        pids = {process.pid for process in processes}
        async with App(Registry([hold]), ours) as app:
            inspector = Inspector(app)

            async def told_of() -> bool:  # a connection is seen a moment before the record of who it belongs to
                return {worker.pid for worker in await inspector.workers()} == pids

            await eventually(told_of, FAR)


async def test_a_worker_without_a_job_renews_its_record(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    async with App(Registry([hold]), ours) as app:
        worker = Worker(app)
        await worker.start()
        await listed(Inspector(app), count=1)
        (key,) = await record_keys(redis, ours)
        await ask(redis, "PEXPIRE", key, 20_000)

        async def is_renewed() -> bool:
            return bool(await ask(redis, "PTTL", key) > 20_000)

        await eventually(is_renewed, FAR)
        await asyncio.shield(worker.stop())
