"""Looking: what the jobs of cron jobs tell by themselves, for where the events that told it were lost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select

from jobqueue import wire
from jobqueue.clock import now_ms
from jobqueue.cron.past import Kind, Seen, moment_of
from jobqueue.cron.table import CronJobRow
from jobqueue.database import Database
from jobqueue.queue import Queue

_INTERVAL_S: Final = 1.0
_NOTES: Final[Sequence[tuple[str, Kind]]] = (
    ('{"skipped":true,"holder":', "skipped"),
    ('{"skipped":true,"reason":"missed",', "skipped"),
    ('{"superseded":true,"by":', "superseded"),
)
"""How the results begin that are written for jobs that did not do their work."""


class Slots:
    """The slots that the schedulers of one queue wait for. One that is not waited for any more was picked up."""

    def __init__(self, queue: Queue) -> None:
        self.picked_up: dict[str, str] = {}
        """Those since the last `clear`. Shape: job id -> row id."""
        self._queue = queue
        self._waited_for: dict[str, str] = {}
        self._next_s = 0.0

    async def look(self, *, at_once: bool = False) -> None:
        """Otherwise once a second at most: two commands, whatever is in the queue."""
        if time.monotonic() < self._next_s and not at_once:
            return
        self._next_s = time.monotonic() + _INTERVAL_S
        rows = wire.pairs(await self._queue.client.call("HGETALL", self._queue.keys.cron_schedulers()))
        slots = await self._queue.client.call("ZMSCORE", self._queue.keys.of("repeat"), *rows) if rows else ()
        there = zip(rows.items(), slots, strict=True)
        waited_for = {f"repeat:{name}:{int(slot)}": row for (name, row), slot in there if slot is not None}
        self.picked_up |= {job: row for job, row in self._waited_for.items() if job not in waited_for}
        self._waited_for = waited_for

    def clear(self) -> None:
        """All that was picked up is written."""
        self.picked_up.clear()


async def look_at_runs(queue: Queue, database: Database, handlers: frozenset[str]) -> list[Seen]:
    """How the jobs ended that are running as far as the rows of these handlers know. Raises: DatabaseUnavailable."""
    columns = (CronJobRow.id, CronJobRow.handler, CronJobRow.last_job_id, CronJobRow.last_run_at)
    async with database.transaction() as session:
        rows = list(await session.execute(select(*columns).where(CronJobRow.last_status == "active")))
    seen: list[Seen] = []
    for row_id, handler, job_id, began_at in rows:
        if handler in handlers and job_id is not None:
            end = await _end_of(queue, row_id, job_id, began_at)
            seen += [] if end is None else [end]
    return seen


async def look_at_slots(queue: Queue, picked_up: Mapping[str, str]) -> list[Seen]:
    """How the runs of slots began, and how they ended if they did. A slot whose job is gone was never picked up."""
    seen: list[Seen] = []
    for job_id, row_id in picked_up.items():
        claimed = await queue.client.call("HGET", queue.keys.job(job_id), "processedOn")
        if claimed:
            began_at = moment_of(int(claimed))
            end = await _end_of(queue, row_id, job_id, began_at)
            has_run = end is None or end.kind != "skipped"
            seen += [Seen("active", job_id, row_id, began_at)] if has_run else []
            seen += [] if end is None else [end]
    return seen


async def _end_of(queue: Queue, row_id: str, job_id: str, began_at: datetime | None) -> Seen | None:
    state, value = await queue.outcome(job_id)
    if state == "unfinished":
        return None
    finished = await queue.client.call("HGET", queue.keys.job(job_id), "finishedOn")
    at = moment_of(int(finished) if finished else now_ms())
    if began_at is not None and at < began_at:  # by the clock of a worker that is behind Redis's
        at = began_at
    match state:
        case "missing":
            return Seen("removed", job_id, row_id, at)
        case "failed":
            return Seen("failed", job_id, row_id, at)
        case "completed":
            return Seen(_kind_of(value or ""), job_id, row_id, at)


def _kind_of(returned: str) -> Kind:
    for beginning, kind in _NOTES:
        if returned.startswith(beginning):
            return kind
    return "completed"
