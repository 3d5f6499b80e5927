"""Cron runs: whether the slot of a cron job was missed, and what its run is told of the row."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol

from jobqueue import encoding
from jobqueue.context import CronContext
from jobqueue.cron.patterns import next_run
from jobqueue.cron.table import CronJob, CronJobRow, record_of
from jobqueue.database import Database
from jobqueue.errors import CronJobNotFound, DatabaseUnavailable, InvalidOption
from jobqueue.job import Job
from jobqueue.worker.outcomes import Missed

_log = logging.getLogger("jobqueue.worker")

LATE_MS: Final = 60_000
"""A slot that is picked up later than that was missed, though the next one may be far away."""

READ_LIMIT_S: Final = 5.0
_SHORTEST_GAP_MS: Final = 1_000


# A slot that comes too late


def missed_slot(job: Job, now_ms: int) -> Missed | None:
    """What becomes of a slot whose row wants no runs in arrears, where it is picked up too late: after the next slot
    has come, or more than a minute after its time. None where it is in time.

    Only the first claim can be too late. A redelivery, a retry, a job that had waited for its turn were in time once.
    """
    if job.envelope.misfire != "skip" or job.envelope.type != "cron" or job.scheduler_id is None:
        return None
    was_claimed_before = job.attempts_started > 1 or job.attempts_made or job.stalled_count or job.stacktrace
    late_ms = now_ms - job.slot_ms
    if was_claimed_before or late_ms < _SHORTEST_GAP_MS:
        return None
    return Missed(job.slot_ms, late_ms) if late_ms > LATE_MS or _next_has_come(job, now_ms) else None


def _next_has_come(job: Job, now_ms: int) -> bool:
    repeat = _repeat_of(job)
    pattern, timezone = repeat.get("pattern"), repeat.get("tz") or "UTC"
    try:
        return isinstance(pattern, str) and next_run(pattern, str(timezone), job.slot_ms) <= now_ms
    except InvalidOption as error:
        _log.warning("job %s: nobody can tell when the slot after it is: %s", job.id, error)
        return False


def _repeat_of(job: Job) -> dict[str, Any]:
    return encoding.as_object(job.options.get("repeat"))


# What a run is told


class CronRows(Protocol):
    """Whoever can read a row. Raises: DatabaseUnavailable, in bounded time."""

    async def row(self, row_id: str) -> CronJob | None: ...


class StoredRows:
    """The rows in the table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def row(self, row_id: str) -> CronJob | None:
        """None where it is gone. Raises: DatabaseUnavailable."""
        # In a task of its own: that of a job cannot be cancelled here, so in it no time limit would hold.
        return await asyncio.create_task(self._read(row_id))

    async def _read(self, row_id: str) -> CronJob | None:
        try:
            async with asyncio.timeout(READ_LIMIT_S), self._database.transaction() as session:
                row = await session.get(CronJobRow, row_id)
                return None if row is None else record_of(row)
        except TimeoutError as error:
            raise DatabaseUnavailable(self._database.address, f"no answer within {READ_LIMIT_S} s") from error


def is_cron_run(job: Job) -> bool:
    """True for the job of a slot and for that of a trigger."""
    return job.envelope.id is not None and job.envelope.type != "adhoc"


async def context_of(job: Job, rows: CronRows) -> CronContext:
    """What the try of a cron job begins with. What cannot be read is raised where the handler asks for it."""
    row_id = job.envelope.id or ""
    pattern = _repeat_of(job).get("pattern")
    expression = pattern if isinstance(pattern, str) else None
    try:
        row = await rows.row(row_id)
    except Exception as error:
        _log.warning("job %s runs without what its cron job's row says: %s", job.id, error)
        return CronContext(expression, None, error)
    if row is None:
        return CronContext(expression, None, CronJobNotFound(row_id))
    return CronContext(expression or row.pattern, row.last_completed_at)
