"""Results: waiting for what a job comes to."""

from __future__ import annotations

from typing import Any

from jobqueue.errors import JobFailed, JobqueueError
from jobqueue.job import Enqueued


class NotFinished(JobqueueError):
    """The job was stored, but has not finished in the time given."""


async def result_of(stored: Enqueued, wait_s: float) -> Any:
    """Raises: NotFinished after `wait_s` seconds; JobFailed, naming the job."""
    try:
        return await stored.wait(wait_s)
    except TimeoutError:
        raise NotFinished(f"job {stored.job_id} has not finished within {wait_s:g} s; it goes on") from None
    except JobFailed as error:
        raise JobFailed(f"job {stored.job_id} failed: {error}") from error
