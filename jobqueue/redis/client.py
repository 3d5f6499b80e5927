"""Client: a connection that is opened when it is needed and again when it was lost.

It never repeats a call that may have been executed: whether that is safe is the caller's to know. Two errors tell
him: RedisUnavailable (nothing was executed) and its subclass ConnectionLost (it may have been). Only what a node of a
cluster refused with MOVED is asked again, of the node that it named. A server that says that it is not the right one
is left, and the next call asks where the right one is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from jobqueue.errors import ClientClosed, ConnectionLost, JobqueueError, RedisError, RedisReplyError, RedisUnavailable
from jobqueue.redis.connection import Argument, Connection, Reply, pack
from jobqueue.redis.locating import Locator, OneServer
from jobqueue.redis.opening import open_connection
from jobqueue.redis.url import Endpoint
from jobqueue.scripts import Script

Call: TypeAlias = tuple[Script, Sequence[str], Sequence[Argument]]
"""A script with its keys and arguments."""

PushListener: TypeAlias = Callable[[Sequence[str]], None]
"""Takes what Redis sends without being asked: ("message", channel, text)."""


_log = logging.getLogger("jobqueue.redis")

_MOVES = 5
_NOT_HERE = frozenset({"MOVED", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "UNBLOCKED"})
"""What a server answers that is not the one to ask, or no longer. It has executed nothing."""
_ALWAYS_MOVED = f"{_MOVES} nodes in turn say that another one has the keys"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Units: seconds. `connect_s` for opening, `call_s` for the oldest unanswered call."""

    connect_s: float = 1.0
    call_s: float = 5.0


