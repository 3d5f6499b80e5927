"""Starts that fail, and stops in unhappy moments: nothing of ours is left behind, and a later start works."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, QueueVersionError, Registry, Resources, Worker, make_job, make_singleton_job
from jobqueue.errors import SettingsError
from jobqueue.settings import Settings
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.proxy import proxied
from tests.support.redis_server import RedisServer
from tests.worker.harness import ask, at_work, end_of, keys_of, position

STOPS_S = 10.0


@make_job
async def echo(ctx: JobContext) -> str:
    return "echo"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a worker adds to its process."""

    tasks: frozenset[asyncio.Task[Any]]
    threads: frozenset[threading.Thread]
    log_handlers: tuple[logging.Handler, ...]

    @classmethod
    def now(cls) -> Surroundings:
        ours = (thread for thread in threading.enumerate() if thread.name.startswith("jobqueue"))
        return cls(frozenset(asyncio.all_tasks()), frozenset(ours), tuple(logging.getLogger().handlers))


@contextmanager
def listening_to_the_loop() -> Generator[list[dict[str, Any]]]:
    """What asyncio would complain of: exceptions of tasks that nobody has asked for, errors in callbacks."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    try:
        yield complaints
        gc.collect()  # asyncio complains of a task when it is thrown away
    finally:
        loop.set_exception_handler(None)


# Starts that fail


class Lifespan:
    """Opens a resource, but refuses to the first time."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0

    @asynccontextmanager
    async def __call__(self, settings: Settings) -> AsyncGenerator[Resources]:
        self.opened += 1
        if self.opened == 1:
            raise SettingsError("MAIL_HOST", "is missing")
        try:
            yield Resources()
        finally:
            self.closed += 1


async def test_a_start_that_a_resource_refuses_leaves_nothing_and_a_later_one_works(settings: MakeSettings) -> None:
    before, lifespan = Surroundings.now(), Lifespan()

    async with App(Registry([echo], lifespan=lifespan), settings()) as app:
        worker = Worker(app)
        with pytest.raises(SettingsError, match="MAIL_HOST"):
            await worker.start()
        assert Surroundings.now() == before

        await worker.start()
        assert await (await app.enqueue_job(echo)).wait(10) == "echo"
        await worker.stop()

    assert (lifespan.opened, lifespan.closed) == (2, 1)
    await eventually(lambda: Surroundings.now() == before, 2)


async def test_a_start_that_a_queue_refuses_closes_what_it_opened_and_a_later_one_works(
    settings: MakeSettings, redis: Redis
) -> None:
    """A queue of BullMQ 5 is refused when the resources, the renewer's thread and the connections are open already.
    They stayed open, and a second `start()` returned as if the worker had started, though nothing was served.
    """
    before, lifespan = Surroundings.now(), Lifespan()
    lifespan.opened = 1  # this one opens at once
    ours = settings()
    meta = keys_of(ours).of("meta")
    await ask(redis, "HSET", meta, "version", "bullmq:5.1.0")

    async with App(Registry([echo], lifespan=lifespan), ours) as app:
        worker = Worker(app)
        for _ in range(2):
            with pytest.raises(QueueVersionError):
                await worker.start()
        assert (lifespan.opened, lifespan.closed) == (3, 2)
        await eventually(lambda: Surroundings.now() == before, 2)

        await ask(redis, "HSET", meta, "version", "bullmq:6.7.0")
        job = await app.enqueue_job(echo)
        await worker.start()
        assert await end_of(app, job.job_id) == ("completed", '"echo"')
        await worker.stop()

    await eventually(lambda: Surroundings.now() == before, 2)


async def test_stopping_after_a_failed_start_returns_and_leaves_nothing(settings: MakeSettings, redis: Redis) -> None:
    before, ours = Surroundings.now(), settings()
    await ask(redis, "HSET", keys_of(ours).of("meta"), "version", "bullmq:5.1.0")

    async with App(Registry([echo]), ours) as app:
        worker = Worker(app)
        with pytest.raises(QueueVersionError):
            await worker.start()
        for _ in range(2):
            await asyncio.wait_for(worker.stop(), STOPS_S)

    await eventually(lambda: Surroundings.now() == before, 2)


