"""A cluster whose master dies under load: its replica takes over, and producers and workers go on there."""

from __future__ import annotations

import asyncio
from functools import partial

from jobqueue import App, JobContext, make_job
from jobqueue.job import Enqueued
from jobqueue.redis.retry import until_answered
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.redis_groups import running_cluster
from tests.support.redis_server import RedisServer
from tests.worker.harness import at_work

DEADLINE_S = 30.0


async def work(ctx: JobContext, number: int) -> int:
    await asyncio.sleep(0.02)  # the work
    return number


class Producer:
    """Enqueues one job after the other, each until it is stored, and keeps what it was told."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.stored: list[Enqueued] = []

    async def run(self) -> None:
        while True:
            number = len(self.stored)
            self.stored.append(await until_answered(partial(self._enqueue, number)))

    async def _enqueue(self, number: int) -> Enqueued:
        return await self._app.enqueue_job("work", number, job_id=f"job-{number}")


async def replicated(master: RedisServer, tag: str) -> None:
    """Wait until the replica has everything that the master has been told so far."""
    async with master.client() as client:
        await client.set(f"{tag}:last", "write")
        assert await client.wait(1, 5_000) == 1


async def test_a_master_that_is_killed_under_load_costs_no_job_that_its_replica_has(
    settings: MakeSettings, prefix: str
) -> None:
    tag = f"{{{prefix}}}"
    with running_cluster(with_replicas=True) as cluster:
        slot = cluster.slot(tag)
        old = cluster.owner(slot)
        async with at_work(settings(redis_url=cluster.url, jobs_prefix=tag), make_job(work)) as site:
            producer = Producer(site.app)
            producing = asyncio.ensure_future(producer.run())
            await eventually(lambda: len(producer.stored) > 100)
            safe = list(producer.stored)
            await replicated(old, tag)

            old.kill()
            at_the_death = len(producer.stored)
            await eventually(lambda: len(producer.stored) > at_the_death + 50, DEADLINE_S)
            producing.cancel()
            await asyncio.wait({producing})

            assert cluster.owner(slot) is not old
            kept = [*enumerate(safe), *enumerate(producer.stored[at_the_death + 1 :], at_the_death + 1)]
            assert [await job.wait(DEADLINE_S) for _, job in kept] == [number for number, _ in kept]
