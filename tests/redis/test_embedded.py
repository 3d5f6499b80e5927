"""The embedded Redis: real servers, started, killed and started again, and nothing left behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobqueue.redis import embedded
from jobqueue.redis.binary import EmbeddedRedisError, ServerBinary
from jobqueue.redis.embedded import EmbeddedRedis
from tests.redis.asking import ask, script
from tests.support.eventually import eventually

Parent = subprocess.Popen[str]
StartParent = Callable[..., Parent]


async def pid_of(url: str) -> int:
    return int(re.findall(r"process_id:(\d+)", await ask(url, "INFO", "server"))[0])


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def is_free(directory: Path) -> bool:
    """Nobody holds the lock: server and leash are both gone."""
    with (directory / "redis.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def line_of(parent: Parent) -> str:
    assert parent.stdout is not None
    return parent.stdout.readline().strip()


@pytest.fixture
def start_parent() -> Iterator[StartParent]:
    """Starts a process, in a group of its own, that runs an embedded Redis."""
    with ExitStack() as parents:

        def start(directory: Path, *arguments: str) -> Parent:
            command = [sys.executable, "-m", "tests.redis.embedded_parent", str(directory), *arguments]
            parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
            parents.enter_context(parent)
            parents.callback(parent.kill)
            return parent

        yield start


# Running


async def test_it_listens_on_a_private_socket_and_on_nothing_else(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path / "redis") as server:
        assert await ask(server.url, "PING") == "PONG"
        assert await ask(server.url, "CONFIG", "GET", "port") == ["port", "0"]
        assert server.socket_path.stat().st_mode & 0o777 == 0o700
        assert server.directory.stat().st_mode & 0o777 == 0o700


async def test_it_never_evicts_and_logs_every_write(tmp_path: Path) -> None:
    wanted = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec", "save": ""}

    async with EmbeddedRedis(tmp_path) as server:
        for name, value in wanted.items():
            assert await ask(server.url, "CONFIG", "GET", name) == [name, value]


async def test_tcp_is_a_free_port_of_the_loopback_address(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path, tcp=True) as server:
        assert re.fullmatch(r"redis://127\.0\.0\.1:\d+/0", server.url)
        assert await ask(server.url, "CONFIG", "GET", "bind") == ["bind", "127.0.0.1"]


async def test_data_survives_a_stop_and_a_start(tmp_path: Path) -> None:
    embedded_redis = EmbeddedRedis(tmp_path)
    await ask(await embedded_redis.start(), "SET", "kept", "yes")
    await embedded_redis.stop()

    assert await ask(await embedded_redis.start(), "GET", "kept") == "yes"
    await embedded_redis.stop()


async def test_start_and_stop_may_be_called_twice(tmp_path: Path) -> None:
    embedded_redis = EmbeddedRedis(tmp_path)

    assert await embedded_redis.start() == await embedded_redis.start()
    await embedded_redis.stop()
    await embedded_redis.stop()

    assert is_free(tmp_path)


async def test_a_path_too_long_for_a_socket_gets_a_short_one_that_is_removed_at_the_end(
    tmp_path: Path,
) -> None:
    directory = tmp_path / ("long" * 25)
    async with EmbeddedRedis(directory) as server:
        assert await ask(server.url, "PING") == "PONG"
        assert server.socket_path.parent.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(server.socket_path)) <= 100

    assert not server.socket_path.parent.exists()


async def test_a_directory_with_odd_characters_makes_a_url_that_can_be_read(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path / "a b?c#ä%") as server:
        assert await ask(server.url, "PING") == "PONG"


# The end of the parent


async def test_a_killed_parent_leaves_no_server_behind(tmp_path: Path, start_parent: StartParent) -> None:
    parent = start_parent(tmp_path)
    server_pid = await pid_of(line_of(parent))

    parent.kill()

    await eventually(lambda: is_gone(server_pid) and is_free(tmp_path), deadline_s=5)


async def test_a_killed_parent_leaves_no_server_behind_even_when_its_forked_child_lives_on(
    tmp_path: Path, start_parent: StartParent
) -> None:
    # The child inherits the parent's end of the pipe, which therefore stays open.
    parent = start_parent(tmp_path, "fork")
    server_pid = await pid_of(line_of(parent))
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    forked_pid = next(int(pid) for pid in children if os.getpgid(int(pid)) == parent.pid)

    parent.kill()

    try:
        await eventually(lambda: is_gone(server_pid) and is_free(tmp_path), deadline_s=5)
        assert not is_gone(forked_pid)
    finally:
        os.kill(forked_pid, signal.SIGKILL)


async def test_ctrl_c_does_not_end_the_server_before_its_parent_is_done_with_it(
    tmp_path: Path, start_parent: StartParent
) -> None:
    parent = start_parent(tmp_path)
    server_pid = await pid_of(line_of(parent))

    os.killpg(parent.pid, signal.SIGINT)

    assert line_of(parent) == "+PONG"
    assert parent.wait(10) == 0
    assert is_gone(server_pid)


async def test_the_server_ends_when_its_leash_is_killed(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path) as server:
        server_pid = await pid_of(server.url)
        leash_pid = int(re.findall(r"PPid:\t(\d+)", Path(f"/proc/{server_pid}/status").read_text())[0])

        os.kill(leash_pid, signal.SIGKILL)

        await eventually(lambda: is_free(tmp_path), deadline_s=5)


async def test_a_server_that_was_killed_is_started_again_over_its_stale_socket(tmp_path: Path) -> None:
    embedded_redis = EmbeddedRedis(tmp_path)
    os.kill(await pid_of(await embedded_redis.start()), signal.SIGKILL)
    await eventually(lambda: is_free(tmp_path))
    assert (tmp_path / "redis.sock").exists()
    await embedded_redis.stop()

    assert await ask(await embedded_redis.start(), "PING") == "PONG"
    await embedded_redis.stop()


# One directory, one server


async def test_a_second_parent_is_refused_and_told_who_is_there(tmp_path: Path, start_parent: StartParent) -> None:
    parent = start_parent(tmp_path)
    server_pid = await pid_of(line_of(parent))

    with pytest.raises(EmbeddedRedisError, match=f"in use: process {server_pid}, .* process {parent.pid},"):
        await EmbeddedRedis(tmp_path).start()

    assert not is_gone(server_pid)


async def test_a_parent_that_starts_right_after_a_killed_one_waits_for_its_server_to_end(
    tmp_path: Path, start_parent: StartParent
) -> None:
    parent = start_parent(tmp_path)
    old_pid = await pid_of(line_of(parent))
    parent.kill()

    async with EmbeddedRedis(tmp_path) as server:
        assert await pid_of(server.url) != old_pid


async def test_a_start_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    starting = asyncio.create_task(EmbeddedRedis(tmp_path).start())
    await eventually((tmp_path / "redis.log").exists)

    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting
    assert is_free(tmp_path)


# What goes wrong


async def test_a_server_that_ends_at_its_start_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("a file where Redis needs a directory")

    with pytest.raises(EmbeddedRedisError, match=r"ended at its start: .*redis\.log ends with(?s:.)*append"):
        await EmbeddedRedis(tmp_path).start()


async def test_a_server_that_gives_no_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "START_DEADLINE_S", 0.3)
    silent = ServerBinary(script(tmp_path / "silent", "echo thinking; exec sleep 30"), (7, 0, 0))

    with pytest.raises(EmbeddedRedisError, match=r"no answer within 0\.3 s: (?s:.)*thinking"):
        await EmbeddedRedis(tmp_path / "redis", binary=silent).start()

    assert is_free(tmp_path / "redis")


async def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EmbeddedRedisError, match=r"cannot make .*file/redis"):
        await EmbeddedRedis(tmp_path / "file" / "redis").start()


# Finding a server
