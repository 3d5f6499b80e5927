"""Stream: a queue's events, read once for all who listen in this process. While nobody does, nothing is read."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from jobqueue import wire
from jobqueue.background import Periodic
from jobqueue.errors import ClientClosed
from jobqueue.queue import Queue
from jobqueue.redis.client import Client
from jobqueue.redis.retry import until_answered

LINGER_S: Final = 10.0
"""How long a reader goes on after its last listener: the next one mostly comes soon."""

_BLOCK_S = 5.0
_AT_ONCE = 1_000
_TRIMMED_TO = 10_000
_CLOSED = "the app was closed, so nobody listens to its queues any more"

_log = logging.getLogger("jobqueue.stream")


class Position(NamedTuple):
    """An entry's id. Units: `at_ms` epoch milliseconds by Redis's clock; `sequence` counts within one."""

    at_ms: int
    sequence: int

    @classmethod
    def of(cls, entry_id: str) -> Position:
        at_ms, _, sequence = entry_id.partition("-")
        return cls(int(at_ms), int(sequence))

    def __str__(self) -> str:
        return f"{self.at_ms}-{self.sequence}"


START: Final = Position(0, 0)
"""Before the first event that a queue ever had."""


class StreamEvent(NamedTuple):
    """One event: BullMQ's (added, active, completed, …) or a custom one. `job_id` is empty where it is about no job.

    Shape: `fields` as they stand in the stream, under their names on the wire.
    """

    position: Position
    kind: str
    job_id: str
    fields: Mapping[str, str]


class Listener(ABC):
    """Who hears of the events of one queue. Concurrency: called by one reader, one call after the other."""

    @abstractmethod
    async def take(self, events: Sequence[StreamEvent]) -> None:
        """What happened, in order. Everybody's next events wait until this returns."""

    @abstractmethod
    async def resume(self, *, missed: bool) -> None:
        """The reading was interrupted and goes on; where `missed`, events in between may be lost."""

    @abstractmethod
    def end(self) -> None:
        """The app was closed; nothing more will come."""


class StreamReader(Periodic):
    """Reads one queue's stream for its listeners.

    It goes on from the last event that it saw, whatever happens to the connection, and says so where that event is no
    longer in the stream: then others may have been trimmed with it. It ends a while after the last listener has left.
    """

    def __init__(self, queue: Queue, client: Client, *, linger_s: float = LINGER_S) -> None:
        """`client` is the reader's own: it blocks."""
        super().__init__()
        self._queue = queue
        self._client = client
        self._linger_s = linger_s
        self._key = queue.keys.of("events")
        self._listeners: dict[Listener, None] = {}
        self._attaching = asyncio.Lock()
        self._position: Position | None = None
        self._doubt: Literal["cut", "missed"] | None = None
        """What the listeners must be told before the next events."""
        self._left_s = 0.0
        self._closed = False

    async def attach(self, listener: Listener) -> None:
        """When this returns, the listener gets every event that follows. It may also get some that were before.

        Waits while Redis is away. Twice is fine; where it raises, the listener must be detached. Raises: ClientClosed.
        """
        self._listeners[listener] = None
        async with self._attaching:
            if self._position is None:
                self._position = await until_answered(self.last)
        if self._closed:
            raise ClientClosed(_CLOSED)
        await self.start()

    def detach(self, listener: Listener) -> None:
        """Tell this listener nothing more; twice is fine."""
        self._listeners.pop(listener, None)
        self._left_s = time.monotonic()

    async def last(self) -> Position:
        """The position of the newest event."""
        newest = await self._queue.client.call("XREVRANGE", self._key, "+", "-", "COUNT", 1)
        return Position.of(newest[0][0]) if newest else START

    async def tick(self) -> float | None:
        """Wait for the next events and hand them out."""
        if not self._listeners and time.monotonic() - self._left_s > self._linger_s:
            self._position = self._doubt = None
            self._client.drop("nobody listens to the queue any more")
            return None
        if self._doubt is not None:
            await self._resume(missed=self._doubt == "missed")
        self._doubt = "cut"
        after = self._position or START
        events, is_whole = await self._read(after)
        self._doubt = "missed"
        if not is_whole:
            await self._tell_missed(after)
        self._position = events[-1].position if events else after if is_whole else await self._anew(after)
        for listener in tuple(self._listeners):
            await listener.take(events)
        self._doubt = None
        return 0

    async def stop(self) -> None:
        self._closed = True
        await super().stop()
        for listener in tuple(self._listeners):
            listener.end()
        await self._client.close()

    async def _tell_missed(self, after: Position) -> None:
        name = self._queue.name
        _log.warning("queue %s: events after %s may have been trimmed before they were read", name, after)
        await self._resume(missed=True)

    async def _resume(self, *, missed: bool) -> None:
        await asyncio.gather(*(listener.resume(missed=missed) for listener in tuple(self._listeners)))

    async def _anew(self, after: Position) -> Position:
        """Where to go on when the last event that was seen is gone and none follows: a new stream may count lower."""
        return after if await self.last() >= after else START

    async def _read(self, after: Position) -> tuple[Sequence[StreamEvent], bool]:
        """The events after a position, and whether they are all that there were.

        Redis trims the oldest first: where the event at the position is still there after the reading, none that
        follows it can be gone. Both commands leave in one write.
        """
        limit_s = _BLOCK_S * 2
        block = ("XREAD", "COUNT", _AT_ONCE, "BLOCK", int(_BLOCK_S * 1000), "STREAMS", self._key, str(after))
        kept = ("XRANGE", self._key, str(after), str(after))
        reply, found = await asyncio.gather(
            self._client.call(*block, timeout_s=limit_s), self._client.call(*kept, timeout_s=limit_s)
        )
        events = [_decode(entry_id, flat) for _, entries in reply or () for entry_id, flat in entries]
        if after == START:
            return events, not events or await self._is_untrimmed()
        return events, bool(found)

    async def _is_untrimmed(self) -> bool:
        """Whether the stream has all its events. Redis counts them since 7.0; before, a short one counts as whole."""
        flat: list[Any] = await self._client.call("XINFO", "STREAM", self._key)
        about = dict(zip(flat[::2], flat[1::2], strict=True))
        length: int = about["length"]
        return length == about.get("entries-added", length if length < _TRIMMED_TO else None)


def _decode(entry_id: str, flat: Sequence[str]) -> StreamEvent:
    fields = wire.pairs(flat)
    return StreamEvent(Position.of(entry_id), fields.get("event", ""), fields.get("jobId", ""), fields)


class EventStreams:
    """The readers of an app: one, with one connection, for each queue that somebody listens to."""

    def __init__(self, queue_named: Callable[[str], Queue], new_client: Callable[[], Client]) -> None:
        self._queue_named = queue_named
        self._new_client = new_client
        self._readers: dict[str, StreamReader] = {}
        self._closed = False

    def of(self, queue: str) -> StreamReader:
        """Raises: ClientClosed."""
        if self._closed:
            raise ClientClosed(_CLOSED)
        if queue not in self._readers:
            self._readers[queue] = StreamReader(self._queue_named(queue), self._new_client())
        return self._readers[queue]

    async def close(self) -> None:
        """End all listening; twice is fine."""
        self._closed = True
        await asyncio.gather(*(reader.stop() for reader in self._readers.values()))
        self._readers.clear()
