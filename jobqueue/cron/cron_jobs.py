"""Cron jobs: the one API that changes the table, for every screen, the command line and code."""

from __future__ import annotations

import logging
from typing import Final, Unpack, cast

from sqlalchemy import delete, or_, select

from jobqueue.app import App
from jobqueue.clock import now_ms as wall_clock_ms
from jobqueue.cron import schedulers
from jobqueue.cron.checking import FIELDS, CronFields, check, complete, fields_of
from jobqueue.cron.history import keep_history
from jobqueue.cron.masked import unmasked_change
from jobqueue.cron.patterns import next_run
from jobqueue.cron.reading import lock_row, read_page, read_row, read_rows
from jobqueue.cron.rows import change, new_row, saving
from jobqueue.cron.sync import FOREIGN, Sync, SyncReport
from jobqueue.cron.table import MAX_TEXT, CronJob, CronJobRow, Source, record_of
from jobqueue.database import Database, new_id
from jobqueue.errors import CronJobNotFound, DatabaseUnavailable, InvalidCronJob, InvalidOption, RedisError
from jobqueue.job import Enqueued, exponential, is_plain_text
from jobqueue.options import CheckedOptions
from jobqueue.redis.retry import is_passing

_log = logging.getLogger("jobqueue.cron")

_PASSES: Final = 5
TRIGGER_PREFIX: Final = "cron."
"""How the ids of triggers begin; the id of the row and one of its own follow, with a dot between."""


_RUN: Final = ("handler", "payload", "priority", "max_attempts", "backoff_ms")
"""What a trigger runs by."""
_PLACE: Final = frozenset({"job_id", "handler", "enabled"})
"""What decides where the scheduler stands."""


