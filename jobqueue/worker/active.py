"""Active: the jobs of one queue that run here; the renewer keeps their locks, a shutdown brings them to an end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from jobqueue.context import AbortReason
from jobqueue.keys import QueueKeys
from jobqueue.worker.execution import Execution

LOCK_LOST: Final = AbortReason("lock_lost", "the lock of the job was lost")


class ActiveJobs:
    """Executions by job.

    Concurrency: changed on the event loop only, and looked at from any thread: each look is one step of the
    interpreter's.
    """

    def __init__(self, keys: QueueKeys) -> None:
        self.keys = keys
        self._by_job: dict[str, Execution] = {}

    def add(self, execution: Execution) -> None:
        """An older execution of the same job is proved lost by this one, and told so."""
        older = self._by_job.get(execution.job.id)
        self._by_job[execution.job.id] = execution
        if older is not None:
            older.stop(LOCK_LOST)

    def discard(self, execution: Execution) -> None:
        if self._by_job.get(execution.job.id) is execution:
            del self._by_job[execution.job.id]

    def find(self, job_id: str) -> Execution | None:
        return self._by_job.get(job_id)

    def __contains__(self, execution: Execution) -> bool:
        return self._by_job.get(execution.job.id) is execution

    def __iter__(self) -> Iterator[Execution]:
        """Those that were active when this was called."""
        return iter(tuple(self._by_job.values()))
