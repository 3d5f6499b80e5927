"""`jobqueue worker` and `jobqueue serve`: signals, health, reload."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.cli.conftest import SHOP
from tests.cli.terminal import Running, Terminal, survivors
from tests.support.eventually import eventually
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

DEADLINE_S = 40.0
LEFT_BEHIND = {
    "stubborn": "ends without stubborn:1, still at work",
    "deaf": "left behind: deaf (1)",
    "threaded": "ends without uvloop_0, still at work",
}


async def has_started(terminal: Terminal) -> None:
    """The handler `slow` has been entered."""
    started = terminal.folder / "started"
    await eventually(started.exists, DEADLINE_S)


async def has_said(server: Running, words: str, times: int = 1) -> None:
    await eventually(lambda: server.has_said(words, times), DEADLINE_S)


async def keep_sending(server: Running, number: signal.Signals) -> None:
    """Until it has ended, as an impatient person or supervisor does."""

    def has_ended() -> bool:
        server.send(number)
        return server.status() is not None

    await eventually(has_ended, DEADLINE_S)


def spare_of(server: Running) -> psutil.Process | None:
    """The younger of two children, which waits for a change; None until there is one."""
    children = sorted(server.family()[1:], key=lambda process: process.create_time())
    return children[1] if len(children) == 2 else None


def state(terminal: Terminal, job_id: str) -> str:
    found: str = json.loads(terminal.run("jobs", "show", job_id, "--json").stdout)["state"]
    return found


def json_of(url: str) -> object:
    answer: object = httpx.get(url, timeout=10).json()
    return answer


def status_of(url: str) -> int | None:
    try:
        return httpx.get(url, timeout=10).status_code
    except httpx.TransportError:
        return None


async def test_sigterm_lets_the_active_job_finish_and_ends_with_0(terminal: Terminal) -> None:
    with terminal.running("worker") as worker:
        # given
        terminal.run("enqueue", "slow", "1.5")
        await has_started(terminal)

        # when
        worker.send(signal.SIGTERM)

        # then
        assert worker.wait() == 0
    assert state(terminal, "1") == "completed"


async def test_a_second_signal_puts_the_active_job_back(terminal: Terminal) -> None:
    with terminal.running("worker") as worker:
        # given
        terminal.run("enqueue", "slow", "600")
        await has_started(terminal)

        # when
        worker.press_ctrl_c()
        await has_said(worker, "a second signal ends active jobs")
        worker.press_ctrl_c()

        # then
        assert worker.wait() == 0
    assert state(terminal, "1") == "waiting"


async def test_two_signals_that_come_together_count_as_two(terminal: Terminal) -> None:
    """The second was taken for the first where it came before the worker had begun to stop."""
    with terminal.running("worker", WORKER_SHUTDOWN_MS="600000") as worker:
        # given
        terminal.run("enqueue", "slow", "600")
        await has_started(terminal)

        # when
        worker.send(signal.SIGTERM)
        worker.send(signal.SIGINT)

        # then
        assert worker.wait() == 0
    assert state(terminal, "1") == "waiting"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_in_the_last_moments_do_not_change_the_exit_status(
    terminal: Terminal, number: signal.Signals
) -> None:
    """Once everything was closed the signals had their default effect again, while the interpreter still ended."""
    with terminal.running("worker") as worker:
        # given
        await has_said(worker, "serves jobs")

        # when
        await keep_sending(worker, number)

        # then
        assert worker.wait() == 0


@pytest.mark.parametrize("handler", ["stubborn", "deaf", "threaded"])
async def test_a_handler_that_does_not_end_does_not_hold_up_the_exit(terminal: Terminal, handler: str) -> None:
    """The loop's end waited for every task, and the interpreter's end for every thread of the loop's own pool."""
    with terminal.running("worker", WORKER_SHUTDOWN_MS="500") as worker:
        # given
        terminal.run("enqueue", handler)
        await has_started(terminal)

        # when
        worker.send(signal.SIGTERM)

        # then
        assert worker.wait() == 0
        assert LEFT_BEHIND[handler] in worker.said()
        assert "Traceback" not in worker.said()
        assert "was destroyed" not in worker.said()
    assert state(terminal, "1") == "waiting"


async def test_a_worker_waits_for_redis_and_still_can_be_stopped(terminal: Terminal) -> None:
    # given
    port = free_port()
    with terminal.running("worker", REDIS_URL=f"redis://127.0.0.1:{port}/0") as worker:
        await has_said(worker, f"127.0.0.1:{port}")

        # when
        worker.press_ctrl_c()

        # then
        assert worker.wait() == 0


