"""The processes of a worker: how many there are, how long they live, and that they end with it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import App, DefinitionError, JobContext, Registry, Worker, make_job
from jobqueue.handler import Handler
from jobqueue.settings import Settings
from jobqueue.worker.process import pool
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.processes import end, spawn
from tests.worker.crew import PASSED_ON, PROJECT
from tests.worker.harness import Site, ask, at_work, keys_of
from tests.worker.processes import SLOW_START_S, is_gone
from tests.worker.programs import in_process_ends as ends
from tests.worker.programs import in_process_main as program


async def where(site: Site) -> int:
    """Run a job; returns the process in which it ran."""
    pid, _ = await (await site.app.enqueue_job(program.where)).wait(SLOW_START_S)
    return int(pid)


# How many, and how long


async def test_a_process_is_used_again(settings: MakeSettings) -> None:
    async with at_work(settings(), program.where) as site:
        assert len({await where(site) for _ in range(5)}) == 1


async def test_there_are_no_more_processes_than_there_were_jobs_at_once(settings: MakeSettings) -> None:
    async with at_work(settings(worker_concurrency=2), program.where) as site:
        pids = await asyncio.gather(*(where(site) for _ in range(12)))

        assert len(set(pids)) <= 2
        assert set(pids) == site.worker.processes.pids


async def test_one_that_has_had_nothing_to_do_ends(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE_S", 0.05)

    async with at_work(settings(), program.where) as site:
        pid = await where(site)
        await eventually(lambda: not site.worker.processes.pids)

        assert is_gone(pid)
        assert await where(site) != pid


async def test_one_that_was_killed_while_it_had_nothing_to_do_is_replaced(settings: MakeSettings) -> None:
    async with at_work(settings(), program.where) as site:
        pid = await where(site)
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not site.worker.processes.pids)

        assert await where(site) != pid
        assert site.count("job.retried") == 0


async def test_one_that_ran_out_of_memory_is_not_used_again(settings: MakeSettings) -> None:
    handler = ends.handler_of(ends.memory, attempts=1)

    async with at_work(settings(worker_concurrency=1), handler, program.where) as site:
        pid = await where(site)
        job = await site.app.enqueue_job(handler)
        assert await site.end_of(job.job_id, SLOW_START_S) == ("failed", "MemoryError")

        assert await where(site) != pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_to_all_processes_of_a_service_does_not_end_one_before_its_job(
    settings: MakeSettings, number: signal.Signals
) -> None:
    async with at_work(settings(), program.where) as site:
        pid = await where(site)
        os.kill(pid, number)

        assert await where(site) == pid


async def test_they_end_with_the_worker(settings: MakeSettings) -> None:
    async with at_work(settings(), program.where) as site:
        pids = {await where(site), *await asyncio.gather(*(where(site) for _ in range(3)))}

    assert all(is_gone(pid) for pid in pids)
    assert site.worker.processes.pids == frozenset()


# A worker in a process of its own


def start_worker(settings: Settings, folder: Path, *how: str) -> subprocess.Popen[bytes]:
    environment = [f"{name.upper()}={getattr(settings, name)}" for name in PASSED_ON]
    environment.append("JOBS_REGISTRY=tests.worker.programs.in_process_main:registry")  # of the command line alone
    return spawn(["env", *environment, sys.executable, *how], cwd=PROJECT, log=folder / "worker.log")


BY = {
    "its name": ("-m", "tests.worker.programs.in_process_main"),
    "its path": ("tests/worker/programs/in_process_main.py",),
    "the command line": ("-m", "jobqueue.cli", "worker"),
}


@pytest.mark.parametrize("by", BY)
async def test_a_worker_may_be_started_by_the_file_of_its_handlers_or_by_another(
    settings: MakeSettings, tmp_path: Path, by: str
) -> None:
    ours = settings()

    async with App(Registry(program.HANDLERS), ours) as app:
        worker = start_worker(ours, tmp_path, *BY[by])
        try:
            pid, name = await (await app.enqueue_job(program.where)).wait(SLOW_START_S)
            job = await app.enqueue_job(program.despair)
            await eventually(lambda: is_failed(app, job.job_id), SLOW_START_S)

            assert pid != worker.pid
            assert name != "__main__"
            assert (await app.queue().job(job.job_id)).attempts_made == 1  # its error is known for what it is
        finally:
            end(worker, signal.SIGTERM)
        assert worker.returncode == 0
        assert is_gone(pid)


async def is_failed(app: App, job_id: str) -> bool:
    return (await app.queue().outcome(job_id))[0] == "failed"


@pytest.mark.parametrize("how", ["a lock", "the processor", "the interpreter"])
async def test_none_outlives_a_worker_that_is_killed_whatever_its_handler_holds(
    settings: MakeSettings, redis: Redis, tmp_path: Path, how: str
) -> None:
    ours = settings()

    async with App(Registry(program.HANDLERS), ours) as app:
        worker = start_worker(ours, tmp_path, *BY["its name"])
        try:
            await (await app.enqueue_job(program.where)).wait(SLOW_START_S)
            held = await app.enqueue_job(program.hold, how)
            logs = keys_of(ours).job_logs(held.job_id)
            [pid] = await eventually(lambda: ask(redis, "LRANGE", logs, 0, -1), SLOW_START_S)

            worker.kill()
            worker.wait()

            await eventually(lambda: is_gone(int(pid)), 1.0)
        finally:
            end(worker, signal.SIGKILL)


# What cannot be found


def decorated_without_a_trace(function: Callable[[JobContext], None]) -> Callable[[JobContext], None]:
    def wrapper(ctx: JobContext) -> None:
        function(ctx)

    return wrapper


@decorated_without_a_trace
def hidden(ctx: JobContext) -> None: ...


def hides(ctx: JobContext) -> None: ...


def replaced(ctx: JobContext) -> None: ...


was_replaced = make_job(replaced, name="replaced", run_in="process")


def local() -> Handler[None]:
    def inner(ctx: JobContext) -> None: ...

    return make_job(inner, name="local", run_in="process")


UNFIT: dict[str, tuple[Callable[[], Handler[Any]], str]] = {
    "a lambda": (lambda: make_job(lambda ctx: None, name="x", run_in="process"), "is a lambda"),
    "a local function": (local, "is defined inside another function"),
    "a function behind another": (
        lambda: make_job(hidden, name="hidden", run_in="process"),
        "is defined inside another function",
    ),
}


@pytest.mark.parametrize("what", UNFIT)
async def test_a_function_that_another_process_cannot_import_is_refused_at_the_start(
    settings: MakeSettings, what: str
) -> None:
    make, problem = UNFIT[what]

    async with App(Registry([make()]), settings()) as app:
        with pytest.raises(DefinitionError, match=problem):
            await Worker(app).start()


async def test_a_function_whose_name_belongs_to_another_one_is_refused(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "replaced", hides)

    async with App(Registry([was_replaced]), settings()) as app:
        with pytest.raises(DefinitionError, match=r"is not what .+ has under that name"):
            await Worker(app).start()


async def test_a_function_that_was_typed_in_is_refused() -> None:
    program = """
from jobqueue import make_job
from jobqueue.worker.process.location import check_importable
def typed_in(ctx): ...
check_importable(make_job(typed_in, run_in="process"))
"""
    python = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert "DefinitionError: run_in: handler 'typed_in'" in python.stderr
    assert "is defined in a __main__ that is no file" in python.stderr
