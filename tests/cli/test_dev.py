"""`jobqueue dev`: everything on one machine, and nothing of it afterwards but the data."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager

import httpx
import psutil

from tests.cli.conftest import SHOP
from tests.cli.terminal import Running, Terminal, survivors
from tests.cli.test_worker import DEADLINE_S, has_said, has_started, keep_sending, state, status_of
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

SHOP_REGISTRY = ("--registry", "shop:registry")


@contextmanager
def dev(terminal: Terminal, port: int, *words: str, **changes: str) -> Generator[Running]:
    with terminal.running("dev", "--port", str(port), *words, **changes) as server:
        yield server


async def is_up(port: int) -> None:
    await eventually(lambda: status_of(f"http://127.0.0.1:{port}/readyz") == 200, DEADLINE_S)


async def test_one_command_serves_everything(bare_terminal: Terminal, port: int) -> None:
    # when
    with dev(bare_terminal, port) as server:
        await is_up(port)

        # then the API is open here, and the heartbeat has gone the whole way
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def completed_job() -> str | None:
                job = (await client.get("/api/admin/job/1")).json()["data"]
                return job["name"] if job["state"] == "completed" else None

            assert await eventually(completed_job, DEADLINE_S) == "heartbeat"
        assert f"http://localhost:{port}/bullBoard" in server.said()
        assert ".jobqueue/" in server.said()


async def test_other_terminals_in_the_folder_find_the_dev_server(bare_terminal: Terminal, port: int) -> None:
    with dev(bare_terminal, port, *SHOP_REGISTRY):
        await is_up(port)

        # when nothing is set there
        order = bare_terminal.run("enqueue", "order", '{"number": 5}', "--wait", "40")
        added = bare_terminal.run("webhook", "add", "--model", "order", "--url", "http://localhost:9000/")

        # then
        assert (order.returncode, order.stdout.endswith('"sent 5"\n')) == (0, True)
        assert added.returncode == 0, "a dev server's folder is local"


async def test_what_a_terminal_sets_wins_over_the_dev_server(
    bare_terminal: Terminal, redis_url: str, port: int
) -> None:
    with dev(bare_terminal, port):
        await is_up(port)

        # when another Redis is named
        done = bare_terminal.run("webhook", "list", REDIS_URL=redis_url)

        # then the database of the dev server is not mixed with it
        assert done.returncode == 1
        assert "jobqueue.db is not available" in done.stderr
        assert ".jobqueue/jobqueue.db" not in done.stderr


async def test_ctrl_c_leaves_no_process_and_keeps_the_data(bare_terminal: Terminal, port: int) -> None:
    with dev(bare_terminal, port, *SHOP_REGISTRY) as server:
        # given
        await is_up(port)
        bare_terminal.run("enqueue", "order", '{"number": 5}', "--job-id", "kept", "--delay-ms", "600000")
        family = server.family()
        assert any("redis" in one.name() or "valkey" in one.name() for one in family)

        # when
        server.press_ctrl_c()

        # then
        assert server.wait() == 0
        assert survivors(family) == []
        assert not (bare_terminal.folder / ".jobqueue" / "env").exists()
    with dev(bare_terminal, port, *SHOP_REGISTRY):
        await is_up(port)
        assert state(bare_terminal, "kept") == "delayed"


async def test_ctrl_c_waits_for_the_active_job_and_a_second_one_does_not(bare_terminal: Terminal, port: int) -> None:
    with dev(bare_terminal, port, *SHOP_REGISTRY) as server:
        # given
        await is_up(port)
        bare_terminal.run("enqueue", "slow", "600", "--job-id", "long")
        await has_started(bare_terminal)
        family = server.family()

        # when
        server.press_ctrl_c()
        await eventually(lambda: status_of(f"http://127.0.0.1:{port}/healthz") is None, DEADLINE_S)
        await has_said(server, "a second signal ends active jobs")
        assert server.status() is None, "the job is waited for"
        server.press_ctrl_c()

        # then
        assert server.wait() == 0
        assert survivors(family) == []
    with dev(bare_terminal, port, *SHOP_REGISTRY):
        await is_up(port)
        assert state(bare_terminal, "long") in ("waiting", "active"), "it went back to the queue"


async def test_a_handler_that_never_ends_and_signals_that_never_end_leave_a_good_exit(
    bare_terminal: Terminal, port: int
) -> None:
    with dev(bare_terminal, port, *SHOP_REGISTRY, WORKER_SHUTDOWN_MS="500") as server:
        # given
        await is_up(port)
        bare_terminal.run("enqueue", "stubborn")
        await has_started(bare_terminal)
        family = server.family()

        # when
        await keep_sending(server, signal.SIGINT)

        # then
        assert server.wait() == 0
        assert survivors(family) == []
        assert "stopped; the data stay" in server.said()
        assert not (bare_terminal.folder / ".jobqueue" / "env").exists()


async def test_a_killed_dev_server_takes_its_children_with_it(bare_terminal: Terminal, port: int) -> None:
    with dev(bare_terminal, port, "--reload", *SHOP_REGISTRY) as server:
        # given
        await is_up(port)
        family = server.family()
        assert len(family) >= 4, "the reloader, its child, the leash and Redis"

        # when
        server.send(signal.SIGKILL)

        # then
        await eventually(lambda: not survivors(family), DEADLINE_S)
    done = bare_terminal.run("webhook", "list")
    assert ".jobqueue/jobqueue.db" not in done.stderr + done.stdout, "its settings are not believed any more"


async def test_new_code_is_run_while_redis_lives_on(bare_terminal: Terminal, port: int) -> None:
    order = ("enqueue", "order", '{"number": 1}', "--wait", "40")
    with dev(bare_terminal, port, "--reload", *SHOP_REGISTRY) as server:
        # given
        await is_up(port)
        bare_terminal.run("enqueue", "order", '{"number": 2}', "--job-id", "kept", "--delay-ms", "600000")
        redis = [one for one in server.family() if "redis" in one.name() or "valkey" in one.name()]

        # when the code is wrong at first
        (bare_terminal.folder / "shop.py").write_text(f"{SHOP}\nthere is no such code\n", encoding="utf-8")
        await has_said(server, f"(shop.py, line {SHOP.count(chr(10)) + 2})")
        await has_said(server, "waiting for a change")
        (bare_terminal.folder / "shop.py").write_text(SHOP.replace("sent", "shipped"), encoding="utf-8")
        await has_said(server, "serves jobs", times=2)

        # then
        assert bare_terminal.run(*order).stdout.endswith('"shipped 1"\n')
        assert state(bare_terminal, "kept") == "delayed"
        assert survivors(redis) == redis
        family = server.family()
        server.press_ctrl_c()
        assert server.wait() == 0
        assert survivors(family) == []


def test_a_taken_port_is_named_before_anything_is_started(bare_terminal: Terminal) -> None:
    # given
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        # when
        done = bare_terminal.run("dev", PORT=str(port))

    # then
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (bare_terminal.folder / ".jobqueue").exists()


async def test_a_second_dev_server_in_the_folder_is_refused(bare_terminal: Terminal, port: int) -> None:
    with dev(bare_terminal, port):
        await is_up(port)

        # when
        done = bare_terminal.run("dev", "--port", "0")

    # then
    assert done.returncode == 1
    assert "in this folder already" in done.stderr


async def test_what_is_set_is_used_instead_of_the_folder(terminal: Terminal, own_redis: RedisServer, port: int) -> None:
    with dev(terminal, port, REDIS_URL=own_redis.url) as server:
        # when
        await is_up(port)

        # then
        assert not any("redis" in one.name() or "valkey" in one.name() for one in server.family())
        assert not (terminal.folder / ".jobqueue" / "redis").exists()
        done = terminal.run("enqueue", "order", '{"number": 5}', "--wait", "40", REDIS_URL=own_redis.url)
        assert json.loads(done.stdout.splitlines()[-1]) == "sent 5"


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def test_a_broken_registry_stops_the_start_and_leaves_nothing(bare_terminal: Terminal) -> None:
    # when
    done = bare_terminal.run("dev", "--port", "0", "--registry", "shop:nothing")

    # then
    assert done.returncode == 2
    assert "JOBS_REGISTRY" in done.stderr
    assert [one for one in psutil.process_iter() if str(bare_terminal.folder) in command(one)] == []