def test_in_a_test_environment_the_worker_says_so_and_returns(terminal: Terminal) -> None:
    # when
    done = terminal.run("worker", ENVIRONMENT="test")

    # then
    assert done.returncode == 0
    assert "no worker is started" in done.stderr


async def test_a_worker_runs_without_uvloop_where_there_is_none(terminal: Terminal) -> None:
    # given
    (terminal.folder / "uvloop.py").write_text("raise ImportError('not for this machine')", encoding="utf-8")
    with terminal.running("worker", PYTHONPATH=os.pathsep.join([str(terminal.folder), *sys.path])) as worker:
        # when
        done = terminal.run("enqueue", "order", '{"number": 1}', "--wait", "30")

        # then
        assert done.stdout == '"sent 1"\n'
        worker.send(signal.SIGTERM)
        assert worker.wait() == 0


async def test_a_worker_serves_the_queues_it_is_told(terminal: Terminal) -> None:
    # given
    terminal.run("enqueue", "refuse")
    options = ("--queue", "mail", "--queue", "post", "--name", "bob", "--concurrency", "2")
    with terminal.running("worker", *options) as worker:
        await has_said(worker, "worker bob serves mail, post")

        # when
        order = ("enqueue", "order", '{"number": 1}', "--wait", "30", "--queue")
        done = [terminal.run(*order, queue) for queue in ("mail", "post")]

    # then
    assert [one.returncode for one in done] == [0, 0]
    assert state(terminal, "1") == "waiting", "the queue `jobs` is not served"


async def test_health_tells_a_worker_that_lives_from_one_that_is_ready(
    terminal: Terminal, own_redis: RedisServer, port: int
) -> None:
    with terminal.running("worker", "--health-port", str(port), REDIS_URL=own_redis.url):
        # given
        ready, healthy = f"http://127.0.0.1:{port}/readyz", f"http://127.0.0.1:{port}/healthz"
        await eventually(lambda: status_of(ready) == 200, DEADLINE_S)
        assert json_of(ready) == {"data": {"status": "ok", "redis": "ok", "database": "ok"}}

        # when
        own_redis.stop()

        # then
        await eventually(lambda: status_of(ready) == 503, DEADLINE_S)
        assert status_of(healthy) == 200


async def test_changed_code_is_run_and_broken_code_is_survived(terminal: Terminal) -> None:
    # given
    source = terminal.folder / "shop.py"
    order = ("enqueue", "order", '{"number": 1}', "--wait", "40")
    with terminal.running("worker", "--reload") as worker:
        await has_said(worker, "serves jobs")
        assert terminal.run(*order).stdout.endswith('"sent 1"\n')

        # when the code is broken
        source.write_text("def (", encoding="utf-8")
        await has_said(worker, "waiting for a change")

        # then mending it is enough
        source.write_text(SHOP.replace("sent", "shipped"), encoding="utf-8")
        await has_said(worker, "serves jobs", times=2)
        assert terminal.run(*order).stdout.endswith('"shipped 1"\n')

        # and when the child that stands by was killed meanwhile, another takes its place
        spare = await eventually(lambda: spare_of(worker), DEADLINE_S)
        spare.kill()
        await eventually(lambda: not spare.is_running(), DEADLINE_S)
        source.write_text(SHOP.replace("sent", "flown"), encoding="utf-8")
        await has_said(worker, "serves jobs", times=3)
        assert terminal.run(*order).stdout.endswith('"flown 1"\n')
        family = worker.family()
        worker.press_ctrl_c()
        assert worker.wait() == 0
        assert survivors(family) == []


async def test_a_changed_configuration_outside_the_folder_is_seen(terminal: Terminal, tmp_path: Path) -> None:
    # given
    config = tmp_path / "elsewhere" / "jobs.toml"
    config.parent.mkdir()
    config.write_text("[defaults]\nattempts = 1\n", encoding="utf-8")
    with terminal.running("worker", "--reload", JOBS_CONFIG=str(config)) as worker:
        await has_said(worker, "serves jobs")

        # when
        config.write_text("[defaults]\nattempts = 2\n", encoding="utf-8")

        # then
        await has_said(worker, "serves jobs", times=2)


async def test_the_board_is_served_until_ctrl_c_however_often_that_is_pressed(terminal: Terminal, port: int) -> None:
    # given
    terminal.run("db", "upgrade")
    with terminal.running("serve", "--port", str(port), ENVIRONMENT="local") as server:
        await eventually(lambda: status_of(f"http://127.0.0.1:{port}/readyz") == 200, DEADLINE_S)
        assert status_of(f"http://127.0.0.1:{port}/bullBoard") in (200, 307)

        # when
        await keep_sending(server, signal.SIGINT)

        # then
        assert server.wait() == 0