class CronJobs:
    """Reads and changes cron jobs, and makes the schedulers in Redis follow.

    A change is checked, committed, and then a pass of the sync is made: when the call returns, Redis is right. Where
    Redis is away the row is saved all the same, and the next pass of any worker mends it.
    Raises, from every method: DatabaseUnavailable.
    """

    def __init__(self, app: App, database: Database) -> None:
        self._app = app
        self._database = database
        self._sync = Sync(app, database)

    async def list(self) -> tuple[CronJob, ...]:
        """All of them that can be read, by name; `sync` tells of the others."""
        return (await read_rows(self._database)).readable

    async def page(self, offset: int, limit: int) -> tuple[tuple[CronJob, ...], int]:
        """Some of them, by name, and how many there are in all."""
        rows, total = await read_page(self._database, offset, limit)
        return rows.readable, total

    async def get(self, cron_job_id: str) -> CronJob:
        """One by its id. Raises: CronJobNotFound, UnreadableCronJob."""
        return await read_row(self._database, _storable(cron_job_id))

    async def find(self, which: str) -> CronJob:
        """One by its id, else by its `job_id`, else by its name. Raises: CronJobNotFound, UnreadableCronJob."""
        columns = (CronJobRow.id, CronJobRow.job_id, CronJobRow.name)
        any_of_them = or_(*(column == _storable(which) for column in columns))
        async with self._database.transaction() as session:
            rows = (await session.execute(select(*columns).where(any_of_them))).all()
        matches = sorted(rows, key=lambda row: (row.id != which, row.job_id != which))
        if not matches:
            raise CronJobNotFound(which)
        return await self.get(matches[0].id)

    async def create(
        self, *, created_by: str | None = None, source: Source = "admin", **fields: Unpack[CronFields]
    ) -> CronJob:
        """Save a new cron job; `name`, `pattern` and `handler` are required.

        Raises: InvalidCronJob, DuplicateCronJob, with nothing written.
        """
        if created_by is not None and not is_plain_text(created_by, MAX_TEXT):
            problem = (
                f"must be a text of 1 to {MAX_TEXT} characters without control characters, not {created_by!r:.100}"
            )
            raise InvalidCronJob({"created_by": problem})
        values = complete(fields, self._app.enqueuer)
        check(values, self._app.enqueuer)
        if values.get("enabled"):
            await self._check_place(values)
        row = new_row(values, source, created_by)
        async with saving(self._database) as session:
            session.add(row)
        await self.follow(row.job_id)
        return record_of(row)

    async def update(self, cron_job_id: str, *, is_masked: bool = False, **changes: Unpack[CronFields]) -> CronJob:
        """Change some fields of a cron job; where they are what it has, nothing happens.

        `is_masked` says that the changes are of somebody who saw the payload masked: a mask stands for what it hides.
        Concurrency: two changes of one row come one after the other. Raises: CronJobNotFound, UnreadableCronJob,
        InvalidCronJob, DuplicateCronJob, with nothing written.
        """
        edit = self._unmasked if is_masked else _as_given
        before = await self.get(cron_job_id)
        values = self._checked(before, edit(before, changes))
        if values.get("enabled") and _PLACE.intersection(changes):
            await self._check_place(values)
        async with saving(self._database) as session:
            row = await lock_row(session, cron_job_id)
            stored = record_of(row)
            meant = edit(stored, changes)
            self._checked(stored, meant)
            is_changed = change(row, meant)
        if is_changed:
            await self.follow(row.job_id)
        return record_of(row)

    async def delete(self, cron_job_id: str) -> None:
        """Remove a cron job, its scheduler and the job of its next slot; one that runs goes on.

        It need not be readable. Raises: CronJobNotFound.
        """
        statement = delete(CronJobRow).where(CronJobRow.id == _storable(cron_job_id)).returning(CronJobRow.job_id)
        async with self._database.transaction() as session:
            job_id = await session.scalar(statement)
        if job_id is None:
            raise CronJobNotFound(cron_job_id)
        await self.follow(job_id)

    async def trigger(self, cron_job_id: str, *, created_by: str | None = None) -> Enqueued:
        """Run a cron job now, with its payload and its retry policy, whether it is enabled or not.

        Raises: CronJobNotFound; UnreadableCronJob; InvalidCronJob where what it would run by is no longer good;
        RedisUnavailable.
        """
        row = await self.get(cron_job_id)
        check(fields_of(row), self._app.enqueuer, _RUN)
        asked = CheckedOptions(
            priority=row.priority,
            attempts=row.max_attempts,
            backoff=exponential(row.backoff_ms),
            job_id=f"{TRIGGER_PREFIX}{row.id}.{new_id()}",
        )
        enqueuer = self._app.enqueuer
        job = enqueuer.encode(row.handler, row.payload, asked, created_by, cron_job_id=row.id)
        await keep_history(self._app.queue(job.queue), job.job_id or "")
        return await enqueuer.store(job)

    async def sync(self) -> SyncReport:
        """Make the schedulers equal to the table, once. Raises: RedisUnavailable and its kin."""
        return await self._sync.run()

    def next_run_ms(self, row: CronJob, now_ms: int | None = None) -> int | None:
        """When a row's next slot is; None where it is disabled, or its pattern is no longer good."""
        if not row.enabled:
            return None
        try:
            return next_run(row.pattern, row.timezone, wall_clock_ms() if now_ms is None else now_ms)
        except InvalidOption:
            return None

    async def follow(self, *changed: str) -> None:
        """Make the schedulers follow rows that have just been committed, and say what keeps those of `changed`.

        Shape: `changed` are ids of schedulers. The change is made, so where Redis or the database has gone away that is
        only said. A pass that was overtaken is made again, though the other one does the same.
        """
        report = SyncReport(overtaken=True)
        for _ in range(_PASSES):
            if not report.overtaken:
                break
            try:
                report = await self.sync()
            except (RedisError, DatabaseUnavailable) as error:
                if isinstance(error, RedisError) and not is_passing(error):
                    raise
                _log.warning("the cron job is saved; its scheduler follows with the next pass of a worker: %s", error)
                return
        for scheduler_id in sorted(report.refused.keys() & set(changed)):
            _log.error("cron job %s has no scheduler: %s", scheduler_id, report.refused[scheduler_id])

    def _unmasked(self, row: CronJob, changes: CronFields) -> CronFields:
        return unmasked_change(row, changes, self._app.registry)

    def _checked(self, row: CronJob, changes: CronFields) -> CronFields:
        """All fields as they would be. Raises: InvalidCronJob for a change that cannot be saved."""
        values = cast(CronFields, {**fields_of(row), **changes})
        goes_live = changes.get("enabled") is True and not row.enabled
        check(values, self._app.enqueuer, FIELDS if goes_live else tuple(changes))
        return values

    async def _check_place(self, values: CronFields) -> None:
        """Whether a scheduler of ours may stand where this cron job's would.

        Raises: InvalidCronJob where somebody else's does; QueueVersionError. Where Redis is away the sync will tell.
        """
        queue = self._app.queue(self._app.queue_of(values.get("handler")))
        try:
            await queue.check_version()
            is_foreign = await schedulers.is_foreign(queue, values.get("job_id", ""))
        except RedisError as error:
            if not is_passing(error):
                raise
            return
        if is_foreign:
            raise InvalidCronJob({"job_id": FOREIGN})


def _as_given(row: CronJob, changes: CronFields) -> CronFields:
    return changes


def _storable(which: str) -> str:
    """What no database would even look for is not there. Raises: CronJobNotFound."""
    if not is_plain_text(which, MAX_TEXT):
        raise CronJobNotFound(which)
    return which
