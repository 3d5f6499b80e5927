"""Executor: one job's life in this worker, as named steps: read, admit, enter, run, decide, record, report."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from jobqueue.context import AbortReason, AbortSignal, EnqueueFunction, JobContext, Resources
from jobqueue.errors import JobCancelled, RedisError
from jobqueue.job import Job
from jobqueue.policy import Policy
from jobqueue.queue import Queue
from jobqueue.redis.retry import until_answered
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.transitions import Claimant, Held, Lane, Lock
from jobqueue.wire import Fetched
from jobqueue.worker import admission, schedulers
from jobqueue.worker.admission import Admitted
from jobqueue.worker.execution import Execution
from jobqueue.worker.journal import Journal
from jobqueue.worker.outcomes import Ending, Failed, Outcome, Raised, Retried, decide, reason_of
from jobqueue.worker.patterns import Entered, Patterns
from jobqueue.worker.recorder import Recorder
from jobqueue.worker.renewer import JobLease, Lease, LockLease, Renewer
from jobqueue.worker.reporter import Reporter
from jobqueue.worker.run import Run, Stragglers
from jobqueue.worker.superseding import SupersedeWatch

_log = logging.getLogger("jobqueue.worker")


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
        self.executions: set[Execution] = set()

    def stop(self, reason: AbortReason) -> None:
        """Tell all executions to stop, also those that are still to begin."""
        self._stop_reason = reason
        for execution in self.executions:
            execution.stop(reason)

    async def execute(self, fetched: Fetched, claimant: Claimant, may_fetch: Callable[[], bool]) -> Fetched:
        """Take one claimed job to its end; returns the next one, which recording fetched."""
        started_s = time.monotonic()
        job, unreadable = admission.read(self._queue.name, fetched)
        policy = self._policy(job)
        journal = Journal(self._queue, job.id, policy.keep_logs, self._shared.reporter.redis_lost)
        with ExitStack() as until_recorded:
            execution = self._begin(job, claimant, until_recorded)
            outcome = unreadable or await self._try(execution, claimant, journal, until_recorded)
            if isinstance(outcome, Failed | Retried):
                journal.log(f"failed: {outcome.reason}")
            await journal.close()
            recorded = await self._recorder.record(job, outcome, execution.held, claimant, policy, may_fetch)
        self._shared.reporter.ended(job, recorded.outcome, time.monotonic() - started_s)
        return recorded.next

    def _begin(self, job: Job, claimant: Claimant, until_recorded: ExitStack) -> Execution:
        execution = Execution(job)
        self.executions.add(execution)
        until_recorded.callback(self.executions.discard, execution)
        if self._stop_reason is not None:
            execution.stop(self._stop_reason)
        self._renew(JobLease(self._queue.keys, job.id, claimant.token, execution.stop_from_thread), until_recorded)
        return execution

    async def _try(
        self, execution: Execution, claimant: Claimant, journal: Journal, until_recorded: ExitStack
    ) -> Outcome:
        """A job that stumbles outside its handler (a validator, a key function) fails; it is not claimed for ever."""
        job = execution.job
        try:
            return await self._process(execution, claimant, journal, until_recorded)
        except RedisError:
            raise
        except BaseException as error:
            if _slot_is_given_up():
                raise
            _log.exception("job %s of queue %s could not be run", job.id, job.queue)
            return Failed(f"could not be run: {reason_of(error)}")

    async def _process(
        self, execution: Execution, claimant: Claimant, journal: Journal, until_recorded: ExitStack
    ) -> Outcome:
        job = execution.job
        execution.held = self._lane(job, job.envelope.dedupe_key)
        if job.scheduler_id is not None:
            await until_answered(lambda: schedulers.advance(self._queue, job), self._shared.reporter.redis_lost)
        admitted = admission.admit(job, self._shared.registry)
        if not isinstance(admitted, Admitted):
            return admitted
        execution.held = self._lane(job, admitted.lane)
        entered = await self._patterns.enter(admitted, claimant)
        if not isinstance(entered, Entered):
            return entered
        execution.held = entered.held
        self._guard(execution, entered.held, until_recorded)
        outcome = await self._run(execution, admitted, entered.held, claimant, journal)
        return await self._patterns.ask_again(admitted, entered.held, outcome)

    def _guard(self, execution: Execution, held: Held, until_recorded: ExitStack) -> None:
        """Keep alive what the run holds, and let its loss reach the run."""
        match held:
            case Lock(key, token):
                self._renew(LockLease(key, token, execution.stop_from_thread), until_recorded)
            case Lane():

                def superseded(by: str) -> None:
                    execution.stop(AbortReason("superseded", f"superseded by job {by}", by))

                until_recorded.callback(self._watch.watch(execution.job.id, superseded))
            case None:
                return

    async def _run(
        self, execution: Execution, admitted: Admitted, held: Held, claimant: Claimant, journal: Journal
    ) -> Outcome:
        job, handler, settings = admitted.job, admitted.handler, self._shared.settings
        signal = AbortSignal()
        context = JobContext(
            job=job,
            signal=signal,
            resources=self._shared.resources,
            worker_name=claimant.worker_name,
            fence=held.fence if isinstance(held, Lock) else None,
            _log=journal.log,
            _progress=journal.progress,
            _enqueue=self._shared.enqueue,
        )
        if execution.reason is None:
            self._shared.reporter.started(job)
            run = Run(handler, context, admitted.payload, self._shared.stragglers)
            limit_ms = job.envelope.timeout_ms or handler.policy.timeout_ms or settings.worker_timeout_ms
            execution.begin(run)
            ending: Ending = await run.finish(limit_ms)
            execution.end()
        else:
            ending = Raised(JobCancelled(execution.reason.message))
        return decide(job, handler, ending, signal.why or execution.reason, settings.jobs_max_result_bytes)

    def _renew(self, lease: Lease, until_recorded: ExitStack) -> None:
        self._shared.renewer.hold(lease)
        until_recorded.callback(self._shared.renewer.drop, lease)

    def _lane(self, job: Job, dedupe_key: str | None) -> Lane | None:
        return None if dedupe_key is None else self._queue.lane(job.name, dedupe_key, job.id)

    def _policy(self, job: Job) -> Policy:
        handler = self._shared.registry.find(job.name)
        return handler.policy if handler is not None else Policy()


def _slot_is_given_up() -> bool:
    """Tells a cancellation of the slot from a CancelledError that some code raised by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
