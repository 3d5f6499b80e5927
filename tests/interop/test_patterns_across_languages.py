"""Superseding across languages, by the Node module that docs/wire.md shows."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from pydantic import JsonValue
from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_superseding_job
from tests.conftest import MakeSettings
from tests.interop.node_peer import NodePeer
from tests.patterns.working import WAIT_S, own_keys, serving
from tests.support.eventually import eventually

HERE = Path(__file__).parent
WIRE = HERE.parents[1] / "docs" / "wire.md"
LANE = "job:lane:sync:r1"


def of_resource(payload: str) -> str:
    return payload.partition(" ")[0]


@make_superseding_job(name="sync", dedupe_key=of_resource)
async def sync(ctx: JobContext, payload: str) -> str:
    return payload


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """The block of the documentation as a module, which finds BullMQ where the tests have it."""
    block = re.search(r"```js\n(// superseding\.mjs\n.*?)```", WIRE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    module = tmp_path / "superseding.mjs"
    module.write_text(block[1], encoding="utf-8")
    return module


def superseded_by(job_id: str) -> JsonValue:
    return {"superseded": True, "by": job_id}


async def test_a_node_caller_supersedes_a_run_of_ours(
    settings: MakeSettings, watched: NodePeer, module: Path, redis: Redis, prefix: str
) -> None:
    started = asyncio.Event()

    @make_superseding_job(name="sync", dedupe_key=of_resource)
    async def ours(ctx: JobContext, payload: str) -> str:
        if payload == "r1 old":
            started.set()
            await ctx.signal.wait()
        return payload

    async with App(Registry([ours]), settings()) as app, serving(app):
        older = await app.enqueue_job(ours, "r1 old")
        await started.wait()
        newer = await watched.add_superseding(module, "sync", "r1 new", "r1")

        assert newer.superseded == older.job_id
        assert await older.wait(WAIT_S) == superseded_by(newer.job_id)
        await has_completed(app, newer.job_id)
    assert await own_keys(redis, prefix) == set()


async def has_completed(app: App, job_id: str) -> None:
    async def is_completed() -> bool:
        return await app.queue().state(job_id) == "completed"

    await eventually(is_completed)


async def test_we_supersede_a_run_in_node(
    settings: MakeSettings, watched: NodePeer, module: Path, redis: Redis, prefix: str
) -> None:
    async with App(Registry([sync]), settings()) as app:
        older = await watched.add_superseding(module, "sync", "r1 old", "r1")
        await watched.start_superseding_worker(module, ms=600_000)
        await watched.wait_for_event("active", older.job_id)
        newer = await app.enqueue_job(sync, "r1 new")
        await watched.wait_for_event("completed", older.job_id, timeout_s=3)
        await watched.stop_worker(force=True)

        assert newer.superseded == older.job_id
        assert (await watched.job(older.job_id)).returnvalue == superseded_by(newer.job_id)
        assert await redis.get(f"{prefix}:jobs:job:superseded:{older.job_id}") is None


async def test_the_lane_of_a_job_that_ends_in_node_ends_with_it(
    settings: MakeSettings, watched: NodePeer, module: Path, redis: Redis, prefix: str
) -> None:
    async with App(Registry([sync]), settings()) as app:
        older = await app.enqueue_job(sync, "r1 old")
        newer = await watched.add_superseding(module, "sync", "r1 new", "r1")
        await watched.start_superseding_worker(module, ms=1)
        await watched.wait_for_event("completed", newer.job_id)

        assert await older.wait(WAIT_S) == superseded_by(newer.job_id)
        await eventually(lambda: nothing_of_ours(redis, prefix))


async def nothing_of_ours(redis: Redis, prefix: str) -> bool:
    return await own_keys(redis, prefix) == set()


async def test_of_many_callers_of_both_languages_at_once_exactly_one_is_not_superseded(
    settings: MakeSettings, watched: NodePeer, module: Path, redis: Redis, prefix: str
) -> None:
    async with App(Registry([sync]), settings()) as app:
        in_node = (watched.add_superseding(module, "sync", f"r1 {number}", "r1") for number in range(10))
        of_ours = (app.enqueue_job(sync, f"r1 {number}") for number in range(10))
        theirs, ours = await asyncio.gather(asyncio.gather(*in_node), asyncio.gather(*of_ours))

        claims = [(job.job_id, job.superseded) for job in theirs] + [(job.job_id, job.superseded) for job in ours]
        superseded = [old for _, old in claims if old is not None]
        assert len(superseded) == len(set(superseded)) == 19
        async with serving(app):
            await asyncio.gather(*(has_completed(app, job_id) for job_id, _ in claims))
        last = next(job_id for job_id, _ in claims if job_id not in superseded)
        assert str((await watched.job(last)).returnvalue).startswith("r1")
    assert await own_keys(redis, prefix) == set()


async def test_a_claim_in_node_leaves_in_redis_what_one_of_ours_leaves(
    settings: MakeSettings, watched: NodePeer, module: Path, redis: Redis, prefix: str
) -> None:
    async with App(Registry([sync]), settings()) as app:
        first = await app.enqueue_job(sync, "r1", delay_ms=600_000)
        ours = await look(redis, prefix, first.job_id)
        second = await watched.add_superseding(module, "sync", "r1", "r1", {"delay": 600_000})
        theirs = await look(redis, prefix, second.job_id)
        await app.enqueue_job(sync, "r1")

        marks = [f"{prefix}:jobs:job:superseded:{job_id}" for job_id in (first.job_id, second.job_id)]
        assert await redis.get(marks[0]) == second.job_id
        by_node, by_us = [await redis.pttl(mark) for mark in marks]

    assert theirs == ours
    assert abs(by_us - by_node) < 60_000


async def look(redis: Redis, prefix: str, job_id: str) -> tuple[dict[str, str], int]:
    """The lane, but for the time of its claim, and the minutes that it lives."""
    lane = f"{prefix}:jobs:{LANE}"
    fields = {str(name): str(value) for name, value in (await redis.hgetall(lane)).items()}
    assert fields.pop("holder") == job_id
    assert int(fields.pop("rank")) > 0
    assert fields.pop("at") == await redis.hget(f"{prefix}:jobs:{job_id}", "timestamp")
    return fields, round(await redis.pttl(lane) / 60_000)
