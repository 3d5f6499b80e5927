"""Executor: one job's life in this worker, as named steps: read, resolve, enter, run, decide, leave, record, report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

from pydantic import ValidationError

from jobqueue import lanes, locks, wire
from jobqueue.context import AbortReason, AbortSignal, EnqueueFunction, JobContext, Resources
from jobqueue.enqueue import field_errors
from jobqueue.errors import MalformedJob
from jobqueue.handler import Handler, Plain, Policy, Singleton, Superseding
from jobqueue.job import Envelope, Job
from jobqueue.queue import Claimant, Queue
from jobqueue.redis.retry import until_answered
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.wire import Fetched
from jobqueue.worker import schedulers
from jobqueue.worker.journal import Journal
from jobqueue.worker.outcomes import (
    Completed,
    Ending,
    Failed,
    Ghost,
    Outcome,
    Postponed,
    Skipped,
    Superseded,
    decide,
    reason_of,
)
from jobqueue.worker.recorder import Recorder
from jobqueue.worker.renewer import JobLease, LockLease, Renewer
from jobqueue.worker.reporter import Reporter
from jobqueue.worker.run import Run, Stragglers
from jobqueue.worker.superseding import SupersedeWatch

ON_BUSY_WAIT_MS = 1_000


@dataclass(frozen=True, slots=True)
class Resolved:
    """A job with its handler and a payload that has been validated."""

    job: Job
    handler: Handler[Any]
    payload: Any


@dataclass(frozen=True, slots=True)
class Entered:
    """What a pattern gave the run: the lock of a singleton, the lane of a superseding job."""

    lock: locks.Acquired | None = None
    lane: str | None = None


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


Runs: TypeAlias = dict[str, Run]


class Executor:
    """Runs the jobs of one queue. Concurrency: one call of `execute` for each slot."""

    def __init__(self, queue: Queue, shared: Shared, watch: SupersedeWatch) -> None:
        self._queue = queue
        self._shared = shared
        self._watch = watch
        self._recorder = Recorder(queue, shared.reporter)
        self.runs: Runs = {}
        """What runs now, by token."""

    async def execute(self, fetched: Fetched, claimant: Claimant, may_fetch: Callable[[], bool]) -> Fetched:
        """Take one claimed job to its end; returns the next one, which recording fetched."""
        started_s = time.monotonic()
        job, refused = self._read(fetched)
        lease = JobLease(self._queue.keys, job.id, claimant.token, self._on_lost(claimant.token))
        self._shared.renewer.hold(lease)
        try:
            lane, outcome = (None, refused) if refused is not None else await self._process(job, claimant)
            finished = await self._recorder.record(job, outcome, lane, claimant, self._policy(job), may_fetch)
        finally:
            self._shared.renewer.drop(lease)
        self._shared.reporter.ended(job, finished.outcome, time.monotonic() - started_s)
        return finished.next

    async def _process(self, job: Job, claimant: Claimant) -> tuple[str | None, Outcome]:
        """The lane that the job holds, if any, and what becomes of the job."""
        if job.scheduler_id is not None:
            await self._persist(lambda: schedulers.advance(self._queue, job))
        resolved = self._resolve(job)
        if not isinstance(resolved, Resolved):
            return None, resolved
        lane = _dedupe_key(resolved)
        if isinstance(lane, Failed):
            return None, lane
        entered = await self._enter(resolved, lane, claimant)
        if not isinstance(entered, Entered):
            return lane, entered
        return lane, await self._run(resolved, entered, claimant)

    # Steps

    def _read(self, fetched: Fetched) -> tuple[Job, Outcome | None]:
        """The job, and its outcome where it must not run at all."""
        assert fetched.job_id is not None and fetched.fields is not None
        name = self._queue.name
        try:
            job = wire.decode_job(name, fetched.job_id, fetched.fields)
        except MalformedJob as error:
            broken = Job(fetched.job_id, name, fetched.fields.get("name", ""), Envelope(None), {}, 0)
            return broken, Ghost() if wire.is_ghost(fetched.fields) else Failed(f"malformed job: {error}")
        if job.deferred_failure is not None:
            return job, Failed(job.deferred_failure)
        max_claims = self._policy(job).max_claims
        if job.stalled_count >= max_claims:
            return job, Failed(f"quarantined: its worker died or lost it {job.stalled_count} times in a row")
        return job, None

    def _resolve(self, job: Job) -> Resolved | Failed:
        handler = self._shared.registry.find(job.name)
        if handler is None:
            known = ", ".join(self._shared.registry.names) or "none"
            return Failed(f"unknown handler {job.name!r} (registered here: {known})")
        if handler.payload is None:
            return Resolved(job, handler, None)
        try:
            payload = handler.payload.validate_json(wire.encode_json(job.envelope.payload))
        except ValidationError as error:
            details = "; ".join(f"{field}: {problem}" for field, problem in field_errors(error).items())
            return Failed(f"invalid payload: {details}")
        except ValueError as error:
            return Failed(f"invalid payload: {error}")
        return Resolved(job, handler, payload)

    async def _enter(self, resolved: Resolved, lane: str | None, claimant: Claimant) -> Entered | Outcome:
        job, pattern = resolved.job, resolved.handler.pattern
        match pattern:
            case Plain():
                return Entered()
            case Superseding():
                assert lane is not None
                by = await self._persist(lambda: lanes.enter(self._queue, job, lane))
                return Entered(lane=lane) if by is None else Superseded(by)
            case Singleton():
                return await self._enter_singleton(resolved, pattern, claimant)
            case _:
                assert_never(pattern)

    async def _enter_singleton(self, resolved: Resolved, pattern: Singleton, claimant: Claimant) -> Entered | Outcome:
        identity = resolved.handler.name
        if pattern.key is not None:
            try:
                identity += f":{pattern.key(resolved.payload)}"
            except Exception as error:
                return Failed(f"its singleton key raised {reason_of(error)}")
        job = resolved.job
        token = f"{claimant.token}:{job.id}:{job.attempts_started}"
        answer = await self._persist(lambda: locks.acquire(self._queue, identity, job.id, token))
        if isinstance(answer, locks.Acquired):
            return Entered(lock=answer)
        return Skipped(answer.holder) if pattern.on_busy == "skip" else Postponed(ON_BUSY_WAIT_MS)

    async def _run(self, resolved: Resolved, entered: Entered, claimant: Claimant) -> Outcome:
        job, handler = resolved.job, resolved.handler
        journal = Journal(self._queue, job.id, handler.policy.keep_logs, self._shared.reporter.redis_lost)
        context = self._context(job, claimant, journal, entered)
        run = Run(handler, context, resolved.payload, self._shared.stragglers)
        release = self._guard(run, entered, job, claimant)
        self._shared.reporter.started(job)
        try:
            ending = await run.finish(self._time_limit(job, handler))
        finally:
            release()
        outcome = await self._decide(resolved, entered, ending, context.signal)
        if isinstance(outcome, Failed) or hasattr(outcome, "reason"):
            journal.log(f"failed: {getattr(outcome, 'reason', '')}")
        await journal.flush()
        if entered.lock is not None:
            lock = entered.lock
            await self._persist(lambda: locks.release(self._queue, lock))
        return outcome

    async def _decide(self, resolved: Resolved, entered: Entered, ending: Ending, signal: AbortSignal) -> Outcome:
        """A try that failed in a lane may have been superseded meanwhile; a completion checks that by itself."""
        outcome = decide(
            resolved.job, resolved.handler, ending, signal.why, self._shared.settings.jobs_max_result_bytes
        )
        if entered.lane is None or isinstance(outcome, Completed | Superseded):
            return outcome
        found = await self._persist(lambda: lanes.marks(self._queue, [resolved.job.id]))
        by = found.get(resolved.job.id)
        return outcome if by is None else Superseded(by)

    # Around a run

    def _context(self, job: Job, claimant: Claimant, journal: Journal, entered: Entered) -> JobContext:
        return JobContext(
            job=job,
            signal=AbortSignal(),
            resources=self._shared.resources,
            worker_name=claimant.worker_name,
            fence=entered.lock.fence if entered.lock else None,
            _log=journal.log,
            _progress=journal.progress,
            _enqueue=self._shared.enqueue,
        )

    def _guard(self, run: Run, entered: Entered, job: Job, claimant: Claimant) -> Callable[[], None]:
        """Let everything that may stop the run reach it; returns the function that ends that."""
        self.runs[claimant.token] = run
        lease: LockLease | None = None
        if entered.lock is not None:
            lease = LockLease(entered.lock.key, entered.lock.token, self._on_lost(claimant.token))
            self._shared.renewer.hold(lease)
        if entered.lane is not None:
            self._watch.watch(job.id, lambda by: run.abort(AbortReason("superseded", f"superseded by job {by}", by)))

        def release() -> None:
            self.runs.pop(claimant.token, None)
            self._watch.forget(job.id)
            if lease is not None:
                self._shared.renewer.drop(lease)

        return release

    def _on_lost(self, token: str) -> Callable[[str], None]:
        """Called in the renewer's thread; the run is told on the loop."""
        loop = asyncio.get_running_loop()

        def tell(why: str) -> None:
            run = self.runs.get(token)
            if run is not None:
                run.abort(AbortReason("lock_lost", why))

        return lambda why: None if loop.is_closed() else _call_soon(loop, tell, why)

    def _time_limit(self, job: Job, handler: Handler[Any]) -> int | None:
        return job.envelope.timeout_ms or handler.policy.timeout_ms or self._shared.settings.worker_timeout_ms

    def _policy(self, job: Job) -> Policy:
        handler = self._shared.registry.find(job.name)
        return handler.policy if handler is not None else Policy()

    async def _persist(self, call: Any) -> Any:
        return await until_answered(call, self._shared.reporter.redis_lost)


def _call_soon(loop: asyncio.AbstractEventLoop, tell: Callable[[str], None], why: str) -> None:
    loop.call_soon_threadsafe(tell, why)


def _dedupe_key(resolved: Resolved) -> str | Failed | None:
    pattern = resolved.handler.pattern
    if not isinstance(pattern, Superseding):
        return None
    if resolved.job.envelope.dedupe_key is not None:
        return resolved.job.envelope.dedupe_key
    try:
        return pattern.dedupe_key(resolved.payload)
    except Exception as error:
        return Failed(f"its dedupe_key raised {reason_of(error)}")
