"""Trap 10: an exception in an event listener stranded the job, or ended the worker's loop."""

from __future__ import annotations

import asyncio

import pytest

from jobqueue import JobContext, fixed, make_job
from jobqueue.events import Event
from tests.conftest import MakeSettings
from tests.worker.harness import at_work


@pytest.mark.parametrize("raised", [ValueError, asyncio.CancelledError, SystemExit])
async def test_a_listener_that_raises_costs_nothing(settings: MakeSettings, raised: type[BaseException]) -> None:
    """In the `bullmq` package events were emitted in the midst of the worker's loop: an error in somebody's metrics
    listener left the job active for ever, or ended the loop.
    """
    heard: list[str] = []

    def breaks(event: Event) -> None:
        heard.append(event.name)
        raise raised("the listener is broken")

    async def work(ctx: JobContext, tries: int) -> str:
        if ctx.job.attempt < tries:
            raise ValueError("not yet")
        return "done"

    handler = make_job(work, backoff=fixed(1))

    async with at_work(settings(worker_concurrency=1), handler) as site:
        site.app.events.subscribe(breaks)
        jobs = [await site.app.enqueue_job(handler, tries) for tries in (1, 2, 1)]

        assert [await site.end_of(job.job_id) for job in jobs] == [("completed", '"done"')] * 3
        assert {"job.started", "job.completed", "job.retried"} <= set(heard)


async def test_the_listener_after_one_that_raises_hears_all_the_same(settings: MakeSettings) -> None:
    heard: list[str] = []

    def breaks(event: Event) -> None:
        raise ValueError("the listener is broken")

    async def work(ctx: JobContext) -> None: ...

    handler = make_job(work)

    async with at_work(settings(), handler) as site:
        site.app.events.subscribe(breaks)
        site.app.events.subscribe(lambda event: heard.append(event.name))
        job = await site.app.enqueue_job(handler)
        await job.wait(10)

    assert [name for name in heard if name != "job.enqueued"][:2] == ["job.started", "job.completed"]
