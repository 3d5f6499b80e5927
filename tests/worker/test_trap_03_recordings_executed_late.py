"""Trap 3, the last corner: a recording that was given up, and that Redis executes after we have asked about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from jobqueue.scripts import around
from tests.conftest import MakeSettings
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.worker.harness import ask, at_work

COMPLETION = around("endTry", "moveToFinished")
_CHUNK = 256 * 1024


class TardyProxy(Proxy):
    """Cuts off the first request that holds `needle`, and lets it reach the server just before its repetition."""

    def __init__(self, url: str, needle: str) -> None:
        super().__init__(url)
        self._needle = needle.encode()
        self._kept: bytes | None = None
        self.late = False

    async def lets_pass(self, command: bytes) -> bool:
        if self._needle in command and not self.late:
            if self._kept is None:
                self._kept = command
                return False
            await self._deliver_late(self._kept)
        return True

    async def _deliver_late(self, kept: bytes) -> None:
        self.late = True
        reader, writer = await asyncio.open_connection(*self.target)
        writer.write(kept)
        await reader.read(_CHUNK)
        writer.transport.abort()


@asynccontextmanager
async def tardy(server: RedisServer, needle: str) -> AsyncGenerator[TardyProxy]:
    proxy = TardyProxy(server.url, needle)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


@pytest.fixture(autouse=True)
async def known_scripts(redis: Redis) -> None:
    """Redis knows the script: else the request that is executed late would be refused."""
    await ask(redis, "SCRIPT", "LOAD", COMPLETION.text)


async def test_a_recording_that_is_executed_after_it_was_asked_about_is_a_success_and_its_next_job_runs(
    settings: MakeSettings, redis_server: RedisServer
) -> None:
    """The question finds the job still ours, so the recording is repeated; the one before it comes first after all,
    and fetches the next job: the repetition is told that the lock is gone, which is no loss.
    """
    runs: list[str] = []
    all_are_queued = asyncio.Event()

    async def work(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        await all_are_queued.wait()
        return "done"

    handler = make_job(work)

    async with (
        tardy(redis_server, COMPLETION.sha) as proxy,
        at_work(settings(redis_url=proxy.url, worker_concurrency=1), handler) as site,
    ):
        jobs = [await site.app.enqueue_job(handler) for _ in range(3)]
        all_are_queued.set()

        assert [await site.end_of(job.job_id) for job in jobs] == [("completed", '"done"')] * 3
        assert proxy.late
        assert runs == [job.job_id for job in jobs]
        assert (site.count("job.completed"), site.count("job.fenced")) == (3, 0)
