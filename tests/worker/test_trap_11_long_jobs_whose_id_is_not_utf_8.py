"""Trap 11: a job whose id is not UTF-8 keeps its lock, and that of every other job, for as long as it runs."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import add_raw, ask, at_work, keys_of


async def test_a_job_whose_id_is_not_utf_8_is_renewed_and_so_is_its_sibling(
    settings: MakeSettings, redis: Redis
) -> None:
    runs: list[str] = []

    async def work(ctx: JobContext) -> None:
        runs.append(ctx.job.id)
        await asyncio.sleep(2.5)  # the subject: two and a half times the lock

    handler = make_job(work)
    ours = settings(worker_lock_ms=1_000, worker_stalled_ms=100)
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        sibling = await site.app.enqueue_job(handler)
        fields: dict[str, str | bytes] = {"name": "work", "data": "{}", "opts": "{}", "timestamp": "1"}
        await add_raw(redis, keys, b"\xff\xfe", fields)

        async def both_have_ended() -> bool:
            return int(await ask(redis, "ZCARD", keys.of("completed"))) == 2

        await eventually(both_have_ended)

        assert (await site.end_of(sibling.job_id))[0] == "completed"
        assert len(runs) == 2
        assert (site.count("job.stalled"), site.count("job.fenced")) == (0, 0)
