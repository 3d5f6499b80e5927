"""Hearing: where the open pages have their news from, a queue's events and a look at Redis each second."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from board.watch import Watch
from jobqueue.app import App
from jobqueue.background import Periodic
from jobqueue.clock import now_ms
from jobqueue.errors import ClientClosed, RedisReplyError
from jobqueue.redis.retry import is_passing, until_answered
from jobqueue.stream import Listener, StreamEvent

PULSE_S: Final = 1.0
_WHILE_LOADING_MS = 10_000


class Ear(Listener):
    """Hears one queue for one watch."""

    def __init__(self, app: App, queue: str, watch: Watch) -> None:
        """Raises: ClientClosed."""
        self._reader = app.streams.of(queue)
        self._queue = queue
        self._watch = watch

    async def listen(self) -> None:
        """What happened while the page was being loaded counts, as it may show it or not. Raises: ClientClosed."""
        await self._reader.attach(self)
        newest = await until_answered(self._reader.last)
        if newest.at_ms > now_ms() - _WHILE_LOADING_MS:
            self._watch.hear(self._queue)

    def leave(self) -> None:
        """Twice is fine, and before it listens, too."""
        self._reader.detach(self)

    async def take(self, events: Sequence[StreamEvent]) -> None:
        if events:
            self._watch.hear(self._queue, [event.job_id for event in events])

    async def resume(self, *, missed: bool) -> None:
        self._watch.doubt(self._queue)

    def end(self) -> None:
        self._watch.end()


class Pulse(Periodic):
    """Asks Redis once a second, while somebody watches: is it there, and have the logs that he reads grown?"""

    def __init__(self, app: App, watches: Mapping[Watch, None]) -> None:
        super().__init__()
        self._app = app
        self._watches = watches

    async def tick(self) -> float | None:
        watches = tuple(self._watches)
        if not watches:
            return None
        try:
            await asyncio.gather(self._app.client.call("PING"), *map(self._look, watches))
        except ClientClosed:
            for watch in watches:
                watch.end()
            return None
        except Exception as error:
            if not is_passing(error):
                raise
            self._tell(away=True)
        else:
            self._tell(away=False)
        return PULSE_S

    def _tell(self, *, away: bool) -> None:
        for watch in self._watches:
            watch.redis_is(away=away)

    async def _look(self, watch: Watch) -> None:
        """Tell of new log lines, of which there are no events. The last one tells where the oldest are dropped."""
        if watch.job_id is None or not watch.queues:
            return
        client, [queue] = self._app.client, watch.queues
        keys = self._app.queue(queue).keys
        try:
            times, lines, last = await asyncio.gather(
                client.call("HMGET", keys.job(watch.job_id), "processedOn", "finishedOn"),
                client.call("LLEN", keys.job_logs(watch.job_id)),
                client.call("LINDEX", keys.job_logs(watch.job_id), -1),
            )
        except RedisReplyError as error:
            if is_passing(error):
                raise
            return  # a foreign tool wrote something else there: it is no job
        is_running = times[0] is not None and times[1] is None
        if is_running and watch.log != (lines, last):
            watch.log = (lines, last)
            watch.hear(queue, [watch.job_id])
