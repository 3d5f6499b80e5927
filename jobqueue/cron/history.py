"""History: what happened to cron jobs, from a queue's event stream onto their rows, whoever ran them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from uuid import uuid4

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from jobqueue.app import App
from jobqueue.background import Periodic
from jobqueue.cron.looking import Slots, look_at_runs, look_at_slots
from jobqueue.cron.past import Kind, Past, Seen, moment_of
from jobqueue.cron.table import MAX_LAST_JOB_ID, MAX_TEXT, CronJobRow
from jobqueue.database import Database
from jobqueue.errors import DatabaseUnavailable
from jobqueue.job import is_plain_text
from jobqueue.queue import Queue
from jobqueue.scripts import own
from jobqueue.stream import Position

_log = logging.getLogger("jobqueue.cron")

KEEP_MS: Final = 7 * 24 * 60 * 60 * 1000
"""How long the reading goes on after the last scheduler or trigger: until then a run of theirs may end."""
LEASE_MS: Final = 5_000
AT_ONCE: Final = 1_000
"""Events that one call looks at: some two milliseconds of Redis's time."""
REST_S: Final = 0.5
BEHIND_REST_S: Final = 0.1
IDLE_REST_S: Final = 2.0
AWAY_REST_S: Final = 1.0
LOOK_S: Final = 30.0
SAFE_S: Final = LEASE_MS / 1000 * 0.8
"""What took longer is not written: another worker may have the lease by then, and know more."""


async def keep_history(queue: Queue) -> None:
    """To be called before a trigger is added: its run will be read, though the queue may have no scheduler."""
    key, call = queue.keys.cron_history(), queue.client.call
    await asyncio.gather(call("HSETNX", key, "cursor", "0-0"), call("PEXPIRE", key, KEEP_MS))


class _Stretch(NamedTuple):
    """A stretch of the stream. `is_cut` says that events before it may have been lost."""

    cursor: str
    is_behind: bool
    is_cut: bool
    is_new: bool
    seen: Sequence[Seen]


class CronHistory(Periodic):
    """Keeps `last_run_at`, `last_status`, `last_job_id` and `last_completed_at` of the rows with jobs in one queue.

    One worker at a time reads, by a lease; the place up to which all is written is in Redis, so another goes on where
    it ended, and what is written twice comes to the same. Where events come faster than they are read, or Redis has
    trimmed some, the jobs are looked at: those whose slot has come since, and those that were running. The latter are
    looked at twice a minute in any case.
    """

    def __init__(self, app: App, queue: Queue, database: Database) -> None:
        super().__init__()
        self._app = app
        self._queue = queue
        self._database = database
        self._me = uuid4().hex
        self._written = ""
        self._look_at_s = 0.0
        self._slots = Slots(queue)
        self._is_away = False

    async def tick(self) -> float:
        began_s = time.monotonic()
        if self._written:
            await self._slots.look()  # before the events are read: theirs are among them then
        stretch = await self._read()
        if not isinstance(stretch, _Stretch):
            self._written = ""
            return stretch
        try:
            is_written = await self._write(stretch, began_s)
        except DatabaseUnavailable as error:
            self._say(error)
            return AWAY_REST_S
        self._say(None)
        if is_written:
            self._written = stretch.cursor
        return BEHIND_REST_S if stretch.is_behind else REST_S

    async def _read(self) -> _Stretch | float:
        """The next stretch; or the seconds to rest, where there is nothing to read or another one does."""
        keys = (self._queue.keys.of("events"), self._queue.keys.cron_history(), self._queue.keys.cron_schedulers())
        args = (self._queue.keys.base, self._me, LEASE_MS, self._written, AT_ONCE, KEEP_MS)
        verdict, *rest = await self._queue.client.run(own("cronEvents"), keys, args)
        match verdict:
            case "idle":
                return IDLE_REST_S
            case "held":
                return (int(rest[0]) + 50) / 1000
            case _:
                cursor, is_behind, is_cut, is_new, *events = rest
                return _Stretch(cursor, bool(is_behind), bool(is_cut), bool(is_new), list(_decoded(events)))

    async def _write(self, stretch: _Stretch, began_s: float) -> bool:
        """In one transaction; False where that took so long that another worker may have the lease."""
        seen = [*stretch.seen]
        if stretch.is_cut:
            await self._slots.look(at_once=True)
            seen += await look_at_slots(self._queue, self._slots.picked_up)
        if stretch.is_cut or stretch.is_new or began_s >= self._look_at_s:
            seen += await look_at_runs(self._queue, self._database, self._handlers())
            self._look_at_s = began_s + LOOK_S
        if seen:
            async with self._database.transaction() as session:
                await _apply(session, seen)
                if time.monotonic() - began_s > SAFE_S:
                    await session.rollback()
                    return False
        if not stretch.is_behind:
            self._slots.clear()
        return True

    def _handlers(self) -> frozenset[str]:
        """The names of those whose jobs are in this queue."""
        default, here = self._app.settings.jobs_queue, self._queue.name
        return frozenset(one.name for one in self._app.registry if (one.policy.queue or default) == here)

    def _say(self, trouble: DatabaseUnavailable | None) -> None:
        """Once when the database goes, and once when it is back."""
        name = self._queue.name
        if trouble is not None and not self._is_away:
            _log.warning("queue %s: what happens to cron jobs is written down later: %s", name, trouble)
        if trouble is None and self._is_away:
            _log.info("queue %s: what happens to cron jobs is written down again", name)
        self._is_away = trouble is not None


def _decoded(events: Sequence[tuple[Kind, str, str, str, str, str]]) -> Iterable[Seen]:
    """Without what cannot be of a row: an id that a database would not even take."""
    for kind, job_id, row_id, event_id, claimed, running in events:
        if is_plain_text(row_id, MAX_TEXT) and is_plain_text(job_id, MAX_LAST_JOB_ID):
            claimed_at = moment_of(int(claimed)) if claimed.isdigit() else None
            yield Seen(kind, job_id, row_id, moment_of(Position.of(event_id).at_ms), claimed_at, running)


async def _apply(session: AsyncSession, seen: Sequence[Seen]) -> None:
    """Nobody else changes the rows meanwhile; those that are gone are passed over."""
    if session.get_bind().dialect.name == "sqlite":
        await session.execute(text("BEGIN IMMEDIATE"))
    wanted = CronJobRow.id.in_({one.row_id for one in seen})
    rows = await session.scalars(select(CronJobRow).where(wanted).order_by(CronJobRow.id).with_for_update())
    for row in rows:
        past = Past.of(row)
        for one in seen:
            if one.row_id == row.id:
                past = past.after(one)
        past.write(row)
