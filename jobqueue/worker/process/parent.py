"""Parent: the worker's side of one child: its process, and the line to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from typing import Final, Protocol, Self, cast

from jobqueue.worker.process.wire import FromChild, Lines, ToChild, decode_from_child, encode

_END_S: Final = 2.0
"""What a child gets to end once its line has ended, before it is killed."""
_LAST_WORDS_S: Final = 0.2
"""How long to wait for the end of the line of a process that is gone: one that it left behind may hold it open."""

_PROGRAM: Final = "import sys; sys.path[:] = {path!r}; from jobqueue.worker.process.child import main; main({line_fd})"


class Ears(Protocol):
    """Whoever listens to a child while it runs a job."""

    def hear(self, message: FromChild) -> None: ...

    def mourn(self, ending: str) -> None:
        """The child is gone, and has not said how the job ended."""
        ...


class ChildProcess:
    """One child. It runs one job at a time, and whoever runs it listens.

    It has a session of its own: a terminal's Ctrl-C does not reach it, and what its handler started is killed with it.
    """

    def __init__(self, line_bytes: int, on_gone: Callable[[ChildProcess], None]) -> None:
        self.ears: Ears | None = None
        self.was_killed = False
        self.is_retired = False
        """True where it may run no further job."""
        self._on_gone = on_gone
        self._line = _Line(line_bytes, self._hear, self._break_off)
        self._fault: str | None = None
        self._process: Process | None = None
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, line_bytes: int, on_gone: Callable[[ChildProcess], None]) -> Self:
        """A fresh interpreter, not a fork: a fork would inherit the threads' locks and the connections of the worker.

        It can be talked to at once; what is said waits for it. Raises: OSError where the machine has no room for it.
        Concurrency: on the loop's own thread, since Linux ends a child with the *thread* that started it.
        """
        loop, child = asyncio.get_running_loop(), cls(line_bytes, on_gone)
        ours, theirs = socket.socketpair()
        try:
            program = _PROGRAM.format(path=list(map(str, sys.path)), line_fd=theirs.fileno())
            child._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", program), stdin=DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True
            )
            ours.setblocking(False)
            await loop.create_unix_connection(lambda: child._line, sock=ours)
        except BaseException:
            ours.close()  # which is the end of a child that was started
            raise
        finally:
            theirs.close()
        child._watching = loop.create_task(child._watch(child._process))
        return child

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def is_usable(self) -> bool:
        return not (self.is_retired or self.was_killed or self._line.has_ended.is_set())

    def send(self, message: ToChild) -> None:
        """Where it is gone, whoever listens is told so anyway."""
        self._line.send(encode(message))

    def kill(self) -> None:
        """Without a chance to do anything more, and all that it started with it. Twice is fine."""
        self.was_killed = True
        if self._process is not None and self._process.returncode is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return  # it has just ended

    async def end(self) -> None:
        """Let go of it, and wait until it is gone. Twice is fine."""
        self._line.close()
        if self._watching is not None:
            await asyncio.shield(self._watching)

    def _hear(self, message: FromChild) -> None:
        if self.ears is not None:
            self.ears.hear(message)

    def _break_off(self, fault: str) -> None:
        self._fault = fault
        self.kill()

    async def _watch(self, process: Process) -> None:
        """Until the process is gone, by itself or because its line has ended."""
        gone = asyncio.ensure_future(process.wait())
        line_ended = asyncio.ensure_future(self._line.has_ended.wait())
        await asyncio.wait({gone, line_ended}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({gone}, timeout=_END_S)
        if not gone.done():
            self._break_off("let go of the line to its worker")
        status = await gone
        await asyncio.wait({line_ended}, timeout=_LAST_WORDS_S)
        line_ended.cancel()
        self._line.close()
        self._on_gone(self)
        if self.ears is not None:
            self.ears.mourn(self._fault or ending_of(status))


class _Line(asyncio.Protocol):
    """Our end of the socket."""

    def __init__(
        self, line_bytes: int, on_message: Callable[[FromChild], None], on_fault: Callable[[str], None]
    ) -> None:
        self.has_ended = asyncio.Event()
        self._line_bytes = line_bytes
        self._on_message = on_message
        self._on_fault = on_fault
        self._lines = Lines()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        lines = self._lines.feed(data)
        if self._lines.pending_bytes > self._line_bytes:
            self._refuse(f"sent a message of more than {self._line_bytes} bytes")
            return
        for line in lines:
            try:
                message = decode_from_child(line)
            except (ValueError, TypeError, LookupError):
                self._refuse(f"sent {len(line)} bytes that are no message")
                return
            self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.has_ended.set()

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _refuse(self, fault: str) -> None:
        self._lines = Lines()
        self._on_fault(fault)


def ending_of(status: int) -> str:
    """An exit status in words: "ended with exit status 3", "was killed by SIGSEGV"."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"  # a real-time signal has no name
