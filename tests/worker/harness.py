"""A worker at work in the test's own loop, and what a test asks about its jobs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.events import Event, EventName
from jobqueue.handler import Handler
from jobqueue.job import Job
from jobqueue.keys import QueueKeys
from jobqueue.redis.retry import until_answered
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.worker import Worker
from tests.support.eventually import eventually


@dataclass(frozen=True, slots=True)
class Site:
    """A running worker, its app, and what it has told its listeners."""

    app: App
    worker: Worker
    told: list[Event] = field(default_factory=list[Event])

    def count(self, name: EventName) -> int:
        """How often an event was told."""
        return sum(event.name == name for event in self.told)

    async def end_of(self, job_id: str, deadline_s: float = 10.0) -> tuple[str, str | None]:
        """Wait until the job has ended; returns its state and its result's JSON or its reason."""
        return await end_of(self.app, job_id, deadline_s)

    async def job(self, job_id: str) -> Job:
        return await self.app.queue().job(job_id)


async def end_of(app: App, job_id: str, deadline_s: float = 10.0) -> tuple[str, str | None]:
    """Wait until the job has ended; returns its state and its result's JSON or its reason."""

    async def ended() -> tuple[str, str | None] | None:
        state, value = await until_answered(lambda: app.queue().outcome(job_id))
        return (state, value) if state in ("completed", "failed") else None

    return await eventually(ended, deadline_s)


@asynccontextmanager
async def at_work(settings: Settings, *handlers: Handler[Any], name: str | None = None) -> AsyncGenerator[Site]:
    """A worker that serves `handlers` until the block ends."""
    async with App(Registry(handlers), settings) as app:
        worker = Worker(app, name=name)
        site = Site(app, worker)
        app.events.subscribe(site.told.append)
        await worker.start()
        try:
            yield site
        finally:
            await worker.stop()


class _Commands(Protocol):
    """The part of redis-py's client that it leaves without types."""

    async def execute_command(self, *command: str | bytes | float) -> Any: ...


async def ask(redis: Redis, *command: str | bytes | float) -> Any:
    """Any command of Redis, and its answer."""
    return await cast(_Commands, redis).execute_command(*command)


def keys_of(settings: Settings) -> QueueKeys:
    """The keys of the default queue."""
    return QueueKeys(settings.jobs_prefix, settings.jobs_queue)


async def add_raw(redis: Redis, keys: QueueKeys, job_id: str | bytes, fields: Mapping[str, str | bytes]) -> None:
    """Put a job in the waiting list as a careless producer might, with just these fields."""
    flat = [part for pair in fields.items() for part in pair]
    job_key = keys.base.encode() + (job_id.encode() if isinstance(job_id, str) else job_id)
    if flat:
        await ask(redis, "HSET", job_key, *flat)
    await ask(redis, "LPUSH", keys.of("wait"), job_id)
    await ask(redis, "ZADD", keys.of("marker"), 0, "0")


async def position(redis: Redis, keys: QueueKeys, job_id: str) -> str:
    """The list or set that the job is in."""
    for word in ("wait", "active"):
        if job_id in await ask(redis, "LRANGE", keys.of(word), 0, -1):
            return word
    for word in ("delayed", "prioritized", "completed", "failed"):
        if await ask(redis, "ZSCORE", keys.of(word), job_id) is not None:
            return word
    return "nowhere"


@contextmanager
def at_work_in_a_thread(settings: Settings, *handlers: Handler[Any], name: str) -> Generator[None]:
    """A worker on an event loop of its own, so that a handler that blocks that loop does not block the test."""
    started, stopping = threading.Event(), threading.Event()

    async def work() -> None:
        async with at_work(settings, *handlers, name=name):
            started.set()
            await asyncio.to_thread(stopping.wait)

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    try:
        assert started.wait(10), "the worker did not start"
        yield
    finally:
        stopping.set()
        thread.join()
