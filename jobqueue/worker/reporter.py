"""Reporter: tells the log and the listeners what happened to a job."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import assert_never

from jobqueue.events import Event, EventName, Events
from jobqueue.job import Job
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
)

_log = logging.getLogger("jobqueue.worker")

_REPEAT_LOSS_S = 5.0
_LEVELS: Mapping[EventName, int] = {
    "job.started": logging.DEBUG,
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
        match outcome:
            case None:
                return
            case Completed():
                self._emit("job.completed", job, took_s=took_s)
            case Superseded(by):
                self._emit("job.superseded", job, f"by job {by}", took_s)
            case Skipped(holder):
                self._emit("job.skipped", job, f"job {holder} holds the lock", took_s)
            case Retried(delay_ms, reason, _):
                self._emit("job.retried", job, f"{reason} (next try in {delay_ms} ms)", took_s)
            case Postponed(delay_ms):
                self._emit("job.postponed", job, f"next try in {delay_ms} ms", took_s)
            case Failed(reason, _, _):
                self._emit("job.failed", job, reason, took_s)
            case Ghost():
                self._emit("job.failed", job, "the id was in the queue, its job was not: taken out", took_s)
            case Released():
                self._emit("job.released", job, "the worker stops", took_s)
            case _:
                assert_never(outcome)

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


def _ms(took_s: float) -> int:
    return round(took_s * 1000)
