"""Child: the program of a process that runs handlers for a worker, one job at a time, and ends with the worker."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Coroutine, Iterator
from queue import SimpleQueue
from types import FrameType
from typing import Any, Final

from jobqueue.worker.outcomes import Completed, Failed, Raised, Returned, encode_result
from jobqueue.worker.process.call import Call, ToTheWorker, current_call
from jobqueue.worker.process.failures import tell
from jobqueue.worker.process.location import load
from jobqueue.worker.process.wire import (
    CHUNK_BYTES,
    Failure,
    FromChild,
    Lines,
    Offspring,
    Order,
    Refused,
    Result,
    Stop,
    Stored,
    ToChild,
    Unfit,
    decode_to_child,
    encode,
)

_log = logging.getLogger("jobqueue.worker")

LAST_CALL_S: Final = 0.5
"""What an idle child gets to end in good order once its worker is gone or wants it no more."""

_PR_SET_PDEATHSIG: Final = 1


def main(line_fd: int) -> None:
    """Serve the worker at the other end of the line, until that ends."""
    os.set_inheritable(line_fd, False)
    _end_with_the_worker()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _only_the_worker_decides)
    logging.getLogger().addHandler(ToTheWorker())
    Serving(socket.socket(fileno=line_fd)).serve()
    gc.freeze()  # the process ends, and its worker waits for that: the interpreter's last collections take 0.2 s


def _end_with_the_worker() -> None:
    """On Linux the kernel sees to it, also where a handler lets no other thread of this process run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _only_the_worker_decides(number: int, frame: FrameType | None) -> None:
    """A signal to a whole group or service lets active jobs finish. Not SIG_IGN, which the handler's own children
    would inherit.
    """


class Serving:
    """Runs handlers in the main thread; another one listens to the worker meanwhile."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._pid = os.getpid()
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._call: Call | None = None
        self._is_fit = True

    def serve(self) -> None:
        """Run what is ordered; returns when no more will be."""
        threading.Thread(target=self._listen, name="the worker's line", daemon=True).start()
        with asyncio.Runner() as runner:
            while self._is_fit and (call := self._calls.get()) is not None:
                last = contextvars.copy_context().run(self._run, call, runner.get_loop())
                self._call = None
                call.end(last)

    # The thread that listens

    def _listen(self) -> None:
        try:
            for message in self._messages():
                self._take(message)
        except Exception:
            _log.exception("what the worker says cannot be read")
        finally:  # nobody is there to run for
            if self._call is None:
                self._calls.put(None)
                threading.Event().wait(LAST_CALL_S)
            os._exit(1)

    def _messages(self) -> Iterator[ToChild]:
        lines = Lines()
        while data := _received(self._line):
            yield from map(decode_to_child, lines.feed(data))

    def _take(self, message: ToChild) -> None:
        call = self._call  # the main thread may be done with it at any moment
        match message:
            case Order():
                self._call = Call(message, self._send)
                self._calls.put(self._call)
            case Stop() if call is not None:
                call.stop(message)
            case Stored() | Offspring() | Refused() if call is not None:
                call.asking.answer(message)
            case _:
                return  # it comes too late

    # The main thread

    def _send(self, message: FromChild) -> None:
        if os.getpid() != self._pid:
            os._exit(1)  # a handler has forked, and this is the other half: its words would be taken for the next job's
        try:
            self._line.sendall(encode(message))
        except OSError:
            os._exit(1)  # the worker is gone

    def _run(self, call: Call, loop: asyncio.AbstractEventLoop) -> FromChild:
        """The handler, from its import to its end."""
        current_call.set(call)
        logging.getLogger().setLevel(call.order.log_level)
        match self._ending_of(call, loop):
            case Raised(error):
                self._is_fit = self._is_fit and not isinstance(error, MemoryError)
                return Failure(tell(error), is_last=not self._is_fit)
            case Returned(value):
                match encode_result(value, call.order.limits.result_bytes):
                    case Completed(result_json):
                        return Result(result_json)
                    case Failed(reason):
                        return Unfit(reason)

    def _ending_of(self, call: Call, loop: asyncio.AbstractEventLoop) -> Returned | Raised:
        """It may be a failure but is never an exception: not SystemExit, which would end the process."""
        try:
            handler = load(call.order.location)
            arguments = call.arguments(handler)
            call.begin(loop if handler.is_async else None)
            value = handler.function(*arguments)
            return self._awaited(value, loop) if handler.is_async else Returned(value)
        except BaseException as error:
            return Raised(error)

    def _awaited(self, work: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> Returned | Raised:
        endings: list[Returned | Raised] = []

        async def go() -> None:
            try:
                endings.append(Returned(await work))
            except BaseException as error:
                endings.append(Raised(error))

        try:
            loop.run_until_complete(loop.create_task(go()))
        except asyncio.CancelledError:  # the handler cancelled its own task, and returned
            return endings[0]
        except (SystemExit, KeyboardInterrupt):  # out of a callback: the handler may be still at work
            self._is_fit = False
            raise
        return endings[0]


def _received(line: socket.socket) -> bytes:
    """What has come; nothing once the worker is gone, or the handler has closed the line."""
    try:
        return line.recv(CHUNK_BYTES)
    except OSError:
        return b""
