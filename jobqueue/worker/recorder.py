"""Recorder: writes what became of a job, and gets it written: until Redis answers, never twice, never as another's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, assert_never

from jobqueue.errors import JobNotInState, LockLost
from jobqueue.job import Job, Keep
from jobqueue.policy import Policy
from jobqueue.queue import Queue
from jobqueue.transitions import Claimant, Delay, Finish, Finished, Held
from jobqueue.wire import NOTHING, Fetched
from jobqueue.worker.outcomes import (
    Completed,
    Failed,
    Ghost,
    Outcome,
    Postponed,
    Released,
    Retried,
    Skipped,
    Superseded,
    failure_fields,
)
from jobqueue.worker.reporter import Reporter
from jobqueue.worker.settling import settle


class Recorded(NamedTuple):
    """What was written in the end, and the next job that writing it fetched. `outcome` is None where it was fenced
    off: the job was not this worker's any more."""

    outcome: Outcome | None
    next: Fetched


class Recorder:
    """Records outcomes in one queue."""

    def __init__(self, queue: Queue, reporter: Reporter) -> None:
        self._queue = queue
        self._reporter = reporter

    async def record(
        self,
        job: Job,
        outcome: Outcome,
        held: Held,
        claimant: Claimant,
        policy: Policy,
        may_fetch: Callable[[], bool],
    ) -> Recorded:
        """Write the outcome. While the lock lives a success never becomes a failure; after that it is dropped."""

        def write() -> Awaitable[Finished]:
            return self._write(job, outcome, held, claimant, policy, fetch=may_fetch())

        try:
            finished = await settle(self._queue, claimant.token, write, self._reporter.redis_lost, job.id)
        except LockLost as error:
            self._reporter.fenced(job, str(error))
            return Recorded(None, NOTHING)
        except JobNotInState as error:
            failure = Failed(f"cannot complete: {error.actual}")
            return await self.record(job, failure, held, claimant, policy, may_fetch)
        superseded = Superseded(finished.superseded_by) if finished.superseded_by else None
        if superseded is not None and isinstance(outcome, Completed):
            outcome = superseded
        return Recorded(outcome, finished.next)

    def _write(
        self, job: Job, outcome: Outcome, held: Held, claimant: Claimant, policy: Policy, *, fetch: bool
    ) -> Awaitable[Finished]:
        match outcome:
            case Completed() | Superseded() | Skipped():
                finish = Finish("completed", outcome.result_json, policy.keep_completed)
                return self._queue.finish(job, finish, claimant, held, fetch=fetch)
            case Failed(reason, trace, mended):
                fields = failure_fields(job, reason, trace) | {"stc": "0", **mended}
                finish = Finish("failed", reason, policy.keep_failed, fields)
                return self._queue.finish(job, finish, claimant, held, fetch=fetch)
            case Ghost():
                finish = Finish("failed", "the job is missing", Keep(count=0))
                return self._queue.finish(job, finish, claimant, held, fetch=fetch)
            case Retried(0, reason, trace):
                return self._queue.retry(job, failure_fields(job, reason, trace), claimant.token, held)
            case Retried(delay_ms, reason, trace):
                delay = Delay(delay_ms, counts=True, fields=failure_fields(job, reason, trace))
                return self._queue.delay(job, delay, claimant, held, fetch=fetch)
            case Postponed(delay_ms):
                return self._queue.delay(job, Delay(delay_ms, counts=False), claimant, held, fetch=fetch)
            case Released():
                return self._queue.release(job, claimant.token, held)
            case _:
                assert_never(outcome)
