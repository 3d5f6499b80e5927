"""Care: one job at a time, while jobs are about whose workers have died, so that the guilty one dies alone.

A worker that dies takes its other jobs down with it, and nobody can tell whose fault it was. So before a job gets its
last claim all workers of its queue are careful for a while: none begins a job while another is young, that is while it
may still be the one that kills. An innocent job can then not be blamed a third time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from jobqueue.job import Job
from jobqueue.policy import Policy
from jobqueue.worker.execution import Execution

CARE_MS: Final = 30_000
CARE_WAIT_MS: Final = 250
"""How long a job waits that may not get its last claim yet."""
YOUNG_S: Final = 5.0


class Care:
    """One for each queue that a worker serves."""

    def __init__(self, active: Iterable[Execution]) -> None:
        self._active = active
        self._until_s = 0.0

    def take(self, care_ms: int = CARE_MS) -> None:
        """Be careful for so long; at least as long as asked before."""
        self._until_s = max(self._until_s, time.monotonic() + care_ms / 1000)

    @property
    def is_taken(self) -> bool:
        return time.monotonic() < self._until_s

    def may_begin(self) -> bool:
        """Whether another job may be begun now."""
        return not self.is_taken or not self._has_young()

    def may_run_last_claim(self, job: Job, policy: Policy) -> bool:
        """False for a job that dies with its next worker, while another might be the one that kills it."""
        if not 0 < job.stalled_count >= policy.max_claims - 1:
            return True
        self.take()
        return not self._has_young(job)

    def _has_young(self, besides: Job | None = None) -> bool:
        born_s = time.monotonic() - YOUNG_S
        return any(execution.started_s > born_s and execution.job is not besides for execution in self._active)
