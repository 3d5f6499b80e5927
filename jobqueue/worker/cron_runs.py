"""Cron runs: whether the slot of a cron job was missed, and what its run is told of the row."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import select

from jobqueue import encoding
from jobqueue.context import CronContext
from jobqueue.cron.patterns import next_run
from jobqueue.cron.reading import telling
from jobqueue.cron.table import CronJobRow
from jobqueue.database import Database
from jobqueue.errors import CronJobNotFound, DatabaseUnavailable, InvalidOption
from jobqueue.job import Job
from jobqueue.worker.outcomes import Missed

_log = logging.getLogger("jobqueue.worker")

LATE_MS: Final = 60_000
"""A slot that is picked up later than that was missed, though the next one may be far away."""

READ_LIMIT_S: Final = 5.0
MOMENT_S: Final = 0.25
AWAY_S: Final = 30.0
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


class RowSays(NamedTuple):
    """What a run is told of its row."""

    pattern: str
    last_completed_at: datetime | None


class CronRows(Protocol):
    """Whoever can read a row. Raises: CronJobNotFound; UnreadableCronJob; DatabaseUnavailable; in bounded time."""

    async def row(self, row_id: str) -> RowSays: ...


class StoredRows:
    """The rows in the table, of which nothing is read but what a run is told.

    A database that was asked in vain is given a moment only, until half a minute has passed: else each run would begin
    seconds late, though hardly one looks at what its row says. That it is away is said once, and that it is back.
    """

    def __init__(self, database: Database, *, limit_s: float = READ_LIMIT_S) -> None:
        self._database = database
        self._limit_s = limit_s
        self._is_away = False
        self._patient_again_s = 0.0

    async def row(self, row_id: str) -> RowSays:
        """Raises: as CronRows."""
        limit_s = self._next_limit_s()
        try:
            # In a task of its own: that of a job cannot be cancelled here, so in it no time limit would hold.
            says = await asyncio.create_task(self._read(row_id, limit_s))
        except DatabaseUnavailable as error:
            self._went(error)
            raise
        self._came_back()
        if says is None:
            raise CronJobNotFound(row_id)
        return says

    def _next_limit_s(self) -> float:
        if not self._is_away:
            return self._limit_s
        now_s = time.monotonic()
        if now_s < self._patient_again_s:
            return min(MOMENT_S, self._limit_s)
        self._patient_again_s = now_s + AWAY_S  # one run waits; those that begin meanwhile need not
        return self._limit_s

    async def _read(self, row_id: str, limit_s: float) -> RowSays | None:
        wanted = select(CronJobRow.pattern, CronJobRow.last_completed_at).where(CronJobRow.id == row_id)
        try:
            async with asyncio.timeout(limit_s), self._database.transaction() as session:
                with telling(row_id):
                    found = (await session.execute(wanted)).one_or_none()
        except TimeoutError as error:
            raise DatabaseUnavailable(self._database.address, f"no answer within {limit_s} s") from error
        return None if found is None else RowSays(*found)

    def _went(self, trouble: DatabaseUnavailable) -> None:
        if not self._is_away:
            self._is_away, self._patient_again_s = True, time.monotonic() + AWAY_S
            _log.warning("runs of cron jobs are not told what their rows say: %s", trouble)

    def _came_back(self) -> None:
        if self._is_away:
            self._is_away = False
            _log.info("runs of cron jobs are told again what their rows say")


def is_cron_run(job: Job) -> bool:
    """True for the job of a slot and for that of a trigger."""
    return job.envelope.id is not None and job.envelope.type != "adhoc"


async def context_of(job: Job, rows: CronRows) -> CronContext:
    """What the try of a cron job begins with. What cannot be read is raised where the handler asks for it."""
    pattern = _repeat_of(job).get("pattern")
    expression = pattern if isinstance(pattern, str) else None
    try:
        says = await rows.row(job.envelope.id or "")
    except (DatabaseUnavailable, CronJobNotFound) as error:  # nothing to say: `rows` has, or somebody deleted the row
        return CronContext(expression, None, error)
    except Exception as error:
        _log.warning("job %s runs without what its cron job's row says: %s", job.id, error)
        return CronContext(expression, None, error)
    return CronContext(expression or says.pattern, says.last_completed_at)
