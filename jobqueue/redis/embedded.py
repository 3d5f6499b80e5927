"""Embedded: a Redis server for a machine without one, private to this process and ended with it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

from jobqueue.redis import leash
from jobqueue.redis.binary import EmbeddedRedisError, ServerBinary, find_server

START_DEADLINE_S = 10.0
LOCK_DEADLINE_S = 3.0
"""How long a second start waits, so that the server of a parent killed a moment ago can end."""

_POLL_S = 0.02
_LEASH_DEADLINE_S = leash.GRACE_S + 5
_LONGEST_SOCKET_PATH_BYTES = 100  # the kernel takes 107 on Linux and 103 on macOS
_LOG_TAIL_BYTES = 2_000


@dataclass(frozen=True)
class EmbeddedServer:
    """A running embedded server; `socket_path` is its unix socket, which it has even when `url` is TCP."""

    url: str
    directory: Path
    socket_path: Path
    binary: ServerBinary


class EmbeddedRedis:
    """Starts and ends a Redis server that keeps its data in `directory`, as an append-only file.

    The server ends with this process, even if that is killed; Ctrl-C in the terminal does not reach it.
    It listens on a unix socket that no other user can open. `tcp` adds a free port of 127.0.0.1, without a
    password, for programs that cannot use the socket: every user of the machine can open that.

    Concurrency: one server a directory, held by a lock on `redis.lock`. `start` and `stop` may come from any
    event loop, one after the other.
    """

    def __init__(self, directory: Path, *, tcp: bool = False, binary: ServerBinary | None = None) -> None:
        self._directory = directory
        self._tcp = tcp
        self._binary = binary
        self._leash: subprocess.Popen[bytes] | None = None
        self._server: EmbeddedServer | None = None

    async def start(self) -> str:
        """Start the server, wait until it answers PING, and return its URL; when it runs already, just that.

        Raises: EmbeddedRedisMissing; EmbeddedRedisError where the directory is in use or nothing answers.
        """
        return (await self._start()).url

    async def stop(self) -> None:
        """End the server and wait until it is gone; its data stays. Twice is fine."""
        running, self._leash, self._server = self._leash, None, None
        if running is not None:
            await asyncio.to_thread(_let_go, running)

    async def __aenter__(self) -> EmbeddedServer:
        return await self._start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _start(self) -> EmbeddedServer:
        if self._server is not None:
            return self._server
        binary = await asyncio.to_thread(find_server) if self._binary is None else self._binary
        directory = _private(self._directory)
        lock = await _lock(directory)
        with lock:
            # The leash and the server inherit the lock, and hold it after it is closed here.
            socket_path, scratch = _place_of_socket(directory)
            port = _free_port() if self._tcp else 0
            command = [str(binary.path), *_options(directory, socket_path, port)]
            self._leash = running = _launch(command, lock, scratch, directory)
        try:
            await _until_ready(running, socket_path, directory)
        except BaseException:
            await self.stop()
            raise
        url = f"redis://127.0.0.1:{port}/0" if port else f"unix://{quote(str(socket_path))}"
        self._server = EmbeddedServer(url, directory, socket_path, binary)
        return self._server


def _private(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedRedisError(f"cannot make {directory} for the embedded Redis: {error.strerror}") from error
    return directory.resolve()


async def _lock(directory: Path) -> IO[str]:
    """The open lock file of the directory.

    It is a lock of the kernel, which ends with its last holder, so none is ever left behind; what the file
    says only serves the message.
    """
    give_up_at = asyncio.get_running_loop().time() + LOCK_DEADLINE_S
    file = _open_private(directory / "redis.lock")
    try:
        while not _is_locked_now(file):
            if asyncio.get_running_loop().time() > give_up_at:
                owner = file.read().strip() or "another process"
                raise EmbeddedRedisError(
                    f"{directory} is in use: {owner} works in it; end that or use another directory"
                )
            await asyncio.sleep(_POLL_S)
    except BaseException:
        file.close()
        raise
    return file


def _is_locked_now(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_private(path: Path) -> IO[str]:
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+")
    except OSError as error:
        raise EmbeddedRedisError(f"cannot open {path}: {error.strerror}") from error


def _place_of_socket(directory: Path) -> tuple[Path, Path | None]:
    """Where the socket goes, and the folder made for it if its path in `directory` would be too long."""
    in_directory = directory / "redis.sock"
    if len(os.fsencode(in_directory)) <= _LONGEST_SOCKET_PATH_BYTES:
        return in_directory, None
    scratch = Path(tempfile.mkdtemp(prefix="jobqueue-", dir="/tmp"))  # TMPDIR may be long as well
    return scratch / "redis.sock", scratch


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _options(directory: Path, socket_path: Path, port: int) -> list[str]:
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "daemonize": "no",
        "dir": str(directory),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        # Plain commands, so that another Redis or Valkey, older or newer, can read what this one wrote.
        "aof-use-rdb-preamble": "no",
        "maxmemory-policy": "noeviction",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _launch(command: list[str], lock: IO[str], scratch: Path | None, directory: Path) -> subprocess.Popen[bytes]:
    lock_fd = lock.fileno()
    arguments = [str(os.getpid()), str(lock_fd), str(scratch or "")]
    log = os.open(_log_file(directory), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__, *arguments, *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(lock_fd,),
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
            env={"LC_ALL": "C"},  # a locale that this machine lacks would stop the server; it needs nothing else
        )
    finally:
        os.close(log)


async def _until_ready(running: subprocess.Popen[bytes], socket_path: Path, directory: Path) -> None:
    try:
        async with asyncio.timeout(START_DEADLINE_S):
            while not await _answers_ping(socket_path):
                if running.poll() is not None:
                    raise EmbeddedRedisError(f"the embedded Redis ended at its start: {_log_tail(directory)}")
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise EmbeddedRedisError(
            f"the embedded Redis gave no answer within {START_DEADLINE_S:g} s: {_log_tail(directory)}"
        ) from None


async def _answers_ping(socket_path: Path) -> bool:
    """True once the server has loaded its data; before that it refuses the connection or answers -LOADING."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket_path)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except ConnectionError:
        return False
    finally:
        writer.close()


def _log_file(directory: Path) -> Path:
    return directory / "redis.log"


def _log_tail(directory: Path) -> str:
    path = _log_file(directory)
    tail = path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
    return f"{path} ends with\n{tail}"


def _let_go(running: subprocess.Popen[bytes]) -> None:
    """Tell the leash to end the server, and wait for both."""
    try:
        running.communicate(b"\n", timeout=_LEASH_DEADLINE_S)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()
        raise EmbeddedRedisError(f"the embedded Redis did not end within {_LEASH_DEADLINE_S:g} s") from None
