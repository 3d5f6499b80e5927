"""Executor: one job's life in this worker, as named steps: read, admit, enter, run, decide, record, report."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial

from jobqueue import encoding, ties
from jobqueue.context import (
    AbortReason,
    AbortSignal,
    CronContext,
    JobContext,
    Resources,
)
from jobqueue.enqueue import Enqueuer
from jobqueue.errors import JobCancelled, RedisError, Snooze
from jobqueue.flows import Flows
from jobqueue.job import Job
from jobqueue.policy import Policy
from jobqueue.queue import Queue
from jobqueue.redis.retry import until_answered
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.steering import DONE, REQUEUE
from jobqueue.ties import LockTie
from jobqueue.transitions import Creator, Entry
from jobqueue.wire import Fetched, traced_fields
from jobqueue.worker import admission, schedulers
from jobqueue.worker.active import ActiveJobs
from jobqueue.worker.admission import Admitted
from jobqueue.worker.care import CARE_WAIT_MS, Care
from jobqueue.worker.cron_runs import CronRows, context_of, is_cron_run
from jobqueue.worker.execution import Execution, Slot
from jobqueue.worker.family import RunFamily
from jobqueue.worker.journal import Journal
from jobqueue.worker.outcomes import (
    Ending,
    Failed,
    Missed,
    Outcome,
    Postponed,
    Raised,
    Retried,
    Returned,
    decide,
    reason_of,
)
from jobqueue.worker.patterns import refused
from jobqueue.worker.process.pool import Processes
from jobqueue.worker.process.run import ProcessRun
from jobqueue.worker.recorder import Recorder
from jobqueue.worker.renewer import LockLease, Renewer
from jobqueue.worker.reporter import Account, Reporter
from jobqueue.worker.run import LeftBehind, Run, Stragglers
from jobqueue.worker.settling import settle
from jobqueue.worker.statistics import Figures

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
    enqueuer: Enqueuer
    flows: Flows
    processes: Processes
    cron: CronRows


class Executor:
    """Runs the jobs of one queue. Concurrency: one call of `execute` for each slot."""

    def __init__(self, queue: Queue, shared: Shared) -> None:
        self._queue = queue
        self._shared = shared
        self._recorder = Recorder(queue, shared.reporter, metrics=shared.settings.worker_metrics)
        self._stop_reason: AbortReason | None = None
        self.figures = Figures()
        self.active = ActiveJobs(queue.keys)
        self.care = Care(self.active)
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
        execution, account = self._begin(job, slot), self._shared.reporter.follow(slot.claimant.worker_name)
        try:
            outcome = unreadable or await self._try(execution, fetched, account)
            return await self._end(execution, outcome, account)
        finally:
            if not execution.is_left_behind:
                self._let_go(execution, account)

    def _begin(self, job: Job, slot: Slot) -> Execution:
        shared = self._shared
        handler = shared.registry.find(job.name)
        policy = handler.policy if handler is not None else _UNKNOWN_POLICY
        token = slot.claimant.token
        journal = Journal(self._queue, job.id, token, policy.keep_logs, shared.reporter.redis_lost)
        execution = Execution(job, policy, slot, journal)
        self.active.add(execution)
        if self._stop_reason is not None:
            execution.stop(self._stop_reason)
        return execution

    def _let_go(self, execution: Execution, account: Account | None) -> None:
        self.active.discard(execution)
        execution.let_go()
        if account is not None:
            account.close()

    async def _try(self, execution: Execution, fetched: Fetched, account: Account | None) -> Outcome:
        """A job that stumbles outside its handler (a validator, a key function) fails; it is not claimed for ever."""
        job = execution.job
        try:
            execution.ties = ties.of_stored_job(self._queue.keys, job, self._shared.registry.find(job.name))
            if job.scheduler_id is not None:
                advance = partial(schedulers.advance, self._queue, job, execution.slot.claimant.token)
                await until_answered(advance, self._shared.reporter.redis_lost)
            admitted = self._admit(execution, fetched)
            if not isinstance(admitted, Admitted):
                execution.ties = ties.of_any_job(self._queue.keys, job, self._shared.registry.find(job.name))
                return admitted
            execution.ties = admitted.ties
            if not self.care.may_run_last_claim(job, execution.policy):
                return Postponed(CARE_WAIT_MS)
            if admitted.ties or _may_be_marked(job):
                not_now = await self._enter(execution, admitted)
                if not_now is not None:
                    return not_now
            cron = await context_of(job, self._shared.cron) if is_cron_run(job) else None
            if execution.reason is None:
                ending = await self._run(execution, admitted, fetched, cron, account)
            else:
                ending = Raised(JobCancelled(execution.reason.message))
            return self._decide(execution, admitted, ending, account)
        except (RedisError, LeftBehind):
            raise
        except BaseException as error:
            if _slot_is_given_up():
                raise
            _log.exception("job %s of queue %s could not be run", job.id, job.queue)
            return Failed(f"could not be run: {reason_of(error)}")

    def _admit(self, execution: Execution, fetched: Fetched) -> Admitted | Failed | Missed:
        token = execution.slot.claimant.token
        return admission.admit(execution.job, fetched, execution.policy, self._shared.registry, self._queue.keys, token)

    async def _enter(self, execution: Execution, admitted: Admitted) -> Outcome | None:
        """Take what the job must hold, and keep that alive; the outcome of a job that may not run now."""
        job, slot = admitted.job, execution.slot

        def enter() -> Awaitable[Entry]:
            return self._queue.enter(job, admitted.ties, slot.claimant, fetch=slot.may_fetch())

        lost = self._shared.reporter.redis_lost
        entry = await settle(self._queue, slot.claimant.token, enter, _parked_before, lost, job.id)
        not_now = refused(entry, admitted.handler)
        lock = next((tie for tie in admitted.ties if isinstance(tie, LockTie)), None)
        if not_now is None and lock is not None:
            execution.fence = entry.fence
            lease = LockLease(lock.key, lock.token, execution.stop_from_thread)
            self._shared.renewer.hold(lease)
            execution.until_recorded.append(partial(self._shared.renewer.drop, lease))
        return not_now

    def _run(
        self,
        execution: Execution,
        admitted: Admitted,
        fetched: Fetched,
        cron: CronContext | None,
        account: Account | None,
    ) -> Awaitable[Ending]:
        job, handler, shared, slot = admitted.job, admitted.handler, self._shared, execution.slot
        creator = Creator(self._queue.name, self._queue.keys.job_lock(job.id), slot.claimant.token)
        context = JobContext(
            job=job,
            signal=AbortSignal(),
            resources=shared.resources,
            worker_name=slot.claimant.worker_name,
            fence=execution.fence,
            _log=execution.journal.log,
            _progress=execution.journal.progress,
            _enqueue=execution.journal.noting(partial(shared.enqueuer.enqueue, creator=creator)),
            _family=RunFamily(shared.flows, slot.claimant.token, execution.journal.is_closed),
            cron=cron,
        )

        def leave_behind(ending: Ending) -> None:
            execution.is_left_behind = True
            slot.carry(self._end_without_handler(execution, admitted, ending, account))

        shared.reporter.started(job, account)
        run: Run | ProcessRun
        if handler.policy.run_in == "process":
            fields = traced_fields(fetched.fields or {}, None if account is None else account.carried)
            run = ProcessRun(handler, context, fields, shared.processes)
        else:
            run = Run(handler, context, admitted.payload, shared.stragglers, leave_behind)
        limit_ms = job.envelope.timeout_ms or handler.policy.timeout_ms or shared.settings.worker_timeout_ms
        execution.begin(run, limit_ms)
        return run.finish() if handler.policy.ack == "auto" else _until_acknowledged(run, execution)

    async def _end_without_handler(
        self, execution: Execution, admitted: Admitted, ending: Ending, account: Account | None
    ) -> Fetched:
        try:
            return await self._end(execution, self._decide(execution, admitted, ending, account), account)
        finally:
            self._let_go(execution, account)

    def _decide(self, execution: Execution, admitted: Admitted, ending: Ending, account: Account | None) -> Outcome:
        execution.end()
        if account is not None:
            account.handler_ended(ending, execution.ran_s)
        limit = self._shared.settings.jobs_max_result_bytes
        return decide(admitted.job, admitted.handler, ending, execution.reason, limit)

    async def _end(self, execution: Execution, outcome: Outcome, account: Account | None) -> Fetched:
        job, journal, slot = execution.job, execution.journal, execution.slot
        if isinstance(outcome, Failed | Retried):
            journal.log(f"failed: {outcome.reason}")
        journal.close()
        if journal.is_sending:
            await journal.sent()
        recorded = await self._recorder.record(
            job, outcome, execution.ties, slot.claimant, execution.policy, slot.may_fetch
        )
        took_s = time.monotonic() - execution.started_s
        self._shared.reporter.ended(job, recorded.outcome, took_s, account)
        self.figures.ended(job, recorded.outcome, execution.ran_s)
        return recorded.next


async def _until_acknowledged(run: Run | ProcessRun, execution: Execution) -> Ending:
    """A try that is acknowledged by hand ends when somebody has said how its work ended, wherever that was done."""
    ending = await run.finish()
    if isinstance(ending, Raised):
        return ending
    how = await execution.acknowledged()
    if how is None:
        return Raised(JobCancelled("nobody acknowledged the job before it was told to stop"))
    if how == REQUEUE:
        return Raised(Snooze(1))
    return Returned(encoding.decode_json(how.removeprefix(DONE)))


def _may_be_marked(job: Job) -> bool:
    """A mark that waits for its job's pick-up: it was made for a run whose worker died, or for a scheduler's job."""
    return job.stalled_count > 0 or job.scheduler_id is not None


def _parked_before(held: Fetched) -> Entry:
    """The slot's token holds another job than the one that it wanted to enter: that was parked."""
    return Entry("parked", next=held)


def _slot_is_given_up() -> bool:
    """Tells a cancellation of the slot from a CancelledError that some code raised by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
