"""The ground that the other tests stand on holds."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

PROJECT = Path(__file__).parents[2]


async def test_the_shared_redis_answers_over_tcp_and_its_unix_socket(redis: Redis, redis_server: RedisServer) -> None:
    await redis.set("fixture:greeting", "hello")

    async with Redis(unix_socket_path=str(redis_server.socket_path), decode_responses=True) as over_socket:
        assert await over_socket.get("fixture:greeting") == "hello"


async def test_an_emptied_redis_has_no_key_and_still_its_scripts(own_redis: RedisServer) -> None:
    async with own_redis.client() as client:
        await client.set("left", "behind")
        loaded = str(await client.script_load("return 1"))

        own_redis.empty()

        assert await client.dbsize() == 0
        assert await client.script_exists(loaded) == [True]


def test_a_port_is_given_once_and_is_none_that_the_kernel_gives_away() -> None:
    lowest_of_the_kernels = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    ports = [free_port() for _ in range(100)]

    assert len(set(ports)) == 100
    assert max(ports) < lowest_of_the_kernels


async def test_what_was_acknowledged_survives_the_kill_of_a_redis_of_ones_own(own_redis: RedisServer) -> None:
    async with own_redis.client() as client:
        await client.set("key", "value")

    own_redis.kill()
    async with own_redis.client() as client:
        with pytest.raises(RedisConnectionError):
            await client.get("key")
        own_redis.start()
        assert await client.get("key") == "value"


async def test_a_restarted_redis_is_another_process_with_the_same_address_and_data(
    own_redis: RedisServer,
) -> None:
    url, pid = own_redis.url, own_redis.pid
    async with own_redis.client() as client:
        await client.set("key", "value")

    own_redis.restart()

    assert own_redis.url == url
    assert own_redis.pid != pid
    async with own_redis.client() as client:
        assert await client.get("key") == "value"


async def test_a_paused_redis_answers_when_it_is_resumed(own_redis: RedisServer) -> None:
    async with own_redis.client() as client:
        await client.set("key", "value")

        own_redis.pause()
        answer = asyncio.ensure_future(client.get("key"))
        done, _ = await asyncio.wait({answer}, timeout=0.2)
        own_redis.resume()

        assert not done
        assert await answer == "value"


def test_a_redis_that_was_stopped_says_so(own_redis: RedisServer) -> None:
    own_redis.stop()
    own_redis.stop()

    with pytest.raises(RuntimeError, match="not running"):
        own_redis.pause()


async def test_a_killed_test_run_leaves_no_server_behind() -> None:
    # given: a process that started a Redis, as a test run would
    starts_one = (
        "import signal\n"
        "from tests.support.redis_server import running_redis\n"
        "with running_redis(appendonly=False) as server:\n"
        "    print(server.pid, flush=True)\n"
        "    signal.pause()\n"
    )
    run = subprocess.Popen([sys.executable, "-c", starts_one], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    with run.stdout:
        server_pid = int(run.stdout.readline())

    # when
    run.send_signal(signal.SIGKILL)
    run.wait()

    # then
    await eventually(lambda: is_gone(server_pid))


def is_gone(pid: int) -> bool:
    """True for a process that ended, also where nobody has asked for its exit status yet (a zombie)."""
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


async def test_each_database_of_a_test_is_empty_and_takes_tables(database_url: str) -> None:
    engine = create_async_engine(database_url)

    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE fixture (id INTEGER PRIMARY KEY)"))
        await connection.execute(text("INSERT INTO fixture VALUES (7)"))
        rows = await connection.scalar(text("SELECT count(*) FROM fixture"))
    await engine.dispose()

    assert rows == 1


def test_settings_are_this_tests_own(settings: MakeSettings, redis_url: str, prefix: str) -> None:
    made = settings(worker_concurrency=3)

    assert (made.redis_url, made.jobs_prefix, made.worker_concurrency) == (redis_url, prefix, 3)


def test_settings_do_not_see_the_environment(settings: MakeSettings) -> None:
    assert "JOBS_QUEUE" not in os.environ
    assert settings().jobs_queue == "jobs"


async def test_eventually_returns_the_first_answer_that_is_true() -> None:
    answers = iter([0, 0, 5])

    assert await eventually(lambda: next(answers)) == 5


async def test_eventually_takes_a_coroutine_function(redis: Redis, prefix: str) -> None:
    await redis.set(prefix, "there")

    assert await eventually(lambda: redis.get(prefix)) == "there"


async def test_eventually_tells_the_last_answer_when_the_time_is_over() -> None:
    with pytest.raises(AssertionError, match=r"within 0\.05 s; the last answer was 0"):
        await eventually(lambda: 0, deadline_s=0.05)
