"""Servers as child processes: a free port, a start that waits for an answer, an end that leaves nothing."""

from __future__ import annotations

import functools
import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

FIRST_PORT = 10_000
PORTS_EACH = 2_750
MOST_PROCESSES = 8
START_S = 20.0
STOP_S = 10.0


@functools.cache
def _ports() -> Iterator[int]:
    """The ports of this test process, in no order.

    They lie below those that the kernel gives to outgoing connections and to servers that ask for any: one of these
    may take the port of a Redis that a test has stopped for a second.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % MOST_PROCESSES
    first = FIRST_PORT + number * PORTS_EACH
    return itertools.cycle(random.sample(range(first, first + PORTS_EACH), PORTS_EACH))


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment, and that this process did not get before."""
    return next(port for port in _ports() if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def spawn(command: Sequence[str], *, cwd: Path, log: Path, user: str | None = None) -> subprocess.Popen[bytes]:
    """Start a server in `cwd`, its output appended to `log`, as `user` where that is named.

    It is killed with the thread that started it, so that a test run that is killed leaves no server behind.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )


def wait_until_up(process: subprocess.Popen[bytes], is_up: Callable[[], bool], log: Path) -> None:
    """Raises: RuntimeError, with the server's output, where it ended or stayed silent."""
    gives_up_at_s = time.monotonic() + START_S
    while not is_up():
        if process.poll() is not None or time.monotonic() > gives_up_at_s:
            output = log.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"{process.args!r} did not come up (exit status {process.poll()}):\n{output}")
        time.sleep(0.01)  # nothing tells when a server begins to listen


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Send `how` and wait until the process is gone; one that takes too long is killed. Twice is fine."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
