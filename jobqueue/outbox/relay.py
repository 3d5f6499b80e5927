"""Relay: moves the rows of the outbox to Redis, in order, each once. Every worker has one; one of them is at work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Final

from jobqueue.background import Periodic
from jobqueue.database import Database, telling_unavailable
from jobqueue.errors import DatabaseUnavailable, InvalidOption, RedisError
from jobqueue.outbox import reading, steps
from jobqueue.outbox.lease import LEASE_MS, RENEW_S, Lease
from jobqueue.outbox.moving import Moved, move, refused_all
from jobqueue.outbox.rows import Waiting
from jobqueue.outbox.waking import Alarm, alarm_of
from jobqueue.queue import Queue
from jobqueue.settings import Settings

_log = logging.getLogger("jobqueue.outbox")

BATCH: Final = 500
_RESUMES_BELOW: Final = 0.8
"""The share of JOBS_MAX_QUEUE_DEPTH below which a queue that overflowed takes new jobs again."""
_QUIET_MS: Final = 1_000
"""How long nothing was spilled by then: of jobs that were refused at once, the last may not be in the table yet."""
_NO_ROOM_S: Final = 0.1
_DATABASE_AWAY_S: Final = 5.0


class Relay(Periodic):
    """Looks into the table when a commit rings, and now and then.

    Concurrency: one for each worker, whose `name` it has. `queues` are those in which an overflow may have been left by
    a relay that died.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        queue_named: Callable[[str], Queue],
        queues: Sequence[str],
        name: str,
    ) -> None:
        super().__init__()
        self._database = database
        self._settings = settings
        self._queue_named = queue_named
        self._queues = queues
        self._lease = Lease(queue_named(settings.jobs_queue), name)
        self._at_work = AsyncExitStack()
        self._alarm: Alarm | None = None
        self._known: set[str] = set()
        """Queues whose markers were looked through since the lease is ours."""
        self._overflowing: set[str] = set()
        self._problem: str | None = None

    async def tick(self) -> float:
        stands_by_s = await self._lease.keep()
        if stands_by_s:
            await self._rest_from_work()
            return stands_by_s
        try:
            return await self._work()
        except DatabaseUnavailable as error:
            await self._rest_from_work()
            self._say(str(error))
            return _DATABASE_AWAY_S

    async def stop(self) -> None:
        """Returns when it has stopped; another worker's relay goes on at once."""
        await super().stop()
        with suppress(RedisError):  # then they end by themselves
            for name in self._known:
                await steps.leave(self._queue_named(name), self._lease.token)
            await self._lease.leave()
        await self._rest_from_work()

    async def _work(self) -> float:
        alarm = self._alarm or await self._begin()
        queues = await reading.queues_with_rows(self._database, self._settings.jobs_prefix)
        self._say(None)
        moved = [await self._move_of(name) for name in queues]
        for name in self._overflowing.difference(queues):
            await self._end_overflow(self._queue_named(name))
        if not any(moved):
            await alarm.wait(_NO_ROOM_S if queues or self._overflowing else RENEW_S)
        return 0.0

    async def _move_of(self, name: str) -> int:
        """A name that no queue can have is that of rows which somebody has changed by hand."""
        try:
            queue = self._queue_named(name)
        except InvalidOption as error:
            rows = await self._next_rows(name, BATCH)
            await reading.settle(self._database, [], refused_all(rows, str(error)).refused)
            return len(rows)
        return await self._move(queue)

    async def _begin(self) -> Alarm:
        """What a relay that died has left is found out first."""
        with telling_unavailable(self._database.engine.url):
            self._alarm = await self._at_work.enter_async_context(alarm_of(self._database))
        for name in self._queues:
            await self._know(self._queue_named(name))
        return self._alarm

    async def _rest_from_work(self) -> None:
        self._alarm = None
        self._known.clear()
        self._overflowing.clear()
        await self._at_work.aclose()

    async def _know(self, queue: Queue) -> None:
        """Markers of rows that are deleted were left by a relay that died in between."""
        if queue.name in self._known:
            return
        if await queue.client.call("EXISTS", queue.keys.overflow()):
            self._overflowing.add(queue.name)
        marked = await steps.moved_rows(queue)
        if marked:
            there = await reading.still_there(self._database, marked)
            await steps.forget_moved(queue, [key for key in marked if key not in there])
        self._known.add(queue.name)

    async def _move(self, queue: Queue) -> int:
        """Move what there is room for, but no more than a batch; returns how many rows were dealt with.

        The lease is taken before the rows are read: what another relay has moved since then is not among them.
        """
        await self._know(queue)
        state = await steps.hold(queue, self._lease.token, LEASE_MS)
        if not state.is_held:
            return 0
        if state.spilled:
            self._overflowing.add(queue.name)
        room = BATCH
        if state.spilled or self._settings.has_overflow:
            room = min(room, self._settings.jobs_max_queue_depth - state.depth)
        if room <= 0:
            return 0
        rows = await self._next_rows(queue.name, room)
        return await self._settled(queue, await move(queue, rows, self._lease.token))

    async def _next_rows(self, queue: str, room: int) -> Sequence[Waiting]:
        return await reading.next_rows(self._database, self._settings.jobs_prefix, queue, room, datetime.now(UTC))

    async def _settled(self, queue: Queue, moved: Moved) -> int:
        """The rows first: a marker that is left over is found later, a row without one would be moved again."""
        await reading.settle(self._database, [row.id for row in moved.rows], moved.refused)
        await steps.forget_moved(queue, [row.key for row in moved.rows])
        if moved.trouble is not None:
            raise moved.trouble
        return len(moved.rows) + len(moved.refused)

    async def _end_overflow(self, queue: Queue) -> None:
        """The queue is looked at before the table: what is spilled from then on is counted, and keeps the flag."""
        state = await steps.hold(queue, self._lease.token, LEASE_MS)
        if not state.is_held:
            return
        if state.spilled:
            has_room = state.depth < _RESUMES_BELOW * self._settings.jobs_max_queue_depth
            if not has_room or state.spilled_ms < _QUIET_MS:
                return
            if await reading.has_rows(self._database, self._settings.jobs_prefix, queue.name):
                return
            if not await steps.end_overflow(queue, state.spilled):
                return
            _log.info("queue %s takes new jobs again: what was spilled to the outbox is moved", queue.name)
        self._overflowing.discard(queue.name)

    def _say(self, problem: str | None) -> None:
        """What keeps the relay from its work is said once, and that it is over."""
        if problem is not None and problem != self._problem:
            _log.error("the outbox is not looked after: %s", problem)
        if problem is None and self._problem is not None:
            _log.info("the outbox is looked after again")
        self._problem = problem
