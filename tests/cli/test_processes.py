"""`jobqueue worker --processes`: several workers, each started again when it dies."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import psutil
import pytest

from jobqueue import App, Registry
from jobqueue.cli.processes import FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S, next_pause_s
from jobqueue.inspector import Inspector
from tests.cli import crew
from tests.cli.terminal import Running, Terminal, survivors
from tests.conftest import MakeSettings
from tests.support.eventually import eventually

DEADLINE_S = 40.0
TWO = ("worker", "--processes", "2", "--concurrency", "1")


@pytest.fixture
def crew_terminal(terminal: Terminal) -> Terminal:
    """A terminal in a folder with the service `crew`, whose jobs are soon taken from a dead worker."""
    source = Path(crew.__file__).read_text(encoding="utf-8")
    (terminal.folder / "crew.py").write_text(source, encoding="utf-8")
    own = {"JOBS_REGISTRY": "crew:registry", "WORKER_LOCK_MS": "1000", "WORKER_STALLED_MS": "100"}
    return terminal.beside(terminal.environment | own)


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncGenerator[App]:
    """The service's app, in this process, to store jobs with."""
    async with App(Registry(crew.registry), settings()) as app:
        yield app


async def serves(server: Running, times: int = 2) -> None:
    await eventually(lambda: server.has_said("serves jobs", times), DEADLINE_S)


async def has_files(folder: Path, pattern: str, count: int) -> None:
    await eventually(lambda: len(list(folder.glob(pattern))) >= count, DEADLINE_S)


async def state(app: App, job_id: str) -> str:
    return (await Inspector(app).job(app.settings.jobs_queue, job_id)).state


def lines(server: Running) -> list[dict[str, object]]:
    return [json.loads(line) for line in server.said().splitlines()]


def workers(server: Running) -> list[psutil.Process]:
    """The processes that the supervisor has started, the oldest first."""
    return sorted(server.family()[1:], key=lambda process: process.create_time())


async def test_two_processes_run_jobs_at_once_and_each_line_tells_whose_it_is(
    crew_terminal: Terminal, app: App
) -> None:
    with crew_terminal.running(*TWO, "--name", "blue") as server:
        # given
        await serves(server)

        # when each of two jobs ends only beside the other, in another process
        met = [await app.enqueue_job(crew.meet, 2) for _ in range(2)]

        # then
        assert [await one.wait(DEADLINE_S) for one in met] == [2, 2]
        server.send(signal.SIGTERM)
        assert server.wait() == 0
    serving = [line for line in lines(server) if "serves jobs" in str(line["event"])]
    assert [line["worker"] for line in serving] == ["blue-1", "blue-2"]


async def test_processes_without_a_name_are_told_apart_by_their_id(crew_terminal: Terminal) -> None:
    with crew_terminal.running(*TWO) as server:
        # when
        await serves(server)

        # then
        ids = {str(process.pid) for process in workers(server)}
        names = {str(line["worker"]) for line in lines(server) if "worker" in line}
        assert {name.rpartition("-")[2] for name in names} == ids


async def test_a_process_that_a_job_takes_down_is_replaced_and_the_job_is_run_again(
    crew_terminal: Terminal, app: App
) -> None:
    with crew_terminal.running(*TWO) as server:
        # given
        await serves(server)
        before = {process.pid for process in workers(server)}

        # when
        deadly = await app.enqueue_job(crew.deadly_once)

        # then
        assert await deadly.wait(DEADLINE_S) == "survived"
        await serves(server, times=3)
        after = {process.pid for process in workers(server)}
        assert len(after) == 2
        assert len(after & before) == 1, "the other process was left alone"
        assert "was killed by SIGKILL; it is started again in 0.5 s" in server.said()


async def test_a_process_that_dies_at_its_start_is_started_ever_less_often_until_it_lives(
    crew_terminal: Terminal,
) -> None:
    # given
    broken = crew_terminal.folder / "broken"
    broken.touch()
    with crew_terminal.running(*TWO) as server:
        # when
        await eventually(lambda: server.has_said("ended with status 3; it is started again in 1 s"), DEADLINE_S)
        broken.unlink()

        # then
        await serves(server)
        assert "ended with status 3; it is started again in 0.5 s" in server.said()
        assert "worker 2 (" not in server.said(), "the second waits until the first serves"


def test_the_pause_doubles_up_to_half_a_minute_and_starts_anew_after_a_long_life() -> None:
    # given
    pauses = [next_pause_s(None, 0)]

    # when
    for _ in range(9):
        pauses.append(next_pause_s(pauses[-1], STEADY_S / 2))

    # then
    assert pauses[:4] == [FIRST_PAUSE_S, 1, 2, 4]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert next_pause_s(pauses[-1], STEADY_S) == FIRST_PAUSE_S


