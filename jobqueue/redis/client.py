"""Client: a connection that is opened when it is needed and again when it was lost.

It never repeats a call by itself: whether that is safe is the caller's to know. Two errors tell him: RedisUnavailable
(nothing was sent) and its subclass ConnectionLost (it may have been executed).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from jobqueue.errors import ClientClosed, ConnectionLost, RedisReplyError, RedisUnavailable
from jobqueue.redis.connection import Argument, Connection, Reply, open_connection, pack
from jobqueue.redis.url import Endpoint
from jobqueue.scripts import Script

PushListener: TypeAlias = Callable[[Sequence[str]], None]
"""Takes what Redis sends without being asked: ("message", channel, text)."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Units: seconds. `connect_s` for opening, `call_s` for the oldest unanswered call."""

    connect_s: float = 1.0
    call_s: float = 5.0


class Client:
    """Calls to one Redis server over one connection.

    Concurrency: any number of callers on one event loop; calls of one turn of the loop leave in one write.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        name: str | None = None,
        timeouts: Timeouts | None = None,
        on_push: PushListener | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._name = name
        self._timeouts = timeouts or Timeouts()
        self._on_push = on_push
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._loading: dict[str, asyncio.Future[Reply]] = {}
        self._closed = False

    @property
    def address(self) -> str:
        return self.endpoint.address

    async def call(self, *args: Argument, timeout_s: float | None = None) -> Reply:
        """One command. `timeout_s` must outlast a command that blocks.

        Raises: RedisUnavailable, ConnectionLost, RedisReplyError, ClientClosed; ValueError for an argument that
        cannot be sent.
        """
        packed = pack(*args)
        connection = self._connection
        if connection is None or not connection.is_open:
            connection = await self.connect()
        return await connection.send(packed, timeout_s or self._timeouts.call_s)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Reply:
        """One script, by its hash; loaded first where the server does not know it. Raises: as `call`."""
        evalsha = ("EVALSHA", script.sha, len(keys), *keys, *args)
        try:
            return await self.call(*evalsha)
        except RedisReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        await self._load(script)
        try:
            return await self.call(*evalsha)
        except RedisReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        return await self.call("EVAL", script.text, len(keys), *keys, *args)  # flushed again in between

    async def _load(self, script: Script) -> None:
        """Callers that find the script missing at the same time share one load. Nothing of theirs was executed yet,
        so a lost answer is no reason for doubt."""
        loading = self._loading.get(script.sha)
        if loading is None:
            loading = asyncio.ensure_future(self.call("SCRIPT", "LOAD", script.text))
            loading.add_done_callback(_mark_as_seen)
            loading.add_done_callback(lambda _: self._loading.pop(script.sha, None))
            self._loading[script.sha] = loading
        try:
            await asyncio.shield(loading)
        except ConnectionLost as error:
            raise RedisUnavailable(self.address, error.reason) from error

    async def connect(self) -> Connection:
        """The open connection; callers that come while it is being opened share the attempt.

        Raises: RedisUnavailable; ClientClosed.
        """
        if self._closed:
            raise ClientClosed
        if self._connection is not None and self._connection.is_open:
            return self._connection
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
            self._opening.add_done_callback(_mark_as_seen)
        return await asyncio.shield(self._opening)

    async def close(self) -> None:
        """Close the connection; twice is fine. Callers that still wait for one get ClientClosed."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    def drop(self, reason: str) -> None:
        """Drop the connection at once; the next call opens a new one."""
        if self._connection is not None:
            self._connection.abort(reason)

    async def _open(self) -> Connection:
        """Where `close` cancels this, the callers that share it were not cancelled themselves."""
        try:
            self._connection = await open_connection(
                self.endpoint, name=self._name, timeout_s=self._timeouts.connect_s, on_push=self._on_push
            )
            return self._connection
        except asyncio.CancelledError:
            if self._closed:
                raise ClientClosed from None
            raise
        finally:
            self._opening = None


def _mark_as_seen(task: asyncio.Future[Any]) -> None:
    """Where every caller has given up, nobody else would look at the error."""
    if not task.cancelled():
        task.exception()
