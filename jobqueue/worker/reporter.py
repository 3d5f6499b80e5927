"""Reporter: tells the log, the listeners and the tracer what happened to a job."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import assert_never

from jobqueue.events import Event, EventName, Events
from jobqueue.job import Job
from jobqueue.tracing import Ended, Running, Span
from jobqueue.wire import TELEMETRY
from jobqueue.worker.outcomes import (
    Cancelled,
    Completed,
    Ending,
    Failed,
    Final,
    Ghost,
    Missed,
    Outcome,
    Parked,
    Postponed,
    Raised,
    Released,
    Retried,
    Skipped,
    Superseded,
    WaitingChildren,
)

_log = logging.getLogger("jobqueue.worker")

_REPEAT_LOSS_S = 5.0
_LEVELS: Mapping[EventName, int] = {
    "job.started": logging.DEBUG,
    "job.parked": logging.DEBUG,
    "job.failed": logging.WARNING,
    "job.retried": logging.WARNING,
    "job.fenced": logging.WARNING,
}
_FAILURES: frozenset[EventName] = frozenset({"job.failed", "job.retried"})


class Account:
    """What is told of one try, gathered while it goes on. Made only where somebody listens."""

    __slots__ = ("raised", "ran_ms", "span", "worker_name")

    def __init__(self, worker_name: str) -> None:
        self.worker_name = worker_name
        self.span: Span | None = None
        self.raised: Raised | None = None
        self.ran_ms: float | None = None

    @property
    def carried(self) -> str | None:
        """The context of a trace that goes along where the handler runs in another process."""
        return None if self.span is None else self.span.carried

    def handler_ended(self, ending: Ending, ran_s: float | None) -> None:
        self.raised = ending if isinstance(ending, Raised) else None
        self.ran_ms = None if ran_s is None else ran_s * 1000

    def end_span(self, how: Ended) -> None:
        """The first call counts."""
        span, self.span = self.span, None
        if span is not None:
            span.end(how)

    def close(self) -> None:
        """The try is out of this worker's hands; where nobody knows how it ended, that is what is told."""
        self.end_span(Ended("lost", "the end of the try could not be recorded"))


class Reporter:
    """One for each worker."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._loss_told_s = 0.0

    def follow(self, worker_name: str) -> Account | None:
        """The account of a try; None where nobody would read it."""
        return Account(worker_name) if self._events.listeners or self._events.tracing is not None else None

    def started(self, job: Job, account: Account | None) -> None:
        """In the job's own task: the span becomes the current one there."""
        if account is not None:
            self._begin_span(job, account)
            if account.span is not None:
                account.span.enter()
        self._emit("job.started", job)

    def ended(self, job: Job, outcome: Outcome | None, took_s: float, account: Account | None) -> None:
        """`outcome` is None where the result was fenced off, which has been told already."""
        if outcome is None:
            if account is not None:
                account.end_span(Ended("fenced", "the result was dropped"))
            return
        name, detail = _said_of(outcome)
        if account is not None:
            self._end_span(job, name, detail, account)
        self._emit(name, job, detail, took_s, account)

    def fenced(self, job: Job, why: str) -> None:
        self._emit("job.fenced", job, f"the result was dropped: {why}")

    def stalled(self, queue: str, job_id: str) -> None:
        _log.warning("job %s of queue %s had lost its worker: waiting again", job_id, queue)
        self._events.emit(Event("job.stalled", queue=queue, job_id=job_id))

    def redis_lost(self, error: Exception) -> None:
        """Said once in a while, not for each of a hundred slots."""
        now_s = time.monotonic()
        if now_s - self._loss_told_s < _REPEAT_LOSS_S:
            return
        self._loss_told_s = now_s
        _log.warning("%s; trying again", error)
        self._events.emit(Event("redis.lost", detail=str(error)))

    def _begin_span(self, job: Job, account: Account) -> None:
        if self._events.tracing is not None:
            carried = job.options.get(TELEMETRY)
            about = (job.queue, job.name, job.id, job.attempt, account.worker_name, job.processed_at_ms)
            running = Running(*about, carried)
            account.span = self._events.tracing.running(running)

    def _end_span(self, job: Job, name: EventName, detail: str | None, account: Account) -> None:
        """A job that failed before its handler was called has a span, too: a trace must not just break off."""
        failed = name in _FAILURES
        if account.span is None and failed:
            self._begin_span(job, account)
        raised = account.raised if failed else None
        error, trace = (None, None) if raised is None else (raised.error, raised.trace)
        account.end_span(Ended(name.removeprefix("job."), detail if failed else None, error, trace))

    def _emit(
        self,
        name: EventName,
        job: Job,
        detail: str | None = None,
        took_s: float | None = None,
        account: Account | None = None,
    ) -> None:
        level = _LEVELS.get(name, logging.INFO)
        if _log.isEnabledFor(level):
            said = name.removeprefix("job.") + (f": {detail}" if detail else "")
            took = "" if took_s is None else f" ({_ms(took_s)} ms)"
            extra = {"job_fields": _fields(name, job, took_s)}
            _log.log(level, "[worker][%s:%s] %s%s", job.name, job.id, said, took, extra=extra)
        if self._events.listeners:
            self._events.emit(_event(name, job, detail, took_s, account))


def _event(name: EventName, job: Job, detail: str | None, took_s: float | None, account: Account | None) -> Event:
    raised, ran_ms = (None, None) if account is None else (account.raised, account.ran_ms)
    error = raised.error if raised is not None and name in _FAILURES else None
    took_ms = None if took_s is None else _ms(took_s)
    return Event(name, job.queue, job.name, job.id, detail, took_ms, job, job.attempt, error, ran_ms, _waited_ms(job))


def _fields(name: EventName, job: Job, took_s: float | None) -> Mapping[str, str | int]:
    """What a line of JSON says beside the sentence."""
    fields: dict[str, str | int] = {"job_event": name, "queue": job.queue, "handler": job.name, "job_id": job.id}
    fields["attempt"] = job.attempt
    if took_s is not None:
        fields["duration_ms"] = _ms(took_s)
    return fields


def _waited_ms(job: Job) -> int | None:
    """From when the job was due until its first claim; what later tries waited for cannot be told."""
    if job.attempts_started > 1 or job.processed_at_ms is None:
        return None
    return max(job.processed_at_ms - job.enqueued_at_ms - job.options.delay_ms, 0)


def _said_of(outcome: Outcome) -> tuple[EventName, str | None]:
    match outcome:
        case Retried(delay_ms, reason, _):
            return "job.retried", f"{reason} (next try in {delay_ms} ms)"
        case Postponed(delay_ms):
            return "job.postponed", f"next try in {delay_ms} ms"
        case WaitingChildren():
            return "job.waiting_children", None
        case Parked():
            return "job.parked", "waits for its turn"
        case Released():
            return "job.released", "the worker stops"
        case _:
            return _said_of_the_last(outcome)


def _said_of_the_last(outcome: Final) -> tuple[EventName, str | None]:
    match outcome:
        case Completed():
            return "job.completed", None
        case Superseded(by):
            return "job.superseded", f"by job {by}"
        case Skipped(holder):
            return "job.skipped", f"job {holder} is in its place"
        case Missed(_, late_ms):
            return "job.skipped", f"its slot was missed: picked up {late_ms} ms after it"
        case Cancelled(reason):
            return "job.cancelled", reason
        case Failed(reason):
            return "job.failed", reason
        case Ghost():
            return "job.failed", "the id was in the queue, its job was not: taken out"
        case _:
            assert_never(outcome)


def _ms(took_s: float) -> int:
    return round(took_s * 1000)
