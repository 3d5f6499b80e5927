"""Moving: some rows of one queue become jobs in Redis, in order; what became of each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobqueue.errors import DuplicateJob, HoldLost
from jobqueue.outbox.reading import MOST_ATTEMPTS
from jobqueue.outbox.rows import Waiting, job_of
from jobqueue.queue import Queue
from jobqueue.redis.retry import is_passing
from jobqueue.transitions import Added, Terms
from jobqueue.wire import NewJob

_log = logging.getLogger("jobqueue.outbox")


@dataclass(slots=True)
class Moved:
    """What became of some rows.

    `rows` are in Redis and may be deleted; `refused` has by id the attempts so far of each that was refused, and the
    reason. `trouble` is what kept the others from being tried: they are as they were.
    """

    rows: list[Waiting] = field(default_factory=list[Waiting])
    refused: dict[int, tuple[int, str]] = field(default_factory=dict[int, tuple[int, str]])
    trouble: Exception | None = None


async def move(queue: Queue, rows: Sequence[Waiting], hold: str) -> Moved:
    """Add the jobs of some rows, as long as the hold is the latest. One bad row does not stop the others.

    Concurrency: safe to repeat: a row that is in Redis is not added again until its marker is taken away.
    """
    moved = Moved()
    readable = [(row, job) for row in rows if (job := _read(queue, row, moved)) is not None]
    terms = [Terms(row=row.key, hold=hold) for row, _ in readable]
    if not readable:
        return moved
    answers = await queue.add_all([job for _, job in readable], terms)
    for (row, _), answer in zip(readable, answers, strict=True):
        match answer:
            case Added():
                moved.rows.append(row)
            case DuplicateJob():
                _log.info("job %s of queue %s is not enqueued: %s", row.job_id, queue.name, answer)
                moved.rows.append(row)
            case HoldLost():
                return moved
            case Exception() if is_passing(answer):
                moved.trouble = answer
            case Exception():
                _refuse(row, str(answer), moved)
    return moved


def refused_all(rows: Sequence[Waiting], reason: str) -> Moved:
    """None of them can ever be moved as it is."""
    moved = Moved()
    for row in rows:
        _refuse(row, reason, moved)
    return moved


def _read(queue: Queue, row: Waiting, moved: Moved) -> NewJob | None:
    """Packed here once, too: what cannot be sent must not keep the others from being sent."""
    try:
        job = job_of(row)
        queue.adding(job)
    except (ValueError, TypeError, ArithmeticError) as error:
        _refuse(row, str(error), moved)
        return None
    return job


def _refuse(row: Waiting, reason: str, moved: Moved) -> None:
    moved.refused[row.id] = (row.attempts + 1, reason)
    if row.attempts + 1 >= MOST_ATTEMPTS:
        _log.error("row %d of the outbox (%s, queue %s) is set aside: %s", row.id, row.name, row.queue, reason)
