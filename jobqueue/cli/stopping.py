"""Stopping: how a server is told to end: the first signal asks, the second urges."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

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
        """Listen for the length of the block; `has_parent` also to the end of standard input, a parent's last sign.

        The process is to end with the block: afterwards the signals are ignored, since one that comes while the
        interpreter ends would replace the exit status. Concurrency: in the main thread only.
        """
        loop = asyncio.get_running_loop()

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self.request)

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        for number in numbers:
            # Not the loop's: taking its handler away restores the default for a moment, in which a signal kills.
            signal.signal(number, on_signal)
        if has_parent:
            loop.add_reader(sys.stdin.fileno(), self._read_from_parent)
        try:
            yield
        finally:
            if has_parent:
                loop.remove_reader(sys.stdin.fileno())
            for number in numbers:
                signal.signal(number, signal.SIG_IGN)

    def _read_from_parent(self) -> None:
        """The parent never writes, so that there is something to read means that it is gone."""
        loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()
        if not os.read(stdin, 1024):
            loop.remove_reader(stdin)
            self.request()
            loop.call_later(ORPHAN_GRACE_S, self.request)
