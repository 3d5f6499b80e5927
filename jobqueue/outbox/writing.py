"""Writing: jobs into the table, in the caller's transaction or in one of their own."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, insert
from sqlalchemy.ext.asyncio import AsyncSession

from jobqueue.clock import now_ms
from jobqueue.database import Database, address_of, open_database, parse_database_url, telling_unavailable
from jobqueue.errors import DatabaseUnavailable, InvalidOption, OutcomeUnknown, RedisError
from jobqueue.outbox import steps
from jobqueue.outbox.rows import named, values_of
from jobqueue.outbox.table import Origin, OutboxRow
from jobqueue.queue import Queue
from jobqueue.settings import Settings
from jobqueue.transitions import Added
from jobqueue.wire import NewJob

_TOGETHER: Final = 1_000
"""Jobs in one transaction, about."""
_STUCK_S: Final = 30.0
"""No write takes so long, unless the connection has gone silent. A busy file or table may take some seconds."""


class _Spill(NamedTuple):
    """What one caller wants to have written."""

    jobs: Sequence[NewJob]
    written: asyncio.Future[None]


def write(connection: Connection, prefix: str, jobs: Sequence[NewJob], origin: Origin = "transaction") -> None:
    """Write jobs into the table, in order, in the transaction of the connection; each needs an id (see `named`).

    Raises: what the database raises.
    """
    now = datetime.fromtimestamp(now_ms() / 1000, UTC)
    statement = insert(OutboxRow).inline()  # not to read what it writes: a producer may have no right to
    connection.execute(statement, [values_of(job, prefix, origin, now) for job in jobs])


class Outbox:
    """A producer's hand; one for each app. The database of the settings is opened when the first job is spilled."""

    def __init__(self, settings: Settings, queue_named: Callable[[str], Queue]) -> None:
        self._settings = settings
        self._queue_named = queue_named
        self._opened = AsyncExitStack()
        self._database: Database | None = None
        self._spills: deque[_Spill] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the database, if it was opened; it opens again at the next job that is spilled."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        self._database = None
        await self._opened.aclose()

    async def write(self, session: object, jobs: Sequence[NewJob]) -> Sequence[Added]:
        """Write jobs in the transaction of a session: they exist if and only if that commits.

        Raises: InvalidOption for what is no AsyncSession; DatabaseUnavailable, after which the session is to be rolled
        back.
        """
        if not isinstance(session, AsyncSession):
            raise InvalidOption("session", f"must be an AsyncSession of SQLAlchemy, not {session!r:.100}")
        jobs = [named(job) for job in jobs]
        with telling_unavailable(session.get_bind().engine.url):
            await (await session.connection()).run_sync(write, self._settings.jobs_prefix, jobs)
        return [_added(job) for job in jobs]

    async def spill(self, jobs: Sequence[NewJob]) -> Sequence[Added]:
        """Write jobs for which their queue has no room, in the order of the calls: when this returns they are safe.

        Whatever is enqueued after that comes behind them. Those of many callers share a transaction.
        Raises: DatabaseUnavailable; OutcomeUnknown where they may be written, and it takes too long.
        """
        spill = _Spill([named(job) for job in jobs], asyncio.get_running_loop().create_future())
        self._spills.append(spill)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_spills())
        try:
            async with asyncio.timeout(self._settings.redis_call_ms / 1000):
                await spill.written
        except TimeoutError as error:
            if spill not in self._spills:
                raise OutcomeUnknown(f"the database does not answer. {OutcomeUnknown.__doc__}") from error
            raise DatabaseUnavailable(self._address, "others wait for it too long already") from error
        finally:
            if spill in self._spills:  # nobody waits for it any more
                self._spills.remove(spill)
        return [_added(job) for job in spill.jobs]

    @property
    def _address(self) -> str:
        return address_of(parse_database_url(self._settings.database_url))

    async def _write_spills(self) -> None:
        while self._spills:
            together = [self._spills.popleft()]
            while self._spills and sum(len(one.jobs) for one in together) < _TOGETHER:
                together.append(self._spills.popleft())
            try:
                await self._spill_all([job for one in together for job in one.jobs])
            except DatabaseUnavailable as error:
                _settle(together, error)
            except Exception as error:
                await self._write_one_by_one(together, error)
            else:
                _settle(together, None)

    async def _write_one_by_one(self, spills: Sequence[_Spill], error: Exception) -> None:
        """What the database refuses of one caller is no fault of the others."""
        if len(spills) == 1:
            _settle(spills, error)
            return
        for spill in spills:
            try:
                await self._spill_all(spill.jobs)
            except Exception as its_own:
                _settle([spill], its_own)
            else:
                _settle([spill], None)

    async def _spill_all(self, jobs: Sequence[NewJob]) -> None:
        """Written or not, they are settled: who waits for those that are on their way waits for no dead."""
        written = False
        try:
            with telling_unavailable(parse_database_url(self._settings.database_url)):
                async with asyncio.timeout(_STUCK_S), (await self._open()).transaction() as session:
                    await (await session.connection()).run_sync(write, self._settings.jobs_prefix, jobs, "overflow")
            written = True
        finally:
            for queue, count in Counter(job.queue for job in jobs).items():
                with suppress(RedisError):  # that Redis is away now only lets later ones overtake them
                    await steps.note_spilled(self._queue_named(queue), count, written=written)

    async def _open(self) -> Database:
        if self._database is None:
            opening = open_database(self._settings.database_url)
            self._database = await self._opened.enter_async_context(opening)
        return self._database


def _settle(spills: Sequence[_Spill], error: Exception | None) -> None:
    for written in (one.written for one in spills if not one.written.done()):  # its caller may have been cancelled
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)


def _added(job: NewJob) -> Added:
    return Added(job.job_id or "", outboxed=True)
