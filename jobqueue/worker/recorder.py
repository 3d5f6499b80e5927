"""Recorder: writes what became of a job, and gets it written: until Redis answers, never twice, never as another's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, assert_never

from jobqueue.ending import Endings
from jobqueue.errors import JobNotInState, LockLost
from jobqueue.job import Job, Keep
from jobqueue.policy import Policy
from jobqueue.queue import Queue
from jobqueue.ties import Ties
from jobqueue.transitions import Claimant, Delay, Ended, Finish, Mark
from jobqueue.wire import NOTHING, Fetched
from jobqueue.worker.outcomes import (
    Cancelled,
    Completed,
    Failed,
    Final,
    Ghost,
    Missed,
    Outcome,
    Parked,
    Postponed,
    Released,
    Retried,
    Skipped,
    Superseded,
    WaitingChildren,
    failure_fields,
)
from jobqueue.worker.patterns import heeded
from jobqueue.worker.reporter import Reporter
from jobqueue.worker.settling import settle

CHILDREN_ENDED_MS = 100
"""How long a parent is put off whose children ended just before it began to wait for them."""
_CHILDLESS_RETRY_MS = 1_000


class Recorded(NamedTuple):
    """What was written in the end, and the next job that writing it fetched. `outcome` is None where it was fenced
    off: the job was not this worker's any more."""

    outcome: Outcome | None
    next: Fetched


class Recorder:
    """Records outcomes in one queue."""

    def __init__(self, queue: Queue, reporter: Reporter, *, metrics: bool = False) -> None:
        self._queue = queue
        self._endings = Endings(queue, metrics=metrics)
        self._reporter = reporter

    async def record(
        self,
        job: Job,
        outcome: Outcome,
        ties: Ties,
        claimant: Claimant,
        policy: Policy,
        may_fetch: Callable[[], bool],
    ) -> Recorded:
        """Write the outcome. While the lock lives a success never becomes a failure; after that it is dropped.

        Where the job was marked meanwhile, what the mark makes of it is written instead.
        """
        if isinstance(outcome, Parked):
            return Recorded(outcome, outcome.next)

        def write() -> Awaitable[Ended]:
            return self._write(job, outcome, ties, claimant, policy, fetch=may_fetch())

        try:
            ended = await settle(self._queue, claimant.token, write, Ended, self._reporter.redis_lost, job.id)
        except LockLost as error:
            self._reporter.fenced(job, str(error))
            return Recorded(None, NOTHING)
        except JobNotInState as error:
            failure = Failed(f"cannot complete: {error.actual}", heeds=isinstance(outcome, Superseded))
            return await self.record(job, failure, ties, claimant, policy, may_fetch)
        if ended.mark is None:
            return Recorded(outcome, ended.next)
        instead = heeded(ended.mark) or _childless(job, ended.mark)
        return await self.record(job, instead, ties, claimant, policy, may_fetch)

    def _write(
        self, job: Job, outcome: Outcome, ties: Ties, claimant: Claimant, policy: Policy, *, fetch: bool
    ) -> Awaitable[Ended]:
        match outcome:
            case Retried(0, reason, trace):
                return self._endings.retry(job, failure_fields(job, reason, trace), claimant.token, ties)
            case Retried(delay_ms, reason, trace):
                delay = Delay(delay_ms, counts=True, fields=failure_fields(job, reason, trace))
                return self._endings.delay(job, delay, claimant, ties, fetch=fetch)
            case Postponed(delay_ms):
                return self._endings.delay(job, Delay(delay_ms, counts=False), claimant, ties, fetch=fetch)
            case WaitingChildren():
                return self._endings.wait_for_children(job, claimant.token, ties)
            case Released():
                return self._endings.release(job, claimant.token, ties)
            case Parked():
                raise AssertionError("a parked job was written in the step that parked it")
            case _:
                return self._endings.finish(job, _finish(job, outcome, policy), claimant, ties, fetch=fetch)


def _childless(job: Job, mark: Mark) -> Outcome:
    """A job that waits for children which have ended runs again. One that never had any would do so for ever."""
    if mark.value == "done":
        return Postponed(CHILDREN_ENDED_MS)
    reason = "waits for its children, but has none"
    return Retried(_CHILDLESS_RETRY_MS, reason, "") if job.attempt < job.attempts else Failed(reason)


def _finish(job: Job, outcome: Final, policy: Policy) -> Finish:
    match outcome:
        case Completed() | Skipped() | Missed():
            return Finish("completed", outcome.result_json, policy.keep_completed)
        case Superseded():
            return Finish("completed", outcome.result_json, policy.keep_completed, heeds=True)
        case Cancelled():
            return Finish("failed", outcome.failed_reason, policy.keep_failed, {"stc": "0"}, heeds=True)
        case Failed(reason, trace, mended, heeds):
            fields = failure_fields(job, reason, trace) | {"stc": "0", **mended}
            return Finish("failed", reason, policy.keep_failed, fields, heeds)
        case Ghost():
            return Finish("failed", "the job is missing", Keep(count=0))
        case _:
            assert_never(outcome)
