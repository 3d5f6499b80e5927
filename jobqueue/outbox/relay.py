"""Relay: moves the rows of the outbox to Redis, in order, each once. Every worker has one; one of them is at work."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Final

from jobqueue.background import FAREWELL_S, Periodic
from jobqueue.database import Database, telling_unavailable
from jobqueue.errors import DatabaseUnavailable, InvalidOption, RedisError
from jobqueue.outbox import overflow, reading, steps
from jobqueue.outbox.lease import RENEW_S, Lease
from jobqueue.outbox.moving import Moved, move, refused_all
from jobqueue.outbox.rows import Waiting
from jobqueue.outbox.waking import Alarm, alarm_of
from jobqueue.queue import Queue
from jobqueue.redis.retry import is_passing
from jobqueue.settings import Settings

_log = logging.getLogger("jobqueue.outbox")

BATCH: Final = 500
_NO_ROOM_S: Final = 0.1
_DATABASE_AWAY_S: Final = 5.0
_STUCK_S: Final = 15.0
"""No turn takes so long, unless a connection to the database has gone silent."""
_FLAGS_S: Final = 5.0


class Relay(Periodic):
    """Looks into the table when a commit rings, and now and then.

    Concurrency: one for each worker, whose `name` it has. `queues` are those in which an overflow may have been left by
    a relay or a producer that died.
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
        self._holds = itertools.count(1)
        self._at_work = AsyncExitStack()
        self._alarm: Alarm | None = None
        self._known: set[str] = set()
        """Queues whose markers were looked through since the lease is ours."""
        self._overflowing: set[str] = set()
        self._looks_at_flags_s = 0.0
        self._problems: dict[str, str] = {}

    async def tick(self) -> float:
        stands_by_s = await self._lease.keep()
        if stands_by_s:
            await self._rest_from_work()
            return stands_by_s
        try:
            return await self._work()
        except DatabaseUnavailable as error:
            await self._rest_from_work()
            self._say("", str(error))
            return _DATABASE_AWAY_S
        except ConnectionError:  # nobody rings any more
            await self._rest_from_work()
            return 0.0

    async def stop(self) -> None:
        """Returns when it has stopped. Another relay goes on at once; where Redis is away, when the lease ends."""
        await super().stop()
        try:
            with suppress(RedisError, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._lease.leave()
        finally:
            await self._rest_from_work()

    async def _work(self) -> float:
        """One queue in trouble does not stop the others. Raises: what will pass, where nothing was moved."""
        alarm = self._alarm or await self._begin()
        with telling_unavailable(self._database.engine.url):
            async with asyncio.timeout(_STUCK_S):
                queues = await reading.queues_with_rows(self._database, self._settings.jobs_prefix)
                self._say("", None)
                await self._look_at_flags()
                turns = [await self._turn(name) for name in dict.fromkeys([*queues, *sorted(self._overflowing)])]
        if not any(isinstance(turn, int) and turn for turn in turns):
            for trouble in (turn for turn in turns if isinstance(turn, RedisError) and is_passing(turn)):
                raise trouble
            await alarm.wait(_NO_ROOM_S if queues or self._overflowing else RENEW_S)
        return 0.0

    async def _begin(self) -> Alarm:
        with telling_unavailable(self._database.engine.url):
            self._alarm = await self._at_work.enter_async_context(alarm_of(self._database))
        return self._alarm

    async def _rest_from_work(self) -> None:
        self._alarm = None
        self._looks_at_flags_s = 0.0
        self._known.clear()
        self._overflowing.clear()
        at_work, self._at_work = self._at_work, AsyncExitStack()
        await at_work.aclose()

    async def _look_at_flags(self) -> None:
        """A producer that died between its refusal and its row leaves a flag and nothing else; so does a relay."""
        if time.monotonic() < self._looks_at_flags_s:
            return
        self._looks_at_flags_s = time.monotonic() + _FLAGS_S
        for queue in map(self._queue_named, self._queues):
            try:
                if await queue.client.call("EXISTS", queue.keys.overflow()):
                    self._overflowing.add(queue.name)
                if queue.name not in self._known and await queue.client.call("EXISTS", queue.keys.outbox_moved()):
                    self._overflowing.add(queue.name)
            except RedisError as error:
                self._say(queue.name, str(error))

    async def _turn(self, name: str) -> int | RedisError:
        """Move rows of one queue; how many were dealt with, or what kept them from it."""
        try:
            queue = self._queue_named(name)
        except InvalidOption as error:  # somebody has changed rows by hand
            rows = await self._next_rows(name, BATCH)
            await reading.settle(self._database, [], refused_all(rows, str(error)).refused)
            return len(rows)
        try:
            moved = await self._move(queue)
        except RedisError as error:
            self._say(name, str(error))
            return error
        self._say(name, None)
        return moved

    async def _move(self, queue: Queue) -> int:
        """Move what there is room for, but no more than a batch.

        The queue is held before the rows are read: what another relay has moved by then is not among them, and what it
        sends after that is void.
        """
        held = f"{self._lease.token}.{next(self._holds)}"
        state = await steps.hold(queue, held)
        await self._know(queue, held)
        if state.overflows:
            self._overflowing.add(queue.name)
        room = BATCH
        if state.overflows or self._settings.has_overflow:
            room = min(room, self._settings.jobs_max_queue_depth - state.depth)
        rows: Sequence[Waiting] = await self._next_rows(queue.name, room) if room > 0 else ()
        moved = await self._settled(queue, held, await move(queue, rows, held))
        state = state._replace(depth=state.depth + moved)
        if len(rows) < room and await overflow.end(queue, self._database, self._settings, state) == "ended":
            self._overflowing.discard(queue.name)
        return moved

    async def _know(self, queue: Queue, held: str) -> None:
        """Markers of rows that are deleted were left by a relay that died in between."""
        if queue.name in self._known:
            return
        marked = await steps.moved_rows(queue)
        if marked:
            there = await reading.still_there(self._database, marked)
            if not await steps.forget_moved(queue, held, [key for key in marked if key not in there]):
                return
        self._known.add(queue.name)

    async def _next_rows(self, queue: str, room: int) -> Sequence[Waiting]:
        return await reading.next_rows(self._database, self._settings.jobs_prefix, queue, room, datetime.now(UTC))

    async def _settled(self, queue: Queue, held: str, moved: Moved) -> int:
        """The rows first: a marker that is left over is found later, a row without one would be moved again."""
        if moved.rows or moved.refused:
            await reading.settle(self._database, [row.id for row in moved.rows], moved.refused)
        if not await steps.forget_moved(queue, held, [row.key for row in moved.rows]):
            self._known.discard(queue.name)
        if moved.trouble is not None:
            raise moved.trouble
        return len(moved.rows) + len(moved.refused)

    def _say(self, where: str, problem: str | None) -> None:
        """What keeps the relay from its work, or from one queue, is said once, and that it is over."""
        said = self._problems.get(where)
        place = f" of queue {where}" if where else ""
        if problem is None:
            if self._problems.pop(where, None) is not None:
                _log.info("the outbox%s is looked after again", place)
        elif problem != said:
            _log.error("the outbox%s is not looked after: %s", place, problem)
            self._problems[where] = problem