class Client:
    """Calls to one Redis server over one connection; `place` says where it is.

    Concurrency: any number of callers on one event loop; calls of one turn of the loop leave in one write.
    """

    def __init__(
        self,
        place: Locator | Endpoint,
        *,
        name: str | None = None,
        timeouts: Timeouts | None = None,
        on_push: PushListener | None = None,
    ) -> None:
        self._locator = OneServer(place) if isinstance(place, Endpoint) else place
        self._name = name
        self._timeouts = timeouts or Timeouts()
        self._on_push = on_push
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._loading: dict[str, asyncio.Future[Reply]] = {}
        self._told = ""
        self._beside: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def address(self) -> str:
        return self._locator.address

    async def call(self, *args: Argument, timeout_s: float | None = None) -> Reply:
        """One command. `timeout_s` must outlast a command that blocks.

        Raises: RedisUnavailable, ConnectionLost, RedisReplyError, ClientClosed; ValueError for an argument that
        cannot be sent.
        """
        return await self._send(pack(*args), timeout_s or self._timeouts.call_s)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Reply:
        """One script, by its hash; loaded first where the server does not know it. Raises: as `call`."""
        evalsha = pack("EVALSHA", script.sha, len(keys), *keys, *args)
        try:
            return await self._send(evalsha, self._timeouts.call_s)
        except RedisReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        await self._load(script)
        try:
            return await self._send(evalsha, self._timeouts.call_s)
        except RedisReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        return await self.call("EVAL", script.text, len(keys), *keys, *args)  # flushed again in between

    async def _send(self, packed: bytes, timeout_s: float) -> Reply:
        """One packed command; sent again only where a node says that another has it to execute."""
        for _ in range(_MOVES):
            connection = self._at_once() or await self._with_room(len(packed))
            try:
                return await connection.send(packed, timeout_s)
            except RedisReplyError as error:
                if not self._is_moved(error, connection):
                    raise
        raise RedisUnavailable(self.address, _ALWAYS_MOVED)

    async def run_all(self, calls: Sequence[Call]) -> list[Reply]:
        """Many scripts in one round trip: for each its answer, or the error that Redis or a lost connection gave it.

        The scripts' texts travel ahead of the calls. Raises: RedisUnavailable, where nothing was sent; ClientClosed;
        ValueError for an argument that cannot be sent.
        """
        replies: list[Reply] = [None] * len(calls)
        waiting: Sequence[int] = range(len(calls))
        for _ in range(_MOVES):
            if not waiting:
                return replies
            try:
                answers = await self._send_all([calls[place] for place in waiting])
            except JobqueueError as error:
                if len(waiting) == len(calls):
                    raise
                answers = [error] * len(waiting)
            for place, answer in zip(waiting, answers, strict=True):
                replies[place] = answer
            waiting = [place for place in waiting if isinstance(replies[place], _NotExecuted)]
        for place in waiting:
            replies[place] = await self._answer_or_error(calls[place])
        return replies

    async def _send_all(self, calls: Sequence[Call]) -> list[Reply]:
        """One answer for each call; _NotExecuted where it may be sent again at once."""
        texts = [pack("SCRIPT", "LOAD", script.text) for script in {script: None for script, _, _ in calls}]
        packed = [pack("EVALSHA", script.sha, len(keys), *keys, *args) for script, keys, args in calls]
        connection = self._at_once() or await self._with_room(sum(map(len, packed)))
        answers = await connection.send_all([*texts, *packed], self._timeouts.call_s)
        return [self._judged(answer, connection) for answer in answers[len(texts) :]]

    def _judged(self, answer: Reply, connection: Connection) -> Reply:
        """What a node refused because the slot is another's now, or because the scripts were flushed just then."""
        if not isinstance(answer, RedisReplyError):
            return answer
        return _NotExecuted() if answer.code == "NOSCRIPT" or self._is_moved(answer, connection) else answer

    async def _answer_or_error(self, call: Call) -> Reply:
        try:
            return await self.run(*call)
        except JobqueueError as error:
            return error

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

    @property
    def is_ready(self) -> bool:
        """True where a call would leave at once."""
        return self._at_once() is not None

    def _at_once(self) -> Connection | None:
        connection = self._connection
        return connection if connection is not None and connection.has_room else None

    async def _with_room(self, size: int) -> Connection:
        """The open connection, when it is this caller's turn to send `size` bytes."""
        while True:
            connection = await self.connect()
            if connection.has_room:
                return connection
            try:
                await connection.room(size)
            except RedisUnavailable:
                if connection is self._connection:
                    raise
            if connection is self._connection:  # else it was left meanwhile, and nothing more is sent there
                return connection

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
        ending: list[asyncio.Task[Any]] = [*self._beside]
        if self._opening is not None:
            ending.append(self._opening)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    def drop(self, reason: str) -> None:
        """Drop the connection at once; the next call opens a new one."""
        if self._connection is not None:
            self._connection.abort(reason)

    async def _open(self) -> Connection:
        """Where `close` cancels this, the callers that share it were not cancelled themselves."""
        told, self._told = self._told, ""
        try:
            endpoint = await self._locator.locate(self._timeouts.connect_s, told)
            self._connection = await open_connection(
                endpoint, name=self._name, timeout_s=self._timeouts.connect_s, on_push=self._on_push
            )
            if self._locator.recheck_s is not None:
                self._run_beside(self._follow(self._connection, endpoint, self._locator.recheck_s))
            return self._connection
        except asyncio.CancelledError:
            if self._closed:
                raise ClientClosed from None
            raise
        finally:
            self._opening = None

    def _is_moved(self, answer: RedisReplyError, connection: Connection) -> bool:
        """True where the same call is to be made again. No more calls are made to a server that is not the right one;
        those in flight there get their answers, and each is its caller's to judge."""
        code = answer.code
        if code in _NOT_HERE and connection is self._connection:
            self._connection = None
            self._told = str(answer).rpartition(" ")[2] if code == "MOVED" else ""
            self._run_beside(self._see_off(connection))
        return code == "MOVED"

    async def _see_off(self, connection: Connection) -> None:
        """Close it when all calls in flight are answered: their answers come before this one's."""
        try:
            await connection.send(pack("PING"), self._timeouts.call_s)
        except RedisError as error:
            _log.debug("a connection ended while it was left: %s", error)
        finally:
            await connection.close()

    async def _follow(self, connection: Connection, endpoint: Endpoint, recheck_s: float) -> None:
        """Drop the connection once another server has taken the place of its server."""
        while not await connection.lost(recheck_s):
            if await self._locator.has_left(endpoint):
                connection.abort("another server has taken its place")

    def _run_beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)


class _NotExecuted:
    """In the place of an answer: the call was refused before it did anything."""


def _mark_as_seen(task: asyncio.Future[Any]) -> None:
    """Where every caller has given up, nobody else would look at the error."""
    if not task.cancelled():
        task.exception()
