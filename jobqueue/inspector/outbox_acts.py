"""Outbox acts: what a person does to rows that are set aside. Each is in the audit log, refused ones too."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from pydantic import JsonValue

from jobqueue.app import App
from jobqueue.database import Database
from jobqueue.errors import RedisError
from jobqueue.inspector.acting import HasQueue
from jobqueue.inspector.audit import Actor
from jobqueue.inspector.auditing import AuditedAct, AuditLog
from jobqueue.inspector.bulk_acts import Bulk, Deadline
from jobqueue.inspector.outcomes import came_of
from jobqueue.outbox.shelf import RowAct, Shelf, ShelfRow
from jobqueue.redis.retry import is_passing

OpenDatabase: TypeAlias = Callable[[], AbstractAsyncContextManager[Database]]
"""Opens the database for one act."""

_ON_ONE: Final[Mapping[RowAct, str]] = {"retry": "outbox retry", "remove": "outbox remove"}
_ON_ALL: Final[Mapping[RowAct, str]] = {"retry": "outbox retry all", "remove": "outbox remove all"}


@dataclass(frozen=True, slots=True)
class OutboxActs:
    """The acts of one person. A row that waits is left alone: the relay may be moving it at this moment.

    Concurrency: each row is changed once, whoever else acts. Raises, from every method: DatabaseUnavailable.
    """

    app: App
    opened: OpenDatabase
    actor: Actor
    has_queue: HasQueue

    async def retry(self, row_id: int) -> ShelfRow:
        """Let the relay try a row again, five times more; returns it as it is then.

        Raises: RowNotFound; RowNotSetAside.
        """
        row = await self._treat("retry", row_id)
        return replace(row, attempts=0, set_aside_at=None, next_try_at=None)

    async def remove(self, row_id: int) -> ShelfRow:
        """Delete a row, whose job will never run; returns what it was. Raises: RowNotFound; RowNotSetAside."""
        return await self._treat("remove", row_id)

    async def treat_all(self, act: RowAct, queue: str) -> Bulk:
        """Do it to all rows of a queue that are set aside now, batch by batch until the time is up."""
        deadline, done = Deadline(), 0
        async with self._noted(_ON_ALL[act], queue, None, {}) as noted, self._shelf() as shelf:
            until = await shelf.last_set_aside(queue)
            while until is not None and deadline.goes_on():
                some = await shelf.treat_some(act, queue, until)
                done, until = done + some, until if some else None
            bulk = Bulk(done, 0, {}, deadline.was_met)
            noted.count, noted.details = done, {**noted.details, **came_of(bulk)}
        return replace(bulk, entry=noted.entry)

    async def _treat(self, act: RowAct, row_id: int) -> ShelfRow:
        async with self._shelf() as shelf:
            row = await shelf.row(row_id)
            told: dict[str, JsonValue] = {"jobId": row.job_id, "handler": row.name, "why": row.last_error}
            async with self._noted(_ON_ONE[act], row.queue, str(row_id), told):
                await shelf.treat(act, row_id)
        return row

    @asynccontextmanager
    async def _shelf(self) -> AsyncGenerator[Shelf]:
        async with self.opened() as database:
            yield Shelf(database, self.app.settings.jobs_prefix)

    @asynccontextmanager
    async def _noted(
        self, action: str, queue: str, target: str | None, details: Mapping[str, JsonValue]
    ) -> AsyncGenerator[AuditedAct]:
        """A queue that Redis does not know has no log; what is done to its rows is in that of JOBS_QUEUE."""
        log = AuditLog(self.app)
        is_known = await self._is_known(queue)
        where = queue if is_known else self.app.settings.jobs_queue
        told = details if is_known else {"queue": queue, **details}
        async with log.noted_if_redis_answers(self.actor, AuditedAct(action, where, target, told)) as act:
            yield act

    async def _is_known(self, queue: str) -> bool:
        try:
            return await self.has_queue(queue)
        except RedisError as error:
            if not is_passing(error):
                raise
            return False
