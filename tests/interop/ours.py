"""Our side of the interop tests: a running worker, and the handlers that several tests use."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from jobqueue.app import App
from jobqueue.context import JobContext
from jobqueue.handler import Handler
from jobqueue.job import fixed
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.worker import Worker
from jobqueue.wrappers import make_job

NO_ROUTE = "no route"


@make_job
async def echo(ctx: JobContext, payload: object) -> object:
    """Returns what it was given."""
    return payload


@make_job(attempts=1)
async def fail(ctx: JobContext, payload: object) -> None:
    """Fails each time."""
    raise RuntimeError(NO_ROUTE)


@make_job(attempts=3, backoff=fixed(20))
async def succeed_third(ctx: JobContext, payload: object) -> int:
    """Fails twice and returns the number of its third try."""
    if ctx.job.attempt < 3:
        raise RuntimeError(f"{NO_ROUTE} at try {ctx.job.attempt}")
    return ctx.job.attempt


@make_job
async def report(ctx: JobContext, payload: object) -> object:
    """Writes a log line and its progress before it returns what it was given."""
    ctx.log("half")
    ctx.progress({"done": 1})
    return payload


@asynccontextmanager
async def working(settings: Settings, *handlers: Handler[Any]) -> AsyncGenerator[App]:
    """A worker of ours on the queue `jobs` that serves these handlers until the block ends."""
    async with App(Registry(handlers), settings) as app:
        worker = Worker(app)
        try:
            await worker.start()
            yield app
        finally:
            await worker.stop()
