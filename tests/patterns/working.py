"""A worker of ours around a block, and what tests look at from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from jobqueue import App, Handler, Registry, Settings, Worker
from jobqueue.ties import LOCK_TTL_MS

WAIT_S = 15.0
FIGURES = "job:stats:"
"""Keys of ours that are of no job and stay for days. A worker's record is none of them: it goes with the worker."""
LEASE = "job:outbox:lease"
"""Of a worker that looks after the outbox; where that has just ended it may stay for a second."""
NEVER = -1
OF_A_WORKER = ("job:worker:", "job:workers:")


@asynccontextmanager
async def working(settings: Settings, *handlers: Handler[Any]) -> AsyncGenerator[App]:
    """An app whose worker serves these handlers until the block ends."""
    async with App(Registry(handlers), settings) as app, serving(app):
        yield app


@asynccontextmanager
async def serving(app: App) -> AsyncGenerator[Worker]:
    """A worker for an app that is there already."""
    worker = Worker(app)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


class Gate:
    """Lets a test hold a handler at a point: `opened` is what the handler waits for, `reached` what the test does."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def wait(self) -> None:
        self.reached.set()
        await self.opened.wait()


async def keys_of(redis: Redis, prefix: str) -> set[str]:
    """Every key under the prefix, without the prefix."""
    return {str(key).removeprefix(f"{prefix}:") for key in await redis.keys(f"{prefix}:*") or ()}


async def own_keys(redis: Redis, prefix: str, queue: str = "jobs") -> set[str]:
    """The keys of ours that lie beside BullMQ's, but for figures and a lease that ends, without prefix and queue."""
    base = f"{queue}:job:"
    ours = {key.removeprefix(f"{queue}:") for key in await keys_of(redis, prefix) if key.startswith(base)}
    lease_ends = await redis.pttl(f"{prefix}:{queue}:{LEASE}") != NEVER
    return {key for key in ours if not key.startswith(FIGURES) and not (key == LEASE and lease_ends)}


async def own_keys_of_jobs(redis: Redis, prefix: str, queue: str = "jobs") -> set[str]:
    """The same without a worker's record, which stays while it runs, and for half a minute where it was killed."""
    return {key for key in await own_keys(redis, prefix, queue) if not key.startswith(OF_A_WORKER)}


async def leave_lock(redis: Redis, prefix: str, job_id: str, token: str = "token of the dead") -> str:
    """The lock of the singleton `clean` as a worker leaves it that dies while it runs a job; returns its key."""
    key = f"{prefix}:jobs:job:lock:clean"
    await redis.hset(key, mapping={"job": job_id, "token": token, "fence": 1})
    await redis.pexpire(key, LOCK_TTL_MS)
    return key
