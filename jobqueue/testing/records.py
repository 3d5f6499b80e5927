"""Records: a job that waits, a try that has ended, and what a drain came to. Frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from jobqueue.handler import Handler
from jobqueue.job import Job, Related, State
from jobqueue.testing.clock import moment_of

Outcome: TypeAlias = Literal[
    "completed",
    "superseded",
    "skipped",
    "retried",
    "postponed",
    "failed",
    "cancelled",
    "parked",
    "waiting_children",
    "released",
    "fenced",
]
"""How a try ended: the job's events without their `job.`."""

FAILURES: frozenset[Outcome] = frozenset({"failed", "retried"})


@dataclass(frozen=True, slots=True)
class EnqueuedJob:
    """A job that has not ended.

    `payload` is what is stored: the payload as JSON has it. `run_at` is when it may start: `enqueued_at` and its delay,
    or the end of its backoff. `delay_ms` is the delay that it was enqueued with.
    """

    job_id: str
    name: str
    queue: str
    state: State
    payload: Any
    enqueued_at: datetime
    run_at: datetime
    delay_ms: int = 0
    priority: int = 0
    attempts: int = 1
    attempts_made: int = 0
    related: Related | None = None
    order_key: str | None = None
    created_by: str | None = None
    expires_at: datetime | None = None


def enqueued_job(job: Job, state: State, due_ms: int | None = None) -> EnqueuedJob:
    """The record of a stored job; `due_ms` is when a delayed one may start."""
    envelope, delay_ms = job.envelope, job.options.delay_ms
    expires_at_ms = envelope.expires_at_ms
    return EnqueuedJob(
        job_id=job.id,
        name=job.name,
        queue=job.queue,
        state=state,
        payload=envelope.payload,
        enqueued_at=moment_of(job.enqueued_at_ms),
        run_at=moment_of(job.enqueued_at_ms + delay_ms if due_ms is None else due_ms),
        delay_ms=delay_ms,
        priority=job.priority,
        attempts=job.attempts,
        attempts_made=job.attempts_made,
        related=envelope.related,
        order_key=envelope.order_key,
        created_by=envelope.created_by,
        expires_at=None if expires_at_ms is None else moment_of(expires_at_ms),
    )


@dataclass(frozen=True, slots=True)
class JobRun:
    """One try of a job, and how it ended.

    `reason` is what is told of a try that did not complete. `result` is what the handler returned, as JSON gives it
    back; None where the job is not kept. `error` is what the handler raised.
    """

    job_id: str
    name: str
    queue: str
    outcome: Outcome
    reason: str | None = None
    result: Any = None
    error: BaseException | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain has run: one entry for each try, in the order in which they ended."""

    runs: tuple[JobRun, ...] = ()

    @property
    def completed(self) -> tuple[JobRun, ...]:
        return self._that("completed")

    @property
    def failed(self) -> tuple[JobRun, ...]:
        """Those after which no try follows."""
        return self._that("failed")

    @property
    def retried(self) -> tuple[JobRun, ...]:
        """Those that failed and are tried again: at once, and then in the same drain, or when the clock is moved."""
        return self._that("retried")

    @property
    def postponed(self) -> tuple[JobRun, ...]:
        return self._that("postponed")

    @property
    def skipped(self) -> tuple[JobRun, ...]:
        return self._that("skipped")

    @property
    def superseded(self) -> tuple[JobRun, ...]:
        return self._that("superseded")

    @property
    def cancelled(self) -> tuple[JobRun, ...]:
        return self._that("cancelled")

    def of(self, handler: Handler[Any] | str) -> Drained:
        """The tries of one handler's jobs."""
        name = handler if isinstance(handler, str) else handler.name
        return Drained(tuple(run for run in self.runs if run.name == name))

    def _that(self, outcome: Outcome) -> tuple[JobRun, ...]:
        return tuple(run for run in self.runs if run.outcome == outcome)
