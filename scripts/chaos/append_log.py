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


class Cut(NamedTuple):
    """What was taken away, and since when Redis has executed what is not in the file any more, or never was: while the
    disk is slow, Redis keeps for seconds what it would append.
    """

    bytes: int
    since_us: int


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

    def cut(self, since_us: int) -> Cut:
        """Take away what was appended since a moment, of a server that does not run."""
        length = self._path().stat().st_size
        kept = min(next((one.bytes for one in self._lengths if one.at_us >= since_us), length), length)
        shorter = [one.at_us for one in self._lengths if one.bytes < kept]
        os.truncate(self._path(), kept)
        self._lengths.clear()
        return Cut(length - kept, min([since_us, *shorter[-1:]]))

    def _path(self) -> Path:
        [path] = self._folder.glob("*.incr.aof")
        return path
