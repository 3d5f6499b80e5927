"""Reporter: tells the log and the listeners what happened to a job."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import assert_never

from jobqueue.events import Event, EventName, Events
from jobqueue.job import Job
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


class Reporter:
    """One for each worker."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._loss_told_s = 0.0

    def started(self, job: Job) -> None:
        self._emit("job.started", job)

    def ended(self, job: Job, outcome: Outcome | None, took_s: float) -> None:
        """`outcome` is None where the result was fenced off, which has been told already."""
        if outcome is not None:
            name, detail = _said_of(outcome)
            self._emit(name, job, detail, took_s)

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

    def _emit(self, name: EventName, job: Job, detail: str | None = None, took_s: float | None = None) -> None:
        level = _LEVELS.get(name, logging.INFO)
        if _log.isEnabledFor(level):
            said = name.removeprefix("job.") + (f": {detail}" if detail else "")
            took = "" if took_s is None else f" ({_ms(took_s)} ms)"
            _log.log(level, "[worker][%s:%s] %s%s", job.name, job.id, said, took)
        if self._events.listeners:
            took_ms = None if took_s is None else _ms(took_s)
            self._events.emit(Event(name, job.queue, job.name, job.id, detail, took_ms))


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
