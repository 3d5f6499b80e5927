"""Executor: one job's life in this worker, as named steps: read, admit, enter, run, decide, leave, record, report."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from jobqueue.context import AbortReason, AbortSignal, EnqueueFunction, JobContext, Resources
from jobqueue.errors import RedisError
from jobqueue.job import Job
from jobqueue.policy import Policy
from jobqueue.queue import Claimant, Queue
from jobqueue.redis.retry import until_answered
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.wire import Fetched
from jobqueue.worker import admission, schedulers
from jobqueue.worker.admission import Admitted
from jobqueue.worker.journal import Journal
from jobqueue.worker.outcomes import Failed, Outcome, Retried, decide
from jobqueue.worker.patterns import Entered, Patterns
from jobqueue.worker.recorder import Recorder
from jobqueue.worker.renewer import JobLease, Lease, LockLease, Renewer
from jobqueue.worker.reporter import Reporter
from jobqueue.worker.run import Run, Stragglers
from jobqueue.worker.superseding import SupersedeWatch

_log = logging.getLogger("jobqueue.worker")


@dataclass(frozen=True, slots=True)
class Shared:
    """What every run of a worker shares."""

    settings: Settings
    registry: Registry
    resources: Resources
    renewer: Renewer
    reporter: Reporter
    stragglers: Stragglers
    enqueue: EnqueueFunction


@dataclass(frozen=True, slots=True)
class Ended:
    """What becomes of a job, and the lane that ends with it."""

    outcome: Outcome
    lane: str | None


class Executor:
    """Runs the jobs of one queue. Concurrency: one call of `execute` for each slot."""

    def __init__(self, queue: Queue, shared: Shared, watch: SupersedeWatch) -> None:
        self._queue = queue
        self._shared = shared
        self._watch = watch
        self._patterns = Patterns(queue, shared.reporter.redis_lost)
        self._recorder = Recorder(queue, shared.reporter)
        self.runs: dict[str, Run] = {}
        """What runs now, by token."""

    async def execute(self, fetched: Fetched, claimant: Claimant, may_fetch: Callable[[], bool]) -> Fetched:
        """Take one claimed job to its end; returns the next one, which recording fetched."""
        started_s = time.monotonic()
        job, unreadable = admission.read(self._queue.name, fetched)
        policy = self._policy(job)
        journal = Journal(self._queue, job.id, policy.keep_logs, self._shared.reporter.redis_lost)
        lease = JobLease(self._queue.keys, job.id, claimant.token, self._on_lost(claimant.token))
        self._shared.renewer.hold(lease)
        try:
            ended = Ended(unreadable, None) if unreadable else await self._try(job, claimant, journal)
            if isinstance(ended.outcome, Failed | Retried):
                journal.log(f"failed: {ended.outcome.reason}")
            await journal.flush()
            recorded = await self._recorder.record(job, ended.outcome, ended.lane, claimant, policy, may_fetch)
        finally:
            self._shared.renewer.drop(lease)
        self._shared.reporter.ended(job, recorded.outcome, time.monotonic() - started_s)
        return recorded.next

    async def _try(self, job: Job, claimant: Claimant, journal: Journal) -> Ended:
        """A job that our own code stumbles over fails, instead of being claimed again for ever."""
        try:
            return await self._process(job, claimant, journal)
        except RedisError:
            raise
        except Exception as error:
            _log.exception("job %s of queue %s could not be run", job.id, job.queue)
            return Ended(Failed(f"could not be run: {error!r}"), job.envelope.dedupe_key)

    async def _process(self, job: Job, claimant: Claimant, journal: Journal) -> Ended:
        if job.scheduler_id is not None:
            await until_answered(lambda: schedulers.advance(self._queue, job), self._shared.reporter.redis_lost)
        admitted = admission.admit(job, self._shared.registry)
        if not isinstance(admitted, Admitted):
            return Ended(admitted, job.envelope.dedupe_key)
        entered = await self._patterns.enter(admitted, claimant)
        if not isinstance(entered, Entered):
            return Ended(entered, admitted.lane)
        outcome = await self._run(admitted, entered, claimant, journal)
        return Ended(await self._patterns.leave(admitted, entered, outcome), admitted.lane)

    async def _run(self, admitted: Admitted, entered: Entered, claimant: Claimant, journal: Journal) -> Outcome:
        job, handler, settings = admitted.job, admitted.handler, self._shared.settings
        context = JobContext(
            job=job,
            signal=AbortSignal(),
            resources=self._shared.resources,
            worker_name=claimant.worker_name,
            fence=entered.lock.fence if entered.lock else None,
            _log=journal.log,
            _progress=journal.progress,
            _enqueue=self._shared.enqueue,
        )
        run = Run(handler, context, admitted.payload, self._shared.stragglers)
        let_go = self._let_it_be_stopped(run, entered, job, claimant)
        self._shared.reporter.started(job)
        try:
            limit_ms = job.envelope.timeout_ms or handler.policy.timeout_ms or settings.worker_timeout_ms
            ending = await run.finish(limit_ms)
        finally:
            let_go()
        return decide(job, handler, ending, context.signal.why, settings.jobs_max_result_bytes)

    def _let_it_be_stopped(self, run: Run, entered: Entered, job: Job, claimant: Claimant) -> Callable[[], None]:
        """Let everything that may stop the run reach it; returns the function that ends that."""
        self.runs[claimant.token] = run
        lock_lease: Lease | None = None
        if entered.lock is not None:
            lock_lease = LockLease(entered.lock.key, entered.lock.token, self._on_lost(claimant.token))
            self._shared.renewer.hold(lock_lease)
        if entered.lane is not None:
            self._watch.watch(job.id, lambda by: run.abort(AbortReason("superseded", f"superseded by job {by}", by)))

        def let_go() -> None:
            self.runs.pop(claimant.token, None)
            self._watch.forget(job.id)
            if lock_lease is not None:
                self._shared.renewer.drop(lock_lease)

        return let_go

    def _on_lost(self, token: str) -> Callable[[str], None]:
        """Called in the renewer's thread; the run is told on the loop."""
        loop = asyncio.get_running_loop()

        def tell(why: str) -> None:
            run = self.runs.get(token)
            if run is not None:
                run.abort(AbortReason("lock_lost", why))

        def tell_on_loop(why: str) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, why)

        return tell_on_loop

    def _policy(self, job: Job) -> Policy:
        handler = self._shared.registry.find(job.name)
        return handler.policy if handler is not None else Policy()