@pytest.mark.parametrize("reaches", ["the supervisor", "every process"])
async def test_sigterm_lets_the_jobs_of_all_processes_finish(crew_terminal: Terminal, app: App, reaches: str) -> None:
    """systemd signals the whole group: each worker was told twice then, and its second signal ended the jobs."""
    with crew_terminal.running(*TWO) as server:
        # given
        await serves(server)
        jobs = [await app.enqueue_job(crew.slow, 1.5) for _ in range(2)]
        await has_files(crew_terminal.folder, "slow-*", 2)
        family = server.family()

        # when
        for process in reversed(family) if reaches == "every process" else family[:1]:
            process.send_signal(signal.SIGTERM)

        # then
        assert server.wait() == 0
        assert survivors(family) == []
    assert [await state(app, job.job_id) for job in jobs] == ["completed", "completed"]


async def test_a_second_ctrl_c_ends_all_processes_at_once(crew_terminal: Terminal, app: App) -> None:
    with crew_terminal.running(*TWO) as server:
        # given
        await serves(server)
        jobs = [await app.enqueue_job(crew.slow, 600) for _ in range(2)]
        await has_files(crew_terminal.folder, "slow-*", 2)
        family = server.family()

        # when
        server.press_ctrl_c()
        await eventually(lambda: server.has_said("a second signal ends active jobs", times=2), DEADLINE_S)
        server.press_ctrl_c()

        # then
        assert server.wait() == 0
        assert survivors(family) == []
    assert [await state(app, job.job_id) for job in jobs] == ["waiting", "waiting"]


async def test_ctrl_c_before_anything_has_started_ends_with_0(crew_terminal: Terminal) -> None:
    with crew_terminal.running(*TWO) as server:
        # given
        await eventually(lambda: server.has_said("the first goes ahead"), DEADLINE_S)

        # when
        server.press_ctrl_c()

        # then
        assert server.wait() == 0
        assert "Traceback" not in server.said()


async def test_no_process_is_left_when_the_supervisor_is_killed(crew_terminal: Terminal, app: App) -> None:
    with crew_terminal.running(*TWO) as server:
        # given
        await serves(server)
        job = await app.enqueue_job(crew.slow, 1)
        await has_files(crew_terminal.folder, "slow-*", 1)
        orphans = workers(server)

        # when
        server.send(signal.SIGKILL)

        # then
        await eventually(lambda: not survivors(orphans), DEADLINE_S)
        assert "Traceback" not in server.said()
    assert await state(app, job.job_id) == "completed", "they end in good order"


@pytest.mark.parametrize("wrong", ["not-configured", "no-such-registry"])
def test_a_wrong_setting_is_said_once_and_ends_the_supervisor(crew_terminal: Terminal, wrong: str) -> None:
    # given
    changes = {"JOBS_REGISTRY": "nowhere:registry"} if wrong == "no-such-registry" else {}
    (crew_terminal.folder / wrong).touch()

    # when
    done = crew_terminal.run(*TWO, **changes)

    # then
    assert done.returncode == 2
    assert done.stderr.count("error: ") == 1
    assert ("JOBS_REGISTRY" if changes else "CREW_KEY") in done.stderr


async def test_the_supervisor_is_ready_while_all_processes_serve(crew_terminal: Terminal, port: int) -> None:
    def ask(path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{port}/{path}", timeout=10)

    def is_ready() -> bool:
        try:
            return ask("readyz").status_code == 200
        except httpx.TransportError:
            return False

    with crew_terminal.running(*TWO, "--health-port", str(port)) as server:
        # given
        await eventually(is_ready, DEADLINE_S)
        assert ask("readyz").json() == {"data": {"status": "ok", "redis": "ok", "database": "ok", "workers": "ok"}}

        # when one cannot come back
        broken = crew_terminal.folder / "broken"
        broken.touch()
        os.kill(workers(server)[-1].pid, signal.SIGKILL)

        # then
        await eventually(lambda: ask("readyz").status_code == 503, DEADLINE_S)
        assert ask("healthz").status_code == 200
        broken.unlink()
        await eventually(is_ready, DEADLINE_S)


async def test_long_lines_of_several_processes_stay_whole(crew_terminal: Terminal, app: App) -> None:
    with crew_terminal.running(*TWO) as server:
        # given
        await serves(server)

        # when
        talks = [await app.enqueue_job(crew.talk) for _ in range(4)]
        for one in talks:
            await one.wait(DEADLINE_S)

        # then every line is the JSON of one
        said = [line for line in lines(server) if line["event"] == crew.LONG_LINE]
        assert len(said) == 4 * 50


async def test_one_process_needs_no_supervisor(crew_terminal: Terminal) -> None:
    with crew_terminal.running("worker", "--processes", "1") as server:
        # when
        await serves(server, times=1)

        # then
        assert workers(server) == []


@pytest.mark.parametrize("words", [("--processes", "2", "--reload"), ("--processes", "-1")])
def test_what_cannot_be_had_is_wrong_usage(crew_terminal: Terminal, words: tuple[str, ...]) -> None:
    # when
    done = crew_terminal.run("worker", *words)

    # then
    assert done.returncode == 2
    assert "--processes" in done.stderr
