"""Handlers that come and go while a worker runs."""

from __future__ import annotations

import asyncio

from jobqueue import App, JobContext, Registry, Worker, make_job
from tests.conftest import MakeSettings
from tests.worker.harness import end_of


async def answers(ctx: JobContext) -> str:
    return ctx.job.name


async def test_a_handler_that_is_added_while_a_worker_runs_gets_its_jobs(settings: MakeSettings) -> None:
    """The service holds the registry, the worker the app's view of it."""
    registry = Registry()

    async with App(registry, settings()) as app, Worker(app):
        late = make_job(answers, name="late")
        registry.add(late)
        by_handle = await app.enqueue_job(late)
        by_name = await app.enqueue_job("late")

        assert await by_handle.wait(10) == "late"
        assert await by_name.wait(10) == "late"


async def test_a_handler_that_is_removed_finishes_what_it_runs_and_gets_no_more(settings: MakeSettings) -> None:
    started, may_end = asyncio.Event(), asyncio.Event()

    async def takes_long(ctx: JobContext) -> str:
        started.set()
        await may_end.wait()
        return "done"

    handler = make_job(takes_long, name="long")
    registry = Registry([make_job(answers)])

    async with App(registry, settings()) as app, Worker(app):
        handler_id = registry.add(handler)
        running = await app.enqueue_job(handler)
        await asyncio.wait_for(started.wait(), 10)
        registry.remove(handler_id)
        later = await app.enqueue_job(handler)

        reason = "unknown handler 'long' (registered here: answers)"
        assert await end_of(app, later.job_id) == ("failed", reason)
        may_end.set()
        assert await running.wait(10) == "done"


async def test_a_handler_may_be_replaced_while_a_worker_runs(settings: MakeSettings) -> None:
    async def first(ctx: JobContext) -> int:
        return 1

    async def second(ctx: JobContext) -> int:
        return 2

    registry = Registry()

    async with App(registry, settings()) as app, Worker(app):
        handler_id = registry.add(make_job(first, name="step"))
        assert await (await app.enqueue_job("step")).wait(10) == 1

        registry.remove(handler_id)
        registry.add(make_job(second, name="step"))
        assert await (await app.enqueue_job("step")).wait(10) == 2
