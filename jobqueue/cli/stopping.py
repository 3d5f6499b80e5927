"""Stopping: how a server is told to end: the first signal asks, the second urges."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager

from jobqueue.worker.signals import caught

ORPHAN_GRACE_S = 5.0
"""What a child whose parent was killed gets to end in good order."""


class Stopper:
    """Belongs to the running event loop.

    SIGINT and SIGTERM count, and SIGHUP unless the process was told to outlive its terminal (nohup).
    """

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._urged = asyncio.Event()

    @property
    def is_asked(self) -> bool:
        return self._asked.is_set()

    async def asked(self) -> None:
        """Returns when the server is to stop."""
        await self._asked.wait()

    async def urged(self) -> None:
        """Returns when the server is to stop at once."""
        await self._urged.wait()

    def request(self) -> None:
        if self._asked.is_set():
            self._urged.set()
        self._asked.set()

    @contextmanager
    def on_signals(self, *, has_parent: bool = False) -> Generator[None]:
        """Listen for the length of the block; `has_parent` also to the line from a parent (`cli.child`).

        With a parent every signal asks, and the parent alone urges: a service manager that signals a whole group of
        processes reaches a child twice, once through its parent. The process is to end with the block: afterwards the
        signals are ignored, since one that comes while the interpreter ends would replace the exit status.
        Concurrency: in the main thread only.
        """
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        act = self._asked.set if has_parent else self.request
        with caught(numbers, act, afterwards=signal.SIG_IGN):
            if not has_parent:
                yield
                return
            loop, line = asyncio.get_running_loop(), sys.stdin.fileno()
            loop.add_reader(line, self._read_from_parent)
            try:
                yield
            finally:
                loop.remove_reader(line)

    def _read_from_parent(self) -> None:
        """Something is said: the parent urges. The line has ended: the parent is gone."""
        loop, line = asyncio.get_running_loop(), sys.stdin.fileno()
        if _said(line):
            self._asked.set()
            self._urged.set()
            return
        loop.remove_reader(line)
        self._asked.set()
        loop.call_later(ORPHAN_GRACE_S, self._urged.set)


def tell_parent() -> None:
    """Say on the line to the parent that this process serves."""
    try:
        os.write(sys.stdin.fileno(), b"\n")
    except ConnectionError:
        return  # the parent is gone: the end of the line tells the stopper


def _said(line: int) -> bytes:
    try:
        return os.read(line, 1024)
    except ConnectionResetError:
        return b""  # the parent was killed before it had read what was said to it
