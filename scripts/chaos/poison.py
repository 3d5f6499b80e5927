"""Handlers of R13: good jobs, and poison of every kind that Python and the system know."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from jobqueue import JobContext, Registry, fixed, make_job
from jobqueue.context import Resources
from jobqueue.job import Keep
from jobqueue.settings import Settings
from scripts.chaos.ledger import Ledger

ATTEMPTS: Final = 3
HEADROOM_BYTES: Final = 512 * 2**20
_ALL: Final = Keep()


class Dose(NamedTuple):
    """What a job does, after how long."""

    kind: str
    after_ms: int


class Poisoned(BaseException):
    """Not an Exception: what `except Exception` lets through."""


def _exit() -> None:
    sys.exit(3)


def _exit_at_once() -> None:
    os._exit(4)


def _segfault() -> None:
    ctypes.string_at(0)


def _eat_memory() -> None:
    eaten: list[bytearray] = []
    while True:
        eaten.append(bytearray(2**24))


def _recurse() -> None:
    _recurse()


def _cancel() -> None:
    raise asyncio.CancelledError


def _raise_base() -> None:
    raise Poisoned("poison")


POISON: Final[dict[str, Callable[[], None]]] = {
    "sys.exit": _exit,
    "os._exit": _exit_at_once,
    "SIGSEGV": _segfault,
    "memory": _eat_memory,
    "recursion": _recurse,
    "CancelledError": _cancel,
    "BaseException": _raise_base,
}
DEADLY: Final = ("os._exit", "SIGSEGV")
"""Poison that takes the whole process."""


@make_job(name="good", keep_completed=_ALL, keep_failed=_ALL)
async def good(ctx: JobContext, dose: Dose) -> str:
    """Work for a while."""
    ledger = Ledger.of_environment()
    ledger.start(ctx)
    await asyncio.sleep(dose.after_ms / 1000)  # the work
    ledger.end(ctx, "finished")
    return "good"


@make_job(name="poison", attempts=ATTEMPTS, backoff=fixed(50), keep_failed=_ALL)
async def poison(ctx: JobContext, dose: Dose) -> None:
    """Work for a while, then do harm."""
    ledger = Ledger.of_environment()
    ledger.start(ctx, dose.kind)
    await asyncio.sleep(dose.after_ms / 1000)  # the other jobs of the worker are at work meanwhile
    try:
        POISON[dose.kind]()
    finally:
        ledger.end(ctx, "raised")


@asynccontextmanager
async def limited_memory(_: Settings) -> AsyncGenerator[Resources]:
    """Let the process have little more memory than it has now, so that who eats it all is refused."""
    most = _memory_bytes() + HEADROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    yield Resources()


def _memory_bytes() -> int:
    """The address space that the process has now."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


registry = Registry([good, poison], lifespan=limited_memory)
