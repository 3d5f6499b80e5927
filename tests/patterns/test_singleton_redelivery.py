"""A singleton whose worker dies between the end of its run and the record of it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, Settings, make_singleton_job
from tests.conftest import MakeSettings
from tests.patterns import dying
from tests.patterns.working import WAIT_S, own_keys_of_jobs, serving
from tests.support.eventually import eventually
from tests.support.processes import end, spawn
from tests.support.proxy import Proxy, proxied
from tests.support.redis_server import RedisServer

PROJECT = Path(__file__).parents[2]
SHORT = {"worker_lock_ms": 1_000, "worker_stalled_ms": 100, "worker_shutdown_ms": 200}


@contextmanager
def worker_process(settings: Settings, folder: Path) -> Generator[None]:
    """The program `dying` at work; it is killed with -9 at the end of the block."""
    names = ("redis_url", "jobs_prefix", "worker_lock_ms", "worker_stalled_ms")
    environment = [f"{name.upper()}={getattr(settings, name)}" for name in names]
    command = ["env", f"FOLDER={folder}", *environment, sys.executable, "-m", dying.__name__]
    process = spawn(command, cwd=PROJECT, log=folder / "worker.log")
    try:
        yield
    finally:
        end(process, signal.SIGKILL)


async def go_silent_at_the_record(proxy: Proxy, lost: asyncio.Event) -> None:
    """The record is cut off; before it can be tried again nothing comes through any more."""
    await lost.wait()
    proxy.go_silent()


async def test_a_singleton_killed_before_its_end_is_recorded_is_not_skipped_when_it_comes_again(
    settings: MakeSettings, redis_server: RedisServer, redis: Redis, prefix: str, tmp_path: Path
) -> None:
    """The lock was given back in one call and the end recorded in the next. A worker that was killed between the
    two had run its job, and the lock was free: the next job took it, and when the first one was delivered again it
    was skipped as if somebody else had done its work. Its result was lost, and the two had run side by side.
    """
    first_has_ended = asyncio.Event()

    @make_singleton_job(name="clean")
    async def clean(ctx: JobContext) -> str:
        if ctx.job.id == "second":
            await first_has_ended.wait()
        return f"cleaned: {ctx.job.id}"

    ours = settings(**SHORT)
    async with App(Registry([clean]), ours) as app, proxied(redis_server.url) as proxy:
        # given: the handler of the first has returned, and its worker is killed before Redis hears of it
        first = await app.enqueue_job(clean, job_id="first")
        with worker_process(settings(redis_url=proxy.url, **SHORT), tmp_path):
            await eventually((tmp_path / "started").exists, 20)
            silenced = asyncio.ensure_future(go_silent_at_the_record(proxy, proxy.lose_request(dying.RESULT)))
            (tmp_path / "may_return").touch()
            await asyncio.wait_for(silenced, WAIT_S)

        # when: another worker takes over, with one more job for the same lock
        second = await app.enqueue_job(clean, job_id="second")
        async with serving(app):
            try:
                result_of_first = await first.wait(WAIT_S)
            finally:
                first_has_ended.set()
            result_of_second = await second.wait(WAIT_S)

    # then
    assert result_of_first == "cleaned: first"
    assert result_of_second == {"skipped": True, "holder": "first"}
    assert await own_keys_of_jobs(redis, prefix) == {"job:fence:last"}
