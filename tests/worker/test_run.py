"""A run's end is its end: nothing that was set to stop it reaches what its slot does next."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from jobqueue import JobContext, Resources, make_job
from jobqueue.context import AbortReason, AbortSignal
from jobqueue.job import Enqueued, Envelope, Job, JobOptions
from jobqueue.worker import run as running
from jobqueue.worker.outcomes import Ending, Returned
from jobqueue.worker.run import JobTask, Run, Stragglers


async def cancels_itself(ctx: JobContext) -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return "done"


async def test_a_stop_that_comes_as_a_handler_ends_leaves_no_timer_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that cancels its own task and returns takes one more turn of the loop, in which a stop could still
    come. Its timers were set when the others had been cancelled: seconds later a finished run counted as a straggler,
    and whatever job its slot had by then was taken from it.
    """
    monkeypatch.setattr(running, "_STUBBORN_S", 0.05)
    handler = make_job(cancels_itself, grace_ms=10)
    stragglers, left_behind = Stragglers(), list[Ending]()

    endings: list[Ending] = []

    async def one_job() -> None:
        run = Run(handler, context(), None, stragglers, left_behind.append)
        asyncio.get_running_loop().call_soon(run.abort, AbortReason("superseded", "superseded by job 2", "2"))
        endings.append(await run.finish())

    await JobTask(one_job(), "one job", contextvars.copy_context())
    await asyncio.sleep(0.2)  # longer than the grace and the patience with a stubborn task: nothing is to come

    assert endings == [Returned("done")]
    assert left_behind == []
    assert stragglers.running == {}


def context() -> JobContext:
    job = Job("1", "jobs", "cancelsItself", Envelope(None), JobOptions({}), 0)

    async def enqueue(*_: object) -> Enqueued:
        raise AssertionError("nothing is enqueued here")

    def ignore(_: object) -> None: ...

    return JobContext(job, AbortSignal(), Resources(), "worker", None, ignore, ignore, enqueue)
