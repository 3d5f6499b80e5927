"""Connection: one socket to Redis with many calls in flight and one write per turn of the event loop.

Answers come in the order of the calls, so a queue of futures is all the bookkeeping there is. It exists because the
worker's throughput is decided here; URLs and the questions to sentinels and cluster nodes are redis-py's.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple, TypeAlias, cast

import hiredis

from jobqueue.errors import ConnectionLost, RedisReplyError, RedisUnavailable

Argument: TypeAlias = str | bytes | int | float
Reply: TypeAlias = Any
"""What Redis answered: str, int, None, or a list of those. In a transaction's list an error is a RedisReplyError."""

MAX_IN_FLIGHT: Final = 1_000
"""Calls that one connection has unanswered at most; further callers wait for their turn."""

_MAX_UNSENT_BYTES = 1 << 20
"""Of one turn of the loop; what waits longer is the transport's to bound."""

_MAX_FED_BYTES = 1 << 20
"""To one reader; the next takes its place once its answers are handed out. A reader keeps as much memory as it has ever
held at once: hiredis frees it with the next answer, and often only after a kilobyte of them, which takes a connection
at rest nearly a minute.
"""

_WATCH_S = 0.5

_pack_command = cast(Callable[[tuple[Argument, ...]], bytes], hiredis.pack_command)  # its stub takes one argument only


class _Call(NamedTuple):
    """One call in flight: a command, or `size` commands whose answers are collected in `replies`."""

    answer: asyncio.Future[Any]
    deadline_s: float
    size: int = 1
    replies: list[Reply] | None = None


class _Turn(NamedTuple):
    """A caller that waits for room for its `size` bytes."""

    comes: asyncio.Future[None]
    size: int


