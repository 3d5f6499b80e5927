"""Append log: the file that a Redis appends to, and how a power failure would leave it: without what was not synced."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import Final, NamedTuple

from scripts.chaos.ledger import clock_us

_EACH_S: Final = 0.01
_KEPT: Final = 1_000


class Length(NamedTuple):
    """How long the file was at a moment."""

    at_us: int
    bytes: int


class AppendLog:
    """The append-only file in a server's directory. A killed server's is whole: what it wrote the kernel has."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / "appendonlydir"
        self._lengths: deque[Length] = deque(maxlen=_KEPT)

    async def watch(self) -> None:
        """Note how long it is, for ever."""
        while True:
            self.note()
            await asyncio.sleep(_EACH_S)  # a poll of a file

    def note(self) -> int:
        """Note how long it is now; returns the moment."""
        self._lengths.append(Length(clock_us(), self._path().stat().st_size))
        return self._lengths[-1].at_us

    def cut(self, since_us: int) -> int:
        """Take away what was appended since a moment, of a server that does not run; returns how many bytes."""
        kept = next((one.bytes for one in self._lengths if one.at_us >= since_us), self._path().stat().st_size)
        length = self._path().stat().st_size
        os.truncate(self._path(), min(kept, length))
        self._lengths.clear()
        return max(length - kept, 0)

    def _path(self) -> Path:
        [path] = self._folder.glob("*.incr.aof")
        return path
