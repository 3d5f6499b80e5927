"""Child: a process of our own command line, started and ended by this one.

Between the two is a line, a socket that is the child's standard input. That it ends tells the child that its parent is
gone, however that went. The child says on it that it serves; the parent, that the child is to end at once.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from typing import Final

from jobqueue.cli.stopping import Stopper
from jobqueue.cli.waiting import first_of

LAST_CALL_S: Final = 10.0
"""What a child gets that was told to stop at once, before it is killed."""


class Child:
    """One child, in a process group of its own, so that a terminal's Ctrl-C comes from its parent alone."""

    def __init__(self, process: Process, line: socket.socket) -> None:
        self._process = process
        self._line = line

    @classmethod
    async def start(
        cls,
        words: Sequence[str],
        *,
        python: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
        module: str = "jobqueue.cli",
    ) -> Child:
        """Start `jobqueue` with these words; `python` are options of the interpreter, `module` is what it runs.

        Raises: OSError where the machine has no room for another process.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *python, "-m", module, *words),
                stdin=theirs.fileno(),
                pass_fds=pass_fds,
                process_group=0,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, or the number of the signal that killed it, negative; None while it runs."""
        return self._process.returncode

    async def wait(self) -> None:
        await self._process.wait()

    async def serves(self) -> bool:
        """Wait until the child says that it serves; False where it ends, or lets go of the line, without."""
        try:
            return bool(await asyncio.get_running_loop().sock_recv(self._line, 1))
        except ConnectionResetError:
            return False

    def begin(self) -> None:
        """Tell a child that stands by (`cli.spare`) to go ahead."""
        try:
            self._line.send(b"\n")
        except ConnectionError:
            return  # it has died meanwhile, as `wait` tells

    async def stop(self, stopper: Stopper) -> None:
        """In good order, at once where the stopper urges; returns when the process is gone."""
        if self.status is None:
            self._process.terminate()
            await first_of(self.wait(), stopper.urged())
        if self.status is None:
            self._urge()
            await first_of(self.wait(), asyncio.sleep(LAST_CALL_S))
        if self.status is None:
            self._process.kill()
        await self.wait()
        self._line.close()

    def _urge(self) -> None:
        """By the line; the signal is for a child that is not far enough to listen."""
        try:
            self._line.send(b"\n")
        except ConnectionError:
            return  # it has closed its end, and is ending
        self._process.terminate()


def ending_of(status: int) -> str:
    """An exit status in words: "ended with status 1", "was killed by SIGKILL"."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"  # a real-time signal has no name
