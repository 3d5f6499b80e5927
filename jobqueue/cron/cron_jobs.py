"""Cron jobs: the one API that changes the table, for every screen, the command line and code."""

from __future__ import annotations

import logging
from typing import Final, Unpack, cast

from sqlalchemy import or_, select

from jobqueue.app import App
from jobqueue.clock import now_ms as wall_clock_ms
from jobqueue.cron import schedulers
from jobqueue.cron.checking import FIELDS, CronFields, check, complete, fields_of
from jobqueue.cron.history import keep_history
from jobqueue.cron.patterns import next_run
from jobqueue.cron.rows import change, new_row, saving
from jobqueue.cron.sync import FOREIGN, Sync, SyncReport
from jobqueue.cron.table import MAX_TEXT, CronJob, CronJobRow, Source, lock_row, read_all, record_of
from jobqueue.database import Database, new_id
from jobqueue.errors import CronJobNotFound, InvalidCronJob, InvalidOption, RedisError
from jobqueue.job import Enqueued, exponential, is_plain_text
from jobqueue.options import CheckedOptions
from jobqueue.redis.retry import is_passing

_log = logging.getLogger("jobqueue.cron")

TRIGGER_PREFIX: Final = "cron."
"""How the ids of triggers begin; the id of the row and one of its own follow, with a dot between."""


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
        """All of them, by name."""
        async with self._database.transaction() as session:
            return await read_all(session)

    async def get(self, cron_job_id: str) -> CronJob:
        """One by its id. Raises: CronJobNotFound."""
        async with self._database.transaction() as session:
            return record_of(_found(await session.get(CronJobRow, _storable(cron_job_id)), cron_job_id))

    async def find(self, which: str) -> CronJob:
        """One by its id, else by its `job_id`, else by its name. Raises: CronJobNotFound."""
        columns = (CronJobRow.id, CronJobRow.job_id, CronJobRow.name)
        any_of_them = or_(*(column == _storable(which) for column in columns))
        async with self._database.transaction() as session:
            rows = list(await session.scalars(select(CronJobRow).where(any_of_them)))
        rows.sort(key=lambda row: (row.id != which, row.job_id != which))
        return record_of(_found(next(iter(rows), None), which))

    async def create(
        self, *, created_by: str | None = None, source: Source = "admin", **fields: Unpack[CronFields]
    ) -> CronJob:
        """Save a new cron job; `name`, `pattern` and `handler` are required.

        Raises: InvalidCronJob, DuplicateCronJob, with nothing written.
        """
        values = complete(fields, self._app.enqueuer)
        check(values, self._app.enqueuer)
        if values.get("enabled"):
            await self._check_place(values)
        row = new_row(values, source, created_by)
        async with saving(self._database) as session:
            session.add(row)
        await self.follow(row.job_id)
        return record_of(row)

    async def update(self, cron_job_id: str, **changes: Unpack[CronFields]) -> CronJob:
        """Change some fields of a cron job; where they are what it has, nothing happens.

        Concurrency: two changes of one row come one after the other. Raises: CronJobNotFound, InvalidCronJob,
        DuplicateCronJob, with nothing written.
        """
        before = await self.get(cron_job_id)
        values = self._checked(before, changes)
        if values.get("enabled") and _PLACE.intersection(changes):
            await self._check_place(values)
        async with saving(self._database) as session:
            row = _found(await lock_row(session, cron_job_id), cron_job_id)
            self._checked(record_of(row), changes)
            is_changed = change(row, changes)
        if is_changed:
            await self.follow(row.job_id)
        return record_of(row)

    async def delete(self, cron_job_id: str) -> None:
        """Remove a cron job, its scheduler and the job of its next slot; one that runs goes on. Raises:
        CronJobNotFound.
        """
        async with self._database.transaction() as session:
            row = _found(await lock_row(session, _storable(cron_job_id)), cron_job_id)
            await session.delete(row)
        await self.follow(row.job_id)

    async def trigger(self, cron_job_id: str, *, created_by: str | None = None) -> Enqueued:
        """Run a cron job now, with its payload and its retry policy, whether it is enabled or not.

        Raises: CronJobNotFound; EnqueueError where its handler or payload is no longer good; RedisUnavailable.
        """
        row = await self.get(cron_job_id)
        asked = CheckedOptions(
            priority=row.priority,
            attempts=row.max_attempts,
            backoff=exponential(row.backoff_ms),
            job_id=f"{TRIGGER_PREFIX}{row.id}.{new_id()}",
        )
        enqueuer = self._app.enqueuer
        job = enqueuer.encode(row.handler, row.payload, asked, created_by, cron_job_id=row.id)
        await keep_history(self._app.queue(job.queue))
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

        Shape: `changed` are ids of schedulers. The change is made, so where Redis has gone away that is only said.
        """
        try:
            report = await self.sync()
        except RedisError as error:
            if not is_passing(error):
                raise
            _log.warning("the cron job is saved; its scheduler follows when Redis is back: %s", error)
            return
        for scheduler_id in sorted(report.refused.keys() & set(changed)):
            _log.error("cron job %s has no scheduler: %s", scheduler_id, report.refused[scheduler_id])

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
        handler = self._app.registry.find(values.get("handler", ""))
        queue = self._app.queue(None if handler is None else handler.policy.queue)
        try:
            await queue.check_version()
            is_foreign = await schedulers.is_foreign(queue, values.get("job_id", ""))
        except RedisError as error:
            if not is_passing(error):
                raise
            return
        if is_foreign:
            raise InvalidCronJob({"job_id": FOREIGN})


def _storable(which: str) -> str:
    """What no database would even look for is not there. Raises: CronJobNotFound."""
    if not is_plain_text(which, MAX_TEXT):
        raise CronJobNotFound(which)
    return which


def _found(row: CronJobRow | None, which: str) -> CronJobRow:
    if row is None:
        raise CronJobNotFound(which)
    return row
