"""Trap 2: closing the worker ended lock renewal at once, so that jobs still running ran a second time."""

from __future__ import annotations

import asyncio

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import at_work


async def test_a_job_longer_than_its_lock_runs_once_though_its_worker_stops(settings: MakeSettings) -> None:
    """In the `bullmq` package `close()` cancelled the lock renewal before it waited for the jobs: one that outlasted
    its lock was taken for stalled and run again by another worker, while the first was still at it. And `close()`
    could return with jobs running.
    """
    runs: list[str] = []

    async def outlasts_its_lock(ctx: JobContext) -> str:
        runs.append(ctx.worker_name)
        await asyncio.sleep(2.5)  # the subject: two and a half times the lock
        return ctx.worker_name

    handler = make_job(outlasts_its_lock)
    quick = settings(worker_lock_ms=1_000, worker_stalled_ms=100)

    async with at_work(quick, handler, name="leaving") as leaving:
        job = await leaving.app.enqueue_job(handler)
        await eventually(lambda: runs)

        async with at_work(quick, handler, name="staying") as staying:
            await leaving.worker.stop()

            assert runs == ["leaving"]
            assert await staying.end_of(job.job_id, 0) == ("completed", '"leaving"')
            assert staying.count("job.stalled") == 0