class Connection(asyncio.Protocol):
    """One open connection.

    Concurrency: calls from one event loop only. A caller that is cancelled leaves its answer to be dropped; nobody
    else gets it.
    """

    def __init__(self, address: str, on_push: Callable[[Sequence[str]], None] | None = None) -> None:
        self.address = address
        self.client_id = 0
        self._loop = asyncio.get_running_loop()
        self._reader = _new_reader()
        self._fed_bytes = 0
        self._calls: deque[_Call] = deque()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._handing_out = False
        self._transport: asyncio.Transport | None = None
        self._takes_more = True
        self._queued: deque[_Turn] = deque()
        self._admitted = 0  # of those that were queued and have not sent yet
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
        return len(self._calls)

    @property
    def has_room(self) -> bool:
        """True where it is open and a call may leave at once, behind nobody who waits for room."""
        return self._may_send() and not self._queued and self.is_open

    async def room(self, size: int) -> None:
        """Wait for a turn to send one call of `size` bytes, which must follow at once; first come, first served.

        Raises: RedisUnavailable where the connection ends meanwhile; nothing was sent.
        """
        turn = _Turn(self._loop.create_future(), size)
        self._queued.append(turn)
        self._admit()
        try:
            await turn.comes
        except asyncio.CancelledError:
            if not turn.comes.cancelled():  # it had come; somebody else may go in its place
                self._take_back(turn)
                self._admit()
            raise
        self._take_back(turn)
        self._check_open()

    def send(self, packed: bytes, timeout_s: float) -> asyncio.Future[Reply]:
        """Send one packed command; the future gets its answer.

        The bytes leave with all others of this turn of the loop. If this call is the oldest unanswered one for
        `timeout_s`, the connection counts as dead. The future raises RedisReplyError or ConnectionLost.
        """
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._send(_Call(answer, self._loop.time() + timeout_s), packed)
        return answer

    def send_all(self, packed: Sequence[bytes], timeout_s: float) -> asyncio.Future[list[Reply]]:
        """Send many commands at once as one call.

        The future gets an answer for each: a RedisReplyError where Redis refused it, ConnectionLost where the
        connection ended before it was answered. Raises: ValueError for no command: the next call's answer would be
        taken for its own.
        """
        if not packed:
            raise ValueError("a batch has at least one command")
        answer: asyncio.Future[list[Reply]] = self._loop.create_future()
        self._send(_Call(answer, self._loop.time() + timeout_s, len(packed), []), b"".join(packed))
        self._flush()  # it is large enough to go alone, and its caller may have much to do before the next turn
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
        self._fed_bytes += len(data)
        if not self._handing_out:
            self._hand_out()

    def pause_writing(self) -> None:
        """Redis reads more slowly than we write."""
        self._takes_more = False

    def resume_writing(self) -> None:
        self._takes_more = True
        self._admit()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else "the server closed the connection")
        if not self._ended.done():
            self._ended.set_result(None)

    # Inside

    def _check_open(self) -> None:
        if not self.is_open:
            raise RedisUnavailable(self.address, self._lost_because or "the connection is closed")

    def _may_send(self) -> bool:
        in_flight = len(self._calls) + self._admitted
        return in_flight < MAX_IN_FLIGHT and self._takes_more and self._unsent_bytes < _MAX_UNSENT_BYTES

    def _admit(self) -> None:
        """Wake those that have waited longest for room, as many as there is room for; all, once there is no point."""
        while self._queued and (self._may_send() or not self.is_open):
            turn = self._queued.popleft()
            if not turn.comes.done():
                self._admitted += 1
                self._unsent_bytes += turn.size
                turn.comes.set_result(None)

    def _take_back(self, turn: _Turn) -> None:
        """The room that was kept for a turn."""
        self._admitted -= 1
        self._unsent_bytes -= turn.size

    def _send(self, call: _Call, packed: bytes) -> None:
        self._check_open()
        self._calls.append(call)
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(packed)
        self._unsent_bytes += len(packed)
        if self._watch is None:
            self._watch = self._loop.call_later(_WATCH_S, self._check_deadline)

    def _flush(self) -> None:
        if self._unsent and self._transport is not None and self._lost_because is None:
            self._transport.write(b"".join(self._unsent))
        self._unsent_bytes -= sum(map(len, self._unsent))
        self._unsent.clear()
        if self._queued:
            self._admit()

    def _hand_out(self) -> None:
        """Answer a quarter of the callers in this turn of the loop, and the others in the following ones.

        Their next calls then leave while Redis still executes those of the others. With all at once, Redis and we
        would wait for each other in turns.
        """
        self._handing_out = False
        callers = max(len(self._calls) // 4, 1)
        try:
            while callers:
                reply = self._reader.gets()
                if reply is False:
                    return
                callers -= self._deliver(reply)
                if self._fed_bytes > _MAX_FED_BYTES and not self._reader.has_data():
                    # Here and nowhere else: where `gets` has no answer, the reader may be in the middle of one.
                    self._reader, self._fed_bytes = _new_reader(), 0
        except hiredis.ProtocolError as error:
            self.abort(f"the answer is not Redis protocol: {error}")
            return
        if self._reader.has_data():
            self._handing_out = True
            self._loop.call_soon(self._hand_out)

    def _deliver(self, reply: Reply) -> bool:
        """True where a caller has got its answer with this."""
        if self._on_push is not None and isinstance(reply, list):
            push = cast(list[str], reply)
            if push and push[0] == "message":
                self._on_push(push)
                return False
        if not self._calls:
            self.abort("an answer came that nobody asked for")
            return False
        answer, _, size, replies = self._calls[0]
        if replies is not None:
            replies.append(reply)
            if len(replies) < size:
                return False
            reply = replies
        self._calls.popleft()
        if self._queued:
            self._admit()
        if answer.done():
            return True
        if isinstance(reply, RedisReplyError):
            answer.set_exception(reply)
        else:
            answer.set_result(reply)
        return True

    def _check_deadline(self) -> None:
        self._watch = None
        if not self._calls:
            return
        if self._calls[0].deadline_s < self._loop.time() and not self._handing_out:
            self.abort("no answer in time")
            return
        self._watch = self._loop.call_later(_WATCH_S, self._check_deadline)

    def _end(self, reason: str) -> None:
        while self._handing_out:  # what has come is its callers', however the connection ends
            self._hand_out()
        if self._lost_because is None:
            self._lost_because = reason
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._unsent.clear()
        calls, self._calls = self._calls, deque()
        for call in calls:
            self._give_up(call, ConnectionLost(self.address, self._lost_because))
        self._admit()

    def _give_up(self, call: _Call, lost: ConnectionLost) -> None:
        if call.answer.done():
            return
        if call.replies is None:
            call.answer.set_exception(lost)
        else:
            call.answer.set_result([*call.replies, *repeat(lost, call.size - len(call.replies))])


def _new_reader() -> hiredis.Reader:
    return hiredis.Reader(encoding="utf-8", errors="surrogateescape", replyError=RedisReplyError)


def pack(*args: Argument) -> bytes:
    """One command in Redis's protocol. Raises: ValueError where an argument cannot be encoded.

    What was read as bytes that are not UTF-8 is sent back as those bytes. Numbers are written out here: hiredis ends
    the process where that fails, as it does for the handler of a signal that raises (a second Ctrl-C).
    """
    args = tuple([arg if type(arg) is str or type(arg) is bytes else _written_out(arg) for arg in args])
    try:
        return _pack_command(args)
    except UnicodeEncodeError:
        return _pack_command(tuple(_as_bytes(arg) for arg in args))
    except TypeError as error:
        raise ValueError(f"{args[0]!r}: an argument cannot be sent to Redis: {error}") from error


def _written_out(arg: Argument) -> Argument:
    return repr(arg) if type(arg) is int or isinstance(arg, float) else arg


def _as_bytes(arg: Argument) -> Argument:
    return arg.encode(errors="surrogateescape") if isinstance(arg, str) else arg
