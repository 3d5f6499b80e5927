"""Cron acts: what a person does to a cron job. Each is in the audit log, refused ones too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from pydantic import JsonValue

from jobqueue.app import App
from jobqueue.cron import CronFields, CronJob, CronJobs
from jobqueue.cron.masked import unmasked_new
from jobqueue.inspector.audit import Actor
from jobqueue.inspector.auditing import AuditedAct, AuditLog
from jobqueue.job import Enqueued

_MOST_TOLD: Final = 200
_NOT_TOLD: Final = "payload"

OpenCronJobs: TypeAlias = Callable[[], AbstractAsyncContextManager[CronJobs]]
"""Opens the table of the cron jobs for one act."""


@dataclass(frozen=True, slots=True)
class CronActs:
    """The acts of one person. `created_by` is who has made the cron jobs and the jobs that come of them.

    Raises, from every method: what CronJobs raises.
    """

    app: App
    opened: OpenCronJobs
    actor: Actor
    created_by: str

    async def create(self, fields: CronFields) -> CronJob:
        async with (
            self._noted("cron create", self._queue(fields.get("handler")), None, _told(fields)) as act,
            self.opened() as cron_jobs,
        ):
            row = await cron_jobs.create(created_by=self.created_by, source="admin", **unmasked_new(fields))
            act.target = row.id
            return row

    async def change(self, row: CronJob, changes: CronFields) -> CronJob:
        """`changes` are of somebody who saw the payload masked. No change is no act."""
        if not changes:
            return row
        async with (
            self._noted("cron change", self._queue(row.handler), row.id, {"name": row.name, **_told(changes)}),
            self.opened() as cron_jobs,
        ):
            return await cron_jobs.update(row.id, is_masked=True, **changes)

    async def set_enabled(self, row: CronJob, *, enabled: bool) -> CronJob:
        action = "cron enable" if enabled else "cron disable"
        async with (
            self._noted(action, self._queue(row.handler), row.id, {"name": row.name}),
            self.opened() as cron_jobs,
        ):
            return await cron_jobs.update(row.id, enabled=enabled)

    async def trigger(self, row: CronJob) -> Enqueued:
        """A job, not a row: it is not made where it cannot be noted."""
        act = AuditedAct("cron trigger", self._queue(row.handler), row.id, {"name": row.name})
        async with AuditLog(self.app).noted(self.actor, act), self.opened() as cron_jobs:
            await self.app.queue(act.queue).check_version()
            enqueued = await cron_jobs.trigger(row.id, created_by=self.created_by)
            act.details = {**act.details, "job": enqueued.job_id}
            return enqueued

    async def delete(self, cron_job_id: str, row: CronJob | None) -> None:
        """`row` is None where it cannot be read; then nobody knows its name, nor its queue."""
        details: Mapping[str, JsonValue] = {} if row is None else {"name": row.name}
        async with (
            self._noted("cron delete", self._queue(row and row.handler), cron_job_id, details),
            self.opened() as cron_jobs,
        ):
            await cron_jobs.delete(cron_job_id)

    def _queue(self, handler: object) -> str:
        return self.app.queue_of(handler if isinstance(handler, str) else None)

    def _noted(
        self, action: str, queue: str, target: str | None, details: Mapping[str, JsonValue]
    ) -> AbstractAsyncContextManager[AuditedAct]:
        """Around an act: the audit log has it before it begins, and how it ended after that.

        Where Redis is away the row can be changed all the same, and its scheduler follows.
        """
        return AuditLog(self.app).noted_if_redis_answers(self.actor, AuditedAct(action, queue, target, details))


def _told(fields: CronFields) -> Mapping[str, JsonValue]:
    """What was given, shortened; of a payload only that there was one, for nobody knows yet what it hides."""
    given = cast(Mapping[str, Any], fields)
    return {name: "given" if name == _NOT_TOLD else _short(value) for name, value in given.items()}


def _short(value: JsonValue) -> JsonValue:
    return value[:_MOST_TOLD] if isinstance(value, str) else value
