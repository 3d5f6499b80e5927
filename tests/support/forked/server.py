"""The process that has imported everything, and forks for each `jobqueue` that a test runs.

An import of the command line costs a second of CPU, a fork some milliseconds. What is forked is a process like any
other: it has the caller's words, folder, environment and streams, gets its signals, and gives it its exit status.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

from pydantic import BaseModel

from jobqueue.cli import ROWS, main

PR_SET_PDEATHSIG = 1
ALSO = ("board", "handlers", "uvicorn.protocols.http.auto", "uvicorn.loops.auto")
React: TypeAlias = Callable[[], bool]
"""What is done when a descriptor can be read; True in a new child."""


class Asked(BaseModel):
    """What a caller says of itself."""

    words: list[str]
    folder: str
    environment: dict[str, str]


class Forking:
    """Waits for callers and for the ends of what runs for them."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._selector = selectors.DefaultSelector()
        self._selector.register(listening, selectors.EVENT_READ, self._fork)

    def serve(self) -> None:
        """Returns in each child, whose process this then is."""
        while True:
            for key, _ in self._selector.select():
                if cast(React, key.data)():
                    return

    def _fork(self) -> bool:
        caller, _ = self._listening.accept()
        head, streams, _, _ = socket.recv_fds(caller, 4, 3)
        asked = Asked.model_validate_json(_exactly(caller, int.from_bytes(head)))
        pid = os.fork()
        if pid == 0:
            self._listening.close()
            self._selector.close()
            caller.close()
            _become(asked, streams)
            return True
        for stream in streams:
            os.close(stream)
        caller.sendall(pid.to_bytes(4))
        ending = os.pidfd_open(pid)
        self._selector.register(ending, selectors.EVENT_READ, functools.partial(self._tell, caller, ending, pid))
        self._selector.register(caller, selectors.EVENT_READ, functools.partial(self._kill, caller, pid))
        return False

    def _tell(self, caller: socket.socket, ending: int, pid: int) -> bool:
        """The exit status, as a shell has it."""
        self._selector.unregister(ending)
        os.close(ending)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if caller.fileno() != -1:
            self._selector.unregister(caller)
            caller.sendall((code if code >= 0 else 128 - code).to_bytes(4))
            caller.close()
        return False

    def _kill(self, caller: socket.socket, pid: int) -> bool:
        """A caller says nothing more: it has gone, and what runs for it goes too."""
        self._selector.unregister(caller)
        caller.close()
        os.kill(pid, signal.SIGKILL)
        return False


def _exactly(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        read += connection.recv(size - len(read))
    return read


def _become(asked: Asked, streams: Sequence[int]) -> None:
    """The process that the caller would have started."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked.folder)
    os.environ.clear()
    os.environ.update(asked.environment)
    sys.argv = ["jobqueue", *asked.words]


if __name__ == "__main__":
    for name in [*(row.module for row in ROWS), *ALSO]:
        importlib.import_module(name)
    gc.freeze()  # so that a child's collections touch no page that it shares
    with socket.socket(socket.AF_UNIX) as at:
        at.bind(sys.argv[1])
        at.listen()
        Forking(at).serve()
    main()
