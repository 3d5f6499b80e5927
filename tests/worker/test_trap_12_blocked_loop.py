"""Trap 12: a handler that blocked the event loop made its own worker's jobs stall, run twice and fail."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import time

import pytest

from jobqueue import App, JobContext, Registry, make_job
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import at_work, at_work_in_a_thread, end_of

LOCK_MS = 1_000


async def test_a_handler_that_blocks_the_loop_keeps_its_lock_and_is_named(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """In the `bullmq` package renewal lived on the event loop that runs the handlers: one `time.sleep` or long
    computation held it up, the locks of ALL jobs of the worker expired, another worker ran them again, and in the
    end they failed as stalled. Ours renews from a thread, and says whose fault the silence was.
    """
    runs: list[str] = []

    async def blocks_the_loop(ctx: JobContext) -> str:
        runs.append(ctx.worker_name)
        time.sleep(3 * LOCK_MS / 1000)  # the subject: three times the lock
        return ctx.worker_name

    handler = make_job(blocks_the_loop)
    short = settings(worker_lock_ms=LOCK_MS, worker_stalled_ms=100)

    with at_work_in_a_thread(short, handler, name="blocked"):
        async with App(Registry([handler]), short) as app:
            job = await app.enqueue_job(handler)
            await eventually(lambda: runs)
        async with at_work(short, handler, name="watching") as watching:
            assert await end_of(watching.app, job.job_id) == ("completed", '"blocked"')
            assert watching.count("job.stalled") == 0

    assert runs == ["blocked"]
    told = [record.getMessage() for record in caplog.records if "has been blocked" in record.getMessage()]
    assert len(told) == 1, "said once for one silence"
    assert f"by blocks_the_loop:{job.job_id}" in told[0]
    assert "time.sleep(3 * LOCK_MS / 1000)" in told[0], "with the stack of the culprit"


async def test_a_handler_that_lets_no_thread_run_is_named_when_it_is_over(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """C code that keeps the interpreter stops the watchdog, too; and the loop may turn before that wakes up."""
    libc = ctypes.PyDLL(None)

    async def keeps_the_interpreter(ctx: JobContext) -> None:
        for _ in range(5):  # which of the two comes first is a matter of chance
            libc.usleep(1_500_000)
            await asyncio.sleep(0.01)  # the loop turns

    handler = make_job(keeps_the_interpreter)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)
        assert (await site.end_of(job.job_id, 60.0))[0] == "completed"
        told = [record.getMessage() for record in caplog.records if "has been blocked" in record.getMessage()]

    assert len(told) == 5, "each silence is told once"
    assert all(f"keeps_the_interpreter:{job.job_id}" in line for line in told)


async def test_who_is_at_work_when_threads_run_again_is_not_blamed_alone(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """The watchdog woke up with all other threads, saw a long silence, and named whoever was at work by then."""
    waits, goes_on = asyncio.Event(), asyncio.Event()

    async def keeps_the_interpreter(ctx: JobContext) -> None:
        goes_on.set()
        for _ in range(4):
            threading.Thread(target=_work, args=(1.8,), daemon=True).start()
        ctypes.PyDLL(None).usleep(1_600_000)

    async def works(ctx: JobContext) -> None:
        waits.set()
        await goes_on.wait()
        goes_on.clear()
        _work(0.2)

    culprit, bystander, blocked = make_job(keeps_the_interpreter), make_job(works), list[str]()
    async with at_work(settings(worker_concurrency=2), culprit, bystander) as site:
        for _ in range(4):  # which thread comes first is a matter of chance
            await site.app.enqueue_job(bystander)
            await waits.wait()
            waits.clear()
            job = await site.app.enqueue_job(culprit)
            assert (await site.end_of(job.job_id, 20.0))[0] == "completed"
            blocked.append(f"keeps_the_interpreter:{job.job_id}")
            await eventually(lambda: blocked[-1] in caplog.text)


def _work(for_s: float) -> None:
    ends_at_s = time.monotonic() + for_s
    while time.monotonic() < ends_at_s:
        sum(range(1_000))


async def test_the_siblings_of_a_handler_that_blocks_the_loop_keep_their_locks_too(settings: MakeSettings) -> None:
    runs: list[tuple[str, str]] = []

    async def waits(ctx: JobContext) -> None:
        runs.append((ctx.job.id, ctx.worker_name))

    async def blocks(ctx: JobContext) -> None:
        runs.append((ctx.job.id, ctx.worker_name))
        time.sleep(2 * LOCK_MS / 1000)  # the subject: twice the lock

    blocking, sibling = make_job(blocks), make_job(waits)
    short = settings(worker_lock_ms=LOCK_MS, worker_stalled_ms=100, worker_concurrency=5)

    with at_work_in_a_thread(short, blocking, sibling, name="blocked"):
        async with App(Registry([blocking, sibling]), short) as app:
            jobs = await app.enqueue_jobs([(sibling, None), (blocking, None), (sibling, None), (sibling, None)])
            await eventually(lambda: any(job_id == jobs[1].job_id for job_id, _ in runs))
            for job in jobs:
                assert (await end_of(app, job.job_id))[0] == "completed"

    assert sorted(job_id for job_id, _ in runs) == sorted(job.job_id for job in jobs)
