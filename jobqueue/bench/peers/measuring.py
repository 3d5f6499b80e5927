"""Measuring: the task that a program is given, the stopwatch that it holds, and how it tells what it saw.

Only the standard library: a peer's environment has nothing of ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

TEXT: Final = "the quick brown fox jumps over the lazy dog"

_DEADLINE_S: Final = 300.0
_RSS_UNIT: Final = 1024 * 1024 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Task:
    """What to do. `redis_url` is where the measured calls go; `load_url` where jobs may be stored beforehand, which
    differs where a slow network stands before Redis."""

    kind: str
    redis_url: str
    load_url: str
    jobs: int = 0
    concurrency: int = 1
    sleep_ms: int = 0
    warm_jobs: int = 0
    gap_ms: int = 0
    callers: int = 1
    chunk: int = 1_000
    profile: bool = False

    @classmethod
    def from_argv(cls) -> Task:
        return cls(**json.loads(sys.argv[1]))

    @property
    def host(self) -> str:
        return urlsplit(self.redis_url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        return urlsplit(self.redis_url).port or 6379


@dataclass(frozen=True, slots=True)
class RedisUse:
    """What Redis has spent since it started: seconds of its main thread, script calls, and all commands, those that
    scripts issue included."""

    cpu_s: float
    script_calls: int
    commands: int

    @classmethod
    def of(cls, url: str) -> RedisUse:
        """Read from INFO over a connection of its own, which is gone afterwards."""
        fields = dict(line.split(":", 1) for line in _info(url).splitlines() if ":" in line)
        calls = {
            name.removeprefix("cmdstat_"): int(stat.split("calls=")[1].split(",")[0])
            for name, stat in fields.items()
            if name.startswith("cmdstat_") and name != "cmdstat_info"
        }
        cpu_s = float(fields["used_cpu_user_main_thread"]) + float(fields["used_cpu_sys_main_thread"])
        return cls(cpu_s, sum(calls.get(name, 0) for name in ("eval", "evalsha", "fcall")), sum(calls.values()))


class Stopwatch:
    """Measures what runs in its `with`: time, this process's CPU, and what it cost Redis."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._before = RedisUse(0.0, 0, 0)
        self._after = self._before
        self._started_s = self._cpu_started_s = 0.0
        self.seconds = self.cpu_s = 0.0

    def __enter__(self) -> Stopwatch:
        self._before = RedisUse.of(self._url)
        self._cpu_started_s = time.process_time()
        self._started_s = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._started_s
        self.cpu_s = time.process_time() - self._cpu_started_s
        self._after = RedisUse.of(self._url)

    def tell(
        self, jobs: int, packages: Sequence[str], *, until: str = "", latencies_ms: Sequence[float] | None = None
    ) -> None:
        """Print the one line that the bench reads. `until` says where the measured part ended."""
        told = {
            "jobs": jobs,
            "seconds": self.seconds,
            "cpu_s": self.cpu_s,
            "rss_mb": _highest_rss_mb(),
            "redis_cpu_s": self._after.cpu_s - self._before.cpu_s,
            "script_calls": self._after.script_calls - self._before.script_calls,
            "commands": self._after.commands - self._before.commands,
            "versions": {name: version(name) for name in packages},
            "until": until,
            "latencies_ms": None if latencies_ms is None else list(latencies_ms),
        }
        say(json.dumps(told))


class Countdown:
    """Counts handlers that have ended, on an event loop or in threads, and lets one wait for the last."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._waiting: asyncio.Future[None] | None = None

    def count(self) -> None:
        """One more has ended. On the loop only."""
        self._left -= 1
        if self._left == 0 and self._waiting is not None:
            self._waiting.set_result(None)

    def count_in_thread(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._over.set()

    def begin(self) -> asyncio.Future[None]:
        """What to await for the last; call it before the first can end."""
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def wait_in_thread(self) -> None:
        """Raises: TimeoutError where the last has not ended after five minutes."""
        if not self._over.wait(_DEADLINE_S):
            raise TimeoutError(f"{self._left} jobs had not ended after {_DEADLINE_S:g} s")


def payload(number: int) -> dict[str, int | str]:
    """The same for all peers."""
    return {"n": number, "text": TEXT}


def chunks(count: int, size: int) -> list[range]:
    """The numbers below `count` in runs of `size`."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def end_at_once() -> NoReturn:
    """End the process without its shutdown."""
    sys.stdout.flush()
    os._exit(0)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def give_up_after(last: asyncio.Future[None]) -> None:
    """Wait for the last handler. Raises: TimeoutError after five minutes."""
    async with asyncio.timeout(_DEADLINE_S):
        await last


def _highest_rss_mb() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RSS_UNIT
    # getrusage would count the process that started this one too, as it was when it forked.
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM:"))


def _info(url: str) -> str:
    where = urlsplit(url)
    with socket.create_connection((where.hostname or "127.0.0.1", where.port or 6379), timeout=5.0) as connection:
        connection.sendall(b"INFO everything\r\n")
        with connection.makefile("rb") as answer:
            size = int(answer.readline()[1:])
            return answer.read(size).decode()
