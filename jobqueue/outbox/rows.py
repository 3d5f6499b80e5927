"""Rows: a job that is ready for Redis as a row of the table, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, cast

from jobqueue import encoding
from jobqueue.database import new_id
from jobqueue.outbox.table import Origin, OutboxRow
from jobqueue.packing import pack_entries, unpack_entries
from jobqueue.ties import read_tie
from jobqueue.wire import NewJob


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row that is to be moved, as it was read: what makes a job of it is looked at later, and may be wrong."""

    id: int
    key: str
    attempts: int
    queue: str
    name: str
    job_id: str
    data: str
    job: str


def named(job: NewJob) -> NewJob:
    """The job under an id of its own, known before Redis has it. Shape: a UUID, version 7."""
    return job if job.job_id is not None else job._replace(job_id=new_id())


def values_of(job: NewJob, prefix: str, origin: Origin, now: datetime) -> dict[str, Any]:
    """The columns of a new row."""
    rest = {
        "timestamp_ms": job.timestamp_ms,
        "delay_ms": job.delay_ms,
        "priority": job.priority,
        "options": unpack_entries(job.options),
        "ties": [tie._asdict() for tie in job.ties],
    }
    return {
        "key": new_id(),
        "prefix": prefix,
        "queue": job.queue,
        "name": job.name,
        "job_id": job.job_id,
        "data": job.data,
        "job": encoding.encode_json(rest),
        "origin": origin,
        "created_at": now,
    }


COLUMNS = tuple(getattr(OutboxRow, field.name) for field in fields(Waiting))
"""What is read of a row, in the order of `Waiting`."""


def job_of(row: Waiting) -> NewJob:
    """The job as it was enqueued. Raises: ValueError where somebody has changed the row so that it is none."""
    rest = encoding.as_object(encoding.decode_json(row.job))
    try:
        options, ties = cast(dict[str, Any], rest["options"]), cast(Sequence[dict[str, Any]], rest["ties"])
        return NewJob(
            queue=row.queue,
            name=row.name,
            data=row.data,
            job_id=row.job_id,
            timestamp_ms=_whole(rest, "timestamp_ms"),
            delay_ms=_whole(rest, "delay_ms"),
            priority=_whole(rest, "priority"),
            options=pack_entries(options),
            ties=tuple(read_tie(tie) for tie in ties),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its column 'job' is not what was written: {error}") from error


def _whole(fields: Mapping[str, Any], name: str) -> int:
    number = encoding.as_whole(fields[name])
    if number is None or number < 0:
        raise ValueError(f"{name} must be a whole number, not {fields[name]!r:.100}")
    return number
