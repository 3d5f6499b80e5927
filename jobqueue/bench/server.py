"""Server: a Redis of the bench's own, without persistence, that ends with this process even if that is killed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobqueue.errors import JobqueueError
from jobqueue.redis import leash

HOST: Final = "127.0.0.1"
REDIS_CORE: Final = 0
PROGRAM_CORE: Final = 1

_START_DEADLINE_S = 10.0
_POLL_S = 0.02


class BenchServerError(JobqueueError):
    """The bench has no Redis to measure with."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running Redis."""

    port: int

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def ask(self, *words: str) -> str:
        """One command, and the first 64 KiB of its answer as they come. Raises: OSError where Redis is away."""
        with socket.create_connection((HOST, self.port), timeout=30.0) as connection:
            connection.sendall((" ".join(words) + "\r\n").encode())
            return connection.recv(65_536).decode()

    def clear(self) -> None:
        """Remove all data."""
        self.ask("FLUSHALL", "SYNC")

    @property
    def clients(self) -> int:
        """Connections, without the one that asks."""
        fields = dict(line.split(":", 1) for line in self.ask("INFO", "clients").splitlines() if ":" in line)
        return int(fields["connected_clients"]) - 1


@contextmanager
def running_server(*, pinned: bool) -> Generator[Server]:
    """Start a Redis on a free port of 127.0.0.1, and end it with the block. Raises: BenchServerError."""
    program = shutil.which("redis-server")
    if program is None:
        raise BenchServerError("no `redis-server` on PATH: install Redis 7 (Debian's package redis-server)")
    with tempfile.TemporaryDirectory(prefix="jobqueue-bench-") as folder:
        server = Server(free_port())
        command = [program, "--bind", HOST, "--port", str(server.port), "--dir", folder]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        with on_core(REDIS_CORE if pinned else None):
            running = _on_leash(command, Path(folder))
        try:
            _await_answer(server, running)
            yield server
        finally:
            running.communicate(b"\n", timeout=leash.GRACE_S * 2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def on_core(core: int | None) -> Generator[None]:
    """Processes that are started in the block run on that core alone, where the system can do so."""
    if core is None or sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    # Inherited by the child from its very beginning; set on it afterwards, its first threads would have escaped.
    os.sched_setaffinity(0, {sorted(before)[core % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _on_leash(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "lock").open("w") as lock, (folder / "redis.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), str(lock.fileno()), "", *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(lock.fileno(),),
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
        )


def _await_answer(server: Server, running: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + _START_DEADLINE_S
    while time.monotonic() < give_up_at and running.poll() is None:
        try:
            if server.ask("PING").startswith("+PONG"):
                return
        except OSError:
            time.sleep(_POLL_S)
    raise BenchServerError(f"redis-server gave no answer on port {server.port} within {_START_DEADLINE_S:g} s")
