"""Executor: one job's life in this worker, as named steps: read, admit, enter, run, decide, record, report."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial

from jobqueue.context import AbortReason, AbortSignal, EnqueueFunction, JobContext, Resources
from jobqueue.errors import JobCancelled, RedisError
from jobqueue.handler import Plain
from jobqueue.job import Job
from jobqueue.policy import Policy
from jobqueue.queue import Queue
from jobqueue.redis.retry import until_answered
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.transitions import Held, Lane, Lock
from jobqueue.wire import Fetched
from jobqueue.worker import admission, schedulers
from jobqueue.worker.active import ActiveJobs
from jobqueue.worker.admission import Admitted
from jobqueue.worker.execution import Execution, Slot
from jobqueue.worker.journal import Journal
from jobqueue.worker.outcomes import Ending, Failed, Outcome, Raised, Retried, decide, reason_of
from jobqueue.worker.patterns import Entered, Patterns
from jobqueue.worker.recorder import Recorder
from jobqueue.worker.renewer import LockLease, Renewer
from jobqueue.worker.reporter import Reporter
from jobqueue.worker.run import LeftBehind, Run, Stragglers
from jobqueue.worker.superseding import SupersedeWatch

_log = logging.getLogger("jobqueue.worker")

_UNKNOWN_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Shared:
    """What every execution of a worker shares."""

    settings: Settings
    registry: Registry
    resources: Resources
    renewer: Renewer
    reporter: Reporter
    stragglers: Stragglers
    enqueue: EnqueueFunction


class Executor:
    """Runs the jobs of one queue. Concurrency: one call of `execute` for each slot."""

    def __init__(self, queue: Queue, shared: Shared, watch: SupersedeWatch) -> None:
        self._queue = queue
        self._shared = shared
        self._watch = watch
        self._patterns = Patterns(queue, shared.reporter.redis_lost)
        self._recorder = Recorder(queue, shared.reporter)
        self._stop_reason: AbortReason | None = None
        self.active = ActiveJobs(queue.keys)
        shared.renewer.follow(self.active)

    def stop(self, reason: AbortReason) -> None:
        """Tell all executions to stop, also those that are still to begin."""
        self._stop_reason = reason
        for execution in self.active:
            execution.stop(reason)

    async def execute(self, fetched: Fetched, slot: Slot) -> Fetched:
        """Take one claimed job to its end; returns the next one, which recording fetched.

        Raises: LeftBehind where the handler outlived its try, which goes on in another task.
        """
        job, unreadable = admission.read(self._queue.name, fetched)
        execution = self._begin(job, slot)
        try:
            outcome = unreadable or await self._try(execution, fetched)
            return await self._end(execution, outcome)
        finally:
            if not execution.is_left_behind:
                self._let_go(execution)

    def _begin(self, job: Job, slot: Slot) -> Execution:
        shared = self._shared
        handler = shared.registry.find(job.name)
        policy = handler.policy if handler is not None else _UNKNOWN_POLICY
        journal = Journal(self._queue, job.id, policy.keep_logs, shared.reporter.redis_lost)
        execution = Execution(job, policy, slot, journal)
        self.active.add(execution)
        if self._stop_reason is not None:
            execution.stop(self._stop_reason)
        return execution

    def _let_go(self, execution: Execution) -> None:
        self.active.discard(execution)
        execution.let_go()

    async def _try(self, execution: Execution, fetched: Fetched) -> Outcome:
        """A job that stumbles outside its handler (a validator, a key function) fails; it is not claimed for ever."""
        job = execution.job
        try:
            execution.held = self._lane(job, job.envelope.dedupe_key)
            if job.scheduler_id is not None:
                await until_answered(partial(schedulers.advance, self._queue, job), self._shared.reporter.redis_lost)
            admitted = admission.admit(job, fetched, execution.policy, self._shared.registry)
            if not isinstance(admitted, Admitted):
                return admitted
            if not isinstance(admitted.handler.pattern, Plain):
                refused = await self._enter(execution, admitted)
                if refused is not None:
                    return refused
            if execution.reason is None:
                ending = await self._run(execution, admitted)
            else:
                ending = Raised(JobCancelled(execution.reason.message))
            outcome = self._decide(execution, admitted, ending)
            if execution.held is not None:
                outcome = await self._patterns.ask_again(admitted, execution.held, outcome)
            return outcome
        except (RedisError, LeftBehind):
            raise
        except BaseException as error:
            if _slot_is_given_up():
                raise
            _log.exception("job %s of queue %s could not be run", job.id, job.queue)
            return Failed(f"could not be run: {reason_of(error)}")

    async def _enter(self, execution: Execution, admitted: Admitted) -> Outcome | None:
        """Take what the pattern wants held; the outcome of a job that may not run now."""
        execution.held = self._lane(admitted.job, admitted.lane)
        entered = await self._patterns.enter(admitted, execution.slot.claimant)
        if not isinstance(entered, Entered):
            return entered
        execution.held = entered.held
        self._guard(execution, entered.held)
        return None

    def _guard(self, execution: Execution, held: Held) -> None:
        """Keep alive what the run holds, and let its loss reach the run."""
        match held:
            case Lock(key, token):
                lease = LockLease(key, token, execution.stop_from_thread)
                self._shared.renewer.hold(lease)
                execution.until_recorded.append(partial(self._shared.renewer.drop, lease))
            case Lane():

                def superseded(by: str) -> None:
                    execution.stop(AbortReason("superseded", f"superseded by job {by}", by))

                execution.until_recorded.append(self._watch.watch(execution.job.id, superseded))
            case None:
                return

    def _run(self, execution: Execution, admitted: Admitted) -> Awaitable[Ending]:
        job, handler, shared, slot = admitted.job, admitted.handler, self._shared, execution.slot
        context = JobContext(
            job=job,
            signal=AbortSignal(),
            resources=shared.resources,
            worker_name=slot.claimant.worker_name,
            fence=execution.held.fence if isinstance(execution.held, Lock) else None,
            _log=execution.journal.log,
            _progress=execution.journal.progress,
            _enqueue=shared.enqueue,
        )

        def leave_behind(ending: Ending) -> None:
            execution.is_left_behind = True
            slot.carry(self._end_without_handler(execution, admitted, ending))

        shared.reporter.started(job)
        run = Run(handler, context, admitted.payload, shared.stragglers, leave_behind)
        limit_ms = job.envelope.timeout_ms or handler.policy.timeout_ms or shared.settings.worker_timeout_ms
        execution.begin(run, limit_ms)
        return run.finish()

    async def _end_without_handler(self, execution: Execution, admitted: Admitted, ending: Ending) -> Fetched:
        try:
            outcome = self._decide(execution, admitted, ending)
            return await self._end(execution, await self._patterns.ask_again(admitted, execution.held, outcome))
        finally:
            self._let_go(execution)

    def _decide(self, execution: Execution, admitted: Admitted, ending: Ending) -> Outcome:
        execution.end()
        limit = self._shared.settings.jobs_max_result_bytes
        return decide(admitted.job, admitted.handler, ending, execution.reason, limit)

    async def _end(self, execution: Execution, outcome: Outcome) -> Fetched:
        job, journal, slot = execution.job, execution.journal, execution.slot
        if isinstance(outcome, Failed | Retried):
            journal.log(f"failed: {outcome.reason}")
        journal.close()
        if journal.is_sending:
            await journal.sent()
        recorded = await self._recorder.record(
            job, outcome, execution.held, slot.claimant, execution.policy, slot.may_fetch
        )
        self._shared.reporter.ended(job, recorded.outcome, time.monotonic() - execution.started_s)
        return recorded.next

    def _lane(self, job: Job, dedupe_key: str | None) -> Lane | None:
        return None if dedupe_key is None else self._queue.lane(job.name, dedupe_key, job.id)


def _slot_is_given_up() -> bool:
    """Tells a cancellation of the slot from a CancelledError that some code raised by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
