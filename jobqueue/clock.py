"""Clock: the one place that asks what time it is, and where it can be told another."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass


def wall_ms() -> int:
    """The wall clock of this machine in epoch milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class _Asked:
    """What `now_ms` asks."""

    source: Callable[[], int] = wall_ms


_asked = _Asked()


def now_ms() -> int:
    """The time in epoch milliseconds, as BullMQ stamps jobs: the wall clock, unless this process was told otherwise."""
    return _asked.source()


@contextmanager
def told_by(source: Callable[[], int]) -> Generator[None]:
    """Let `now_ms` answer what `source` says (epoch milliseconds), in the whole process, until the block ends.

    Raises: RuntimeError inside another such block: of two times neither would be the right one.
    """
    if _asked.source is not wall_ms:
        raise RuntimeError("this process is told the time already; one clock at a time")
    _asked.source = source
    try:
        yield
    finally:
        _asked.source = wall_ms
