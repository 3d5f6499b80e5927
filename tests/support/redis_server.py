"""A real Redis of the tests' own, that a test may stop, kill, pause and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from tests.support.processes import end, free_port, spawn, wait_until_up

HOST = "127.0.0.1"


class RedisServer:
    """The `redis-server` found on PATH, on a free port of 127.0.0.1 and a unix socket in `directory`.

    With `appendonly` every write is in the log before it is answered, so that `kill` loses nothing that was
    acknowledged, and `start` finds it again. Port and directory stay the same from one start to the next.
    """

    def __init__(self, directory: Path, *, appendonly: bool, options: tuple[str, ...] = ()) -> None:
        self.directory = directory
        self.port = free_port()
        self.socket_path = directory / "redis.sock"
        self._appendonly = appendonly
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket_path}?db=0"

    @property
    def pid(self) -> int:
        """Raises: RuntimeError where the server does not run."""
        return self._running().pid

    def client(self) -> Redis:
        """A client of redis-py that answers with text; `async with` closes it."""
        return Redis(host=HOST, port=self.port, decode_responses=True)

    def empty(self) -> None:
        """Delete every key of every database. Scripts stay loaded, and connections open."""
        with BlockingRedis(host=HOST, port=self.port) as client:
            client.flushall()

    def start(self, *options: str) -> None:
        """Returns when the server answers, its data loaded. `options` are for this time only."""
        log = self.directory / "redis.log"
        self._process = spawn([*self._command(), *options], cwd=self.directory, log=log)
        wait_until_up(self._process, lambda: answers_ping(self.port), log)

    def stop(self) -> None:
        """Shut down in good order (SIGTERM), as an operator would. Twice is fine."""
        if self._process is not None:
            if self._process.poll() is None:
                self.resume()  # a paused process would not see SIGTERM
            end(self._process, signal.SIGTERM)
            self._process = None

    def kill(self) -> None:
        """Take the process away without a word (SIGKILL)."""
        end(self._running(), signal.SIGKILL)
        self._process = None

    def restart(self) -> None:
        """Stop and start again, with the same port and directory; without `appendonly` the data are gone."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): connections stay open and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("this Redis is not running; start() it first")
        return self._process

    def _command(self) -> list[str]:
        return [
            *("redis-server", "--bind", HOST, "--port", str(self.port)),
            *("--unixsocket", str(self.socket_path), "--dir", str(self.directory)),
            *("--save", "", "--appendonly", "yes" if self._appendonly else "no"),
            *self._options,
        ]


def answers_ping(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64) == b"+PONG\r\n"
    except OSError:
        return False


@contextmanager
def running_redis(*, appendonly: bool, options: tuple[str, ...] = ()) -> Generator[RedisServer]:
    """A server in a private directory; both end with the block."""
    # A short path of its own: that of a unix socket may not be longer than 107 characters, and pytest's are.
    with tempfile.TemporaryDirectory(prefix="redis-") as directory:
        server = RedisServer(Path(directory), appendonly=appendonly, options=options)
        server.start()
        try:
            yield server
        finally:
            server.stop()
