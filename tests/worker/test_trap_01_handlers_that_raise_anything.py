"""Trap 1: a handler that raised CancelledError ended the whole worker."""

from __future__ import annotations

import asyncio

import pytest

from jobqueue import JobContext, fixed, make_job
from tests.conftest import MakeSettings
from tests.worker.harness import at_work


class Unusual(BaseException):
    """An error outside the tree of Exception."""


RAISED = (asyncio.CancelledError, SystemExit, KeyboardInterrupt, GeneratorExit, Unusual, RecursionError, MemoryError)


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("kind", ["on the loop", "in a thread"])
async def test_whatever_a_handler_raises_fails_that_job_only(
    settings: MakeSettings, raised: type[BaseException], kind: str
) -> None:
    """In the `bullmq` package a handler that raised CancelledError (any library's timeout may) ended the worker's
    main loop silently: the job stayed active, its siblings were stranded, and the process lived on doing nothing.
    """
    siblings_may_end = asyncio.Event()

    async def sibling(ctx: JobContext) -> str:
        await siblings_may_end.wait()
        return "unharmed"

    async def fails_on_the_loop(ctx: JobContext) -> None:
        raise raised("as it does")

    def fails_in_a_thread(ctx: JobContext) -> None:
        raise raised("as it does")

    function = fails_on_the_loop if kind == "on the loop" else fails_in_a_thread
    fails = make_job(function, name="fails", attempts=2, backoff=fixed(1))
    brother = make_job(sibling)

    async with at_work(settings(worker_concurrency=3, worker_shutdown_ms=500), fails, brother) as site:
        running = await site.app.enqueue_job(brother)
        failing = await site.app.enqueue_job(fails)

        assert await site.end_of(failing.job_id) == ("failed", "as it does")
        assert (await site.job(failing.job_id)).attempts_made == 2

        siblings_may_end.set()
        later = await site.app.enqueue_job(brother)
        assert await running.wait(10) == "unharmed"
        assert await later.wait(10) == "unharmed"


async def test_a_handler_that_cancels_its_own_task_fails_that_job_only(settings: MakeSettings) -> None:
    async def cancels_itself(ctx: JobContext) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)  # never slept: the cancellation arrives here

    handler = make_job(cancels_itself, attempts=1)

    async with at_work(settings(worker_concurrency=1, worker_shutdown_ms=500), handler) as site:
        first = await site.app.enqueue_job(handler)
        second = await site.app.enqueue_job(handler)

        assert await site.end_of(first.job_id) == ("failed", "CancelledError")
        assert await site.end_of(second.job_id) == ("failed", "CancelledError")


@pytest.mark.parametrize("late_s", [0, 0.0002, 0.001, 0.005])
async def test_a_cancellation_that_comes_after_the_handlers_end_reaches_no_record(
    settings: MakeSettings, late_s: float
) -> None:
    """A timer or task that a handler leaves behind may cancel the job's task when its result is being written. The
    write was given up, and the finished job was run again.
    """
    runs: list[str] = []

    async def leaves_a_timer(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(late_s, task.cancel)
        return "done"

    handler = make_job(leaves_a_timer, attempts=1)

    async with at_work(settings(worker_concurrency=2, worker_lock_ms=1_000, worker_stalled_ms=200), handler) as site:
        jobs = [await site.app.enqueue_job(handler) for _ in range(30)]

        assert [await site.end_of(job.job_id) for job in jobs] == [("completed", '"done"')] * 30
    assert sorted(runs, key=int) == [job.job_id for job in jobs]


async def test_a_cancellation_that_the_handler_took_back_reaches_no_record(settings: MakeSettings) -> None:
    """`uncancel` clears the count of cancellations, but not the one that is on its way to the next await."""

    async def changes_its_mind(ctx: JobContext) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        task.uncancel()
        return "done"

    handler = make_job(changes_its_mind, attempts=1)

    async with at_work(settings(worker_concurrency=2, worker_lock_ms=1_000, worker_stalled_ms=200), handler) as site:
        jobs = [await site.app.enqueue_job(handler) for _ in range(20)]

        assert [await site.end_of(job.job_id) for job in jobs] == [("completed", '"done"')] * 20
        assert site.count("job.stalled") == 0
