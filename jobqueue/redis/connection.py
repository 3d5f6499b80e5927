"""Connection: one socket to Redis with many calls in flight and one write per turn of the event loop.

Answers come in the order of the calls, so a queue of futures is all the bookkeeping there is. It exists because the
worker's throughput is decided here; URLs, TLS options and the renewer's thread are redis-py's.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import hiredis

from jobqueue.errors import ConnectionLost, RedisReplyError, RedisUnavailable
from jobqueue.redis.url import Endpoint

Argument: TypeAlias = str | bytes | int | float
Reply: TypeAlias = Any
"""What Redis answered: str, int, None, or a list of those. In a transaction's list an error is a RedisReplyError."""

_WATCH_S = 0.5

_pack_command = cast(Callable[[tuple[Argument, ...]], bytes], hiredis.pack_command)  # its stub takes one argument only


class Connection(asyncio.Protocol):
    """One open connection.

    Concurrency: calls from one event loop only. A caller that is cancelled leaves its answer to be dropped; nobody
    else gets it.
    """

    def __init__(self, address: str, on_push: Callable[[Sequence[str]], None] | None = None) -> None:
        self.address = address
        self.client_id = 0
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape", replyError=RedisReplyError)
        self._waiting: deque[tuple[asyncio.Future[Reply], float]] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._on_push = on_push
        self._lost_because: str | None = None
        self._ended = self._loop.create_future()

    @property
    def is_open(self) -> bool:
        return self._transport is not None and self._lost_because is None

    @property
    def in_flight(self) -> int:
        """Calls that have not been answered."""
        return len(self._waiting)

    def send(self, packed: bytes, timeout_s: float) -> asyncio.Future[Reply]:
        """Queue one packed command; the future gets its answer.

        The bytes leave with all others of this turn of the loop. If this call is the oldest unanswered one for
        `timeout_s`, the connection counts as dead. The future raises RedisReplyError or ConnectionLost.
        """
        if not self.is_open:
            raise RedisUnavailable(self.address, self._lost_because or "the connection is closed")
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting.append((answer, self._loop.time() + timeout_s))
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        if self._watch is None:
            self._watch = self._loop.call_later(_WATCH_S, self._check_deadline)
        return answer

    async def close(self) -> None:
        """Send what is queued, close, and wait until the socket is closed."""
        if self._transport is not None:
            self._flush()
            self._transport.close()
            await asyncio.shield(self._ended)

    async def lost(self, within_s: float) -> bool:
        """Wait for the connection's end, but not longer; True where it has ended."""
        await asyncio.wait({self._ended}, timeout=within_s)
        return self._ended.done()

    def abort(self, reason: str) -> None:
        """Drop the connection at once; every waiting call fails with ConnectionLost."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._deliver(reply)
        except hiredis.ProtocolError as error:
            self.abort(f"the answer is not Redis protocol: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else "the server closed the connection")
        if not self._ended.done():
            self._ended.set_result(None)

    # Inside

    def _flush(self) -> None:
        if self._unsent and self._transport is not None and self._lost_because is None:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def _deliver(self, reply: Reply) -> None:
        if self._on_push is not None and isinstance(reply, list):
            push = cast(list[str], reply)
            if push[0] == "message":
                self._on_push(push)
                return
        if not self._waiting:
            self.abort("an answer came that nobody asked for")
            return
        answer, _ = self._waiting.popleft()
        if answer.done():
            return
        if isinstance(reply, RedisReplyError):
            answer.set_exception(reply)
        else:
            answer.set_result(reply)

    def _check_deadline(self) -> None:
        self._watch = None
        if not self._waiting:
            return
        if self._waiting[0][1] < self._loop.time():
            self.abort("no answer in time")
            return
        self._watch = self._loop.call_later(_WATCH_S, self._check_deadline)

    def _end(self, reason: str) -> None:
        if self._lost_because is None:
            self._lost_because = reason
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._unsent.clear()
        waiting, self._waiting = self._waiting, deque()
        for answer, _ in waiting:
            if not answer.done():
                answer.set_exception(ConnectionLost(self.address, self._lost_because))


def pack(*args: Argument) -> bytes:
    """One command in Redis's protocol. Raises: ValueError where an argument cannot be encoded.

    What was read as bytes that are not UTF-8 is sent back as those bytes.
    """
    try:
        return _pack_command(args)
    except UnicodeEncodeError:
        return _pack_command(tuple(_as_bytes(arg) for arg in args))
    except TypeError as error:
        raise ValueError(f"{args[0]!r}: an argument cannot be sent to Redis: {error}") from error


def _as_bytes(arg: Argument) -> Argument:
    return arg.encode(errors="surrogateescape") if isinstance(arg, str) else arg


async def open_connection(
    endpoint: Endpoint,
    *,
    name: str | None,
    timeout_s: float,
    on_push: Callable[[Sequence[str]], None] | None = None,
) -> Connection:
    """Connect, authenticate, select the database and give the connection its name.

    Raises: RedisUnavailable, naming the address and the reason.
    """
    try:
        async with asyncio.timeout(timeout_s):
            connection = await _connect(endpoint, on_push)
            await _introduce(connection, endpoint, name, timeout_s)
            return connection
    except TimeoutError:
        raise RedisUnavailable(endpoint.address, f"no connection within {timeout_s:g} s") from None
    except OSError as error:
        raise RedisUnavailable(endpoint.address, error.strerror or str(error)) from error


async def _connect(endpoint: Endpoint, on_push: Callable[[Sequence[str]], None] | None) -> Connection:
    loop = asyncio.get_running_loop()

    def make() -> Connection:
        return Connection(endpoint.address, on_push)

    if endpoint.path is not None:
        _, connection = await loop.create_unix_connection(make, endpoint.path)
    else:
        ssl = endpoint.ssl_context()
        server_hostname = endpoint.host if ssl is not None else None
        _, connection = await loop.create_connection(
            make, endpoint.host, endpoint.port, ssl=ssl, server_hostname=server_hostname
        )
    return connection


async def _introduce(connection: Connection, endpoint: Endpoint, name: str | None, timeout_s: float) -> None:
    commands: list[tuple[Argument, ...]] = []
    if endpoint.password is not None:
        user = (endpoint.username,) if endpoint.username else ()
        commands.append(("AUTH", *user, endpoint.password))
    if endpoint.db:
        commands.append(("SELECT", endpoint.db))
    if name:
        commands.append(("CLIENT", "SETNAME", name))
    commands.append(("CLIENT", "ID"))
    answers = [connection.send(pack(*command), timeout_s) for command in commands]
    try:
        connection.client_id = (await asyncio.gather(*answers))[-1]
    except (RedisReplyError, ConnectionLost) as error:
        connection.abort("the server refused the introduction")
        await asyncio.gather(*answers, return_exceptions=True)
        reason = error.reason if isinstance(error, ConnectionLost) else str(error)
        raise RedisUnavailable(endpoint.address, reason) from error
    except asyncio.CancelledError:
        connection.abort("connecting was given up")
        raise
