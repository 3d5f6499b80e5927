"""Chronicle: writes on the rows what was seen of their jobs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from jobqueue.cron.past import Past, Seen
from jobqueue.cron.reading import telling
from jobqueue.cron.table import MAX_LAST_JOB_ID, MAX_TEXT, CronJobRow
from jobqueue.database import Database
from jobqueue.errors import UnreadableCronJob
from jobqueue.job import is_plain_text

_log = logging.getLogger("jobqueue.cron")

ROWS_AT_ONCE: Final = 200
"""Rows that one transaction writes: working them out keeps the loop for some milliseconds."""
_COLUMNS: Final = (
    CronJobRow.last_run_at,
    CronJobRow.last_status,
    CronJobRow.last_job_id,
    CronJobRow.last_completed_at,
)


class Chronicle:
    """Nothing but the columns that it writes is read: what else is wrong with a row does not concern it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unreadable: set[str] = set()

    async def write(self, seen: Sequence[Seen], until_s: float) -> bool:
        """Some rows in each transaction, while the time is before `until_s`; False where that was not enough.

        Rows that are gone are passed over, and so are those that cannot be read, which is said. What is written twice
        comes to the same. Units: `until_s` as time.monotonic. Raises: DatabaseUnavailable.
        """
        stories = list(_by_row(seen).items())
        for start in range(0, len(stories), ROWS_AT_ONCE):
            if not await self._write_some(dict(stories[start : start + ROWS_AT_ONCE]), until_s):
                return False
        return True

    async def _write_some(self, stories: Mapping[str, Sequence[Seen]], until_s: float) -> bool:
        try:
            async with self._database.transaction() as session:
                before = await _lock(session, stories)
                after = {row_id: past.after_all(stories[row_id]) for row_id, past in before.items()}
                changes = [_columns(row_id, past) for row_id, past in after.items() if past != before[row_id]]
                if changes:
                    await session.execute(update(CronJobRow), changes)
                if time.monotonic() > until_s:
                    await session.rollback()
                    return False
        except UnreadableCronJob as error:
            return await self._write_apart(stories, error, until_s)
        self._unreadable.difference_update(stories)
        return True

    async def _write_apart(
        self, stories: Mapping[str, Sequence[Seen]], error: UnreadableCronJob, until_s: float
    ) -> bool:
        """One of them cannot be read: halves, and halves of these, until it stands alone."""
        rows = list(stories)
        if len(rows) > 1:
            halves = (rows[: len(rows) // 2], rows[len(rows) // 2 :])
            return all(
                [await self._write_some({row_id: stories[row_id] for row_id in half}, until_s) for half in halves]
            )
        if rows[0] not in self._unreadable:
            _log.error("what happens to a cron job is not written down: %s", error)
        self._unreadable.update(rows)
        return True


def _by_row(seen: Sequence[Seen]) -> Mapping[str, Sequence[Seen]]:
    """In the order of their ids, in which others lock them too. Without what cannot be of a row: an id that a database
    would not even take.
    """
    stories: dict[str, list[Seen]] = {}
    for one in seen:
        if is_plain_text(one.row_id, MAX_TEXT) and is_plain_text(one.job_id, MAX_LAST_JOB_ID):
            stories.setdefault(one.row_id, []).append(one)
    return dict(sorted(stories.items()))


async def _lock(session: AsyncSession, stories: Mapping[str, Sequence[Seen]]) -> Mapping[str, Past]:
    """What the rows say, which nobody else changes until the transaction ends. Raises: UnreadableCronJob."""
    if session.get_bind().dialect.name == "sqlite":
        await session.execute(text("BEGIN IMMEDIATE"))
    wanted = select(CronJobRow.id, *_COLUMNS).where(CronJobRow.id.in_(stories)).order_by(CronJobRow.id)
    with telling(next(iter(stories))):
        rows = (await session.execute(wanted.with_for_update())).all()
        return {row_id: Past(ran, status, job_id, completed) for row_id, ran, status, job_id, completed in rows}


def _columns(row_id: str, past: Past) -> Mapping[str, Any]:
    return {
        "id": row_id,
        "last_run_at": past.last_run_at,
        "last_status": past.last_status,
        "last_job_id": past.last_job_id,
        "last_completed_at": past.last_completed_at,
    }
