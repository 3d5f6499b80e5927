"""A real JobContext for calling a handler without a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobqueue.context import AbortSignal, JobContext, Resources
from jobqueue.handler import Handler
from jobqueue.job import Enqueued, EnqueueOptions, Envelope, Job, JobOptions


def new_job(job_id: str = "1", *, attempts_made: int = 0, enqueued_at_ms: int = 1_700_000_000_000) -> Job:
    return Job(
        id=job_id,
        queue="jobs",
        name="sendWebhook",
        envelope=Envelope(payload=None),
        options=JobOptions({}),
        enqueued_at_ms=enqueued_at_ms,
        attempts_made=attempts_made,
    )


def new_context(
    job: Job, resources: Resources, log: list[str] | None = None, on_progress: Callable[[object], None] | None = None
) -> JobContext:
    """A context whose log lines go to `log` and its progress to `on_progress`; it cannot enqueue."""
    lines: list[str] = [] if log is None else log

    def drop_progress(_value: object) -> None:
        return None

    async def refuse(
        handler: Handler[Any] | str, _payload: object, _options: EnqueueOptions, _creator: str
    ) -> Enqueued:
        raise AssertionError(f"nothing should be enqueued, but {handler!r} was")

    return JobContext(
        job=job,
        signal=AbortSignal(),
        resources=resources,
        worker_name="worker-1",
        fence=None,
        _log=lines.append,
        _progress=on_progress or drop_progress,
        _enqueue=refuse,
    )