async def test_a_start_that_is_given_up_while_redis_is_away_leaves_nothing(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """It waits for Redis as long as it takes; what it had opened until then stayed open when it was cancelled."""
    before = Surroundings.now()
    await asyncio.to_thread(own_redis.stop)

    async with App(Registry([echo]), settings(redis_url=own_redis.url)) as app:
        worker = Worker(app)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(worker.start(), 0.3)
        assert Surroundings.now() == before

        await asyncio.to_thread(own_redis.start)
        await worker.start()
        assert await (await app.enqueue_job(echo)).wait(10) == "echo"
        await worker.stop()

    await eventually(lambda: Surroundings.now() == before, 2)


# Stops


async def test_a_job_that_has_not_begun_when_its_worker_stops_never_begins_and_goes_back(
    settings: MakeSettings, redis_server: RedisServer, redis: Redis
) -> None:
    """A job that waits for its singleton's lock, since Redis does not answer, is claimed but runs nothing yet. The
    stop told and cancelled those that ran. This one got its lock a moment later and began; its slot was given up,
    but the handler went on after `stop()` had returned, with its resources closed.
    """
    before, began, asked = Surroundings.now(), list[str](), asyncio.Event()
    calls: list[str] = []

    async with proxied(redis_server.url) as proxy:

        def goes_silent(payload: str) -> str:
            if calls.count(payload):  # it was enqueued before
                proxy.go_silent()  # the worker asks for the lock next, and is not answered
                asked.set()
            calls.append(payload)
            return payload

        @make_singleton_job(key=goes_silent, grace_ms=100)
        async def clean(ctx: JobContext, payload: str) -> None:
            began.append(ctx.job.id)
            await asyncio.Event().wait()

        ours = settings(redis_url=proxy.url, worker_shutdown_ms=100, worker_concurrency=1)
        async with at_work(ours, clean) as site:
            job = await site.app.enqueue_job(clean, "tenant")
            await asked.wait()
            stopping = asyncio.ensure_future(site.worker.stop())
            await asyncio.wait({stopping}, timeout=0.3)  # it has told the jobs by then, and has not given them up
            assert not stopping.done()
            proxy.speak_again()
            await asyncio.wait_for(stopping, STOPS_S)

            assert began == []
            assert await position(redis, keys_of(ours), job.job_id) == "wait"
            assert await ask(redis, "EXISTS", keys_of(ours).singleton_lock("clean:tenant")) == 0

    await eventually(lambda: Surroundings.now() == before, 2)


async def test_a_job_that_is_given_up_takes_its_handler_with_it(settings: MakeSettings, own_redis: RedisServer) -> None:
    """Redis is frozen, so that what the jobs end with cannot be recorded and their slots are given up."""
    before = Surroundings.now()

    @make_job(grace_ms=100)
    async def lingers(ctx: JobContext) -> None:
        await asyncio.Event().wait()

    ours = settings(redis_url=own_redis.url, worker_shutdown_ms=100, redis_call_ms=500, redis_connect_ms=500)
    with listening_to_the_loop() as complaints:
        async with at_work(ours, lingers) as site:
            for _ in range(3):
                await site.app.enqueue_job(lingers)
            await eventually(lambda: site.count("job.started") == 3)
            own_redis.pause()
            await asyncio.wait_for(site.worker.stop(), STOPS_S)

        await eventually(lambda: Surroundings.now() == before, 2)
    own_redis.resume()

    assert complaints == []


async def test_an_idle_worker_that_stops_without_redis_leaves_no_task_and_no_complaint(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """The wait for the queue's marker was left to nobody: "Task exception was never retrieved", after the end."""
    before = Surroundings.now()
    ours = settings(redis_url=own_redis.url, redis_call_ms=500, redis_connect_ms=500)

    with listening_to_the_loop() as complaints:
        async with at_work(ours, echo) as site:
            assert await (await site.app.enqueue_job(echo)).wait(10) == "echo"
            await eventually(lambda: site.count("job.completed"))  # its worker knows, too: only now it is idle
            own_redis.pause()
            await asyncio.wait_for(site.worker.stop(), STOPS_S)

        await eventually(lambda: Surroundings.now() == before, 2)
    own_redis.resume()

    assert complaints == []


async def test_a_thread_that_logs_after_its_worker_has_stopped_starts_no_endless_task(settings: MakeSettings) -> None:
    """A `def` handler that ignores its cancellation outlives its worker. What it wrote to its job's log then was sent
    by a task that tried for ever, since a client that is closed counted as a Redis that is away: it warned in the
    host's log every few seconds until the process ended.
    """
    before = Surroundings.now()
    may_return, has_logged = threading.Event(), threading.Event()

    @make_job(grace_ms=50)
    def outlives(ctx: JobContext) -> None:
        may_return.wait(30)
        ctx.log("a late line")
        ctx.progress(100)
        has_logged.set()

    async with at_work(settings(worker_shutdown_ms=50), outlives) as site:
        await site.app.enqueue_job(outlives)
        await eventually(lambda: site.count("job.started"))
        await asyncio.wait_for(site.worker.stop(), STOPS_S)
        assert site.worker.stragglers.running == {"outlives": 1}

    may_return.set()
    await asyncio.to_thread(has_logged.wait, 10)
    await eventually(lambda: not site.worker.stragglers.running)
    await eventually(lambda: Surroundings.now() == before, 2)
