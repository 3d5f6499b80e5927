"""Superseding: a newer job with the same key stops the older one, and the last one always runs."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import (
    App,
    JobContext,
    JobFailed,
    Registry,
    fixed,
    make_job,
    make_superseding_job,
)
from jobqueue.clock import now_ms
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, Gate, own_keys, serving, working
from tests.support.eventually import eventually


def by_payload(payload: str) -> str:
    return payload


class Sync:
    """What became of the runs of a `sync` handler that takes two seconds where nobody stops it."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        self.aborted_at_start: list[bool] = []
        self.reasons: list[str] = []
        self.running = asyncio.Event()

    async def run(self, ctx: JobContext, payload: str) -> str:
        self.aborted_at_start.append(ctx.signal.aborted)
        self.started.append(ctx.job.id)
        self.running.set()
        if payload.startswith("long"):
            for _ in range(40):
                await asyncio.sleep(0.05)  # the work
                if ctx.signal.aborted:
                    self.reasons.append(ctx.signal.reason or "")
                ctx.raise_if_cancelled()
        self.ended.append(ctx.job.id)
        return "synced"


# A job that is running


async def test_a_job_superseded_in_its_run_ends_soon_and_its_rest_does_not_run(settings: MakeSettings) -> None:
    sync = Sync()
    handler = make_superseding_job(sync.run, name="sync", dedupe_key=lambda _: "r1")

    async with working(settings(), handler) as app:
        first = await app.enqueue_job(handler, "long")
        await sync.running.wait()
        await asyncio.sleep(0.1)  # the first is well in its run
        began_ms = now_ms()
        second = await app.enqueue_job(handler, "short")

        assert await first.wait(WAIT_S) == {"superseded": True, "by": second.job_id}
        assert now_ms() - began_ms < 1_000
        assert await second.wait(WAIT_S) == "synced"

    assert second.superseded == first.job_id
    assert sync.started == [first.job_id, second.job_id]
    assert sync.ended == [second.job_id]
    assert sync.aborted_at_start == [False, False]
    assert sync.reasons == [f"superseded by job {second.job_id}"]


async def test_the_push_alone_tells_it_at_once(
    settings: MakeSettings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobqueue.worker.marks.POLL_S", 60.0)
    told = asyncio.Event()
    gate = Gate()

    @make_superseding_job(dedupe_key=lambda _: "r1")
    async def sync(ctx: JobContext, payload: str) -> None:
        if payload == "first":
            gate.reached.set()
            await ctx.signal.wait()
            told.set()

    async with working(settings(), sync) as app:
        await app.enqueue_job(sync, "first")
        await gate.reached.wait()
        await eventually(lambda: subscribers(redis, app.queue().keys.signals()))
        await app.enqueue_job(sync, "second")

        await asyncio.wait_for(told.wait(), 0.7)


async def test_the_poll_alone_tells_it_within_700_ms(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    """The mark is written by hand: nothing is published, as if the subscriber's connection were gone."""
    told: list[int] = []
    gate = Gate()

    @make_superseding_job(dedupe_key=by_payload)
    async def sync(ctx: JobContext, payload: str) -> None:
        gate.reached.set()
        await ctx.signal.wait()
        told.append(now_ms())

    async with working(settings(), sync) as app:
        job = await app.enqueue_job(sync, "r1")
        await gate.reached.wait()
        marked_ms = now_ms()
        await redis.set(f"{prefix}:jobs:job:superseded:{job.job_id}", "newer")

        assert await job.wait(WAIT_S) == {"superseded": True, "by": "newer"}

    assert told[0] - marked_ms < 700


async def test_a_lost_push_connection_is_made_again(settings: MakeSettings, redis: Redis) -> None:
    gate = Gate()

    @make_superseding_job(dedupe_key=lambda _: "r1")
    async def sync(ctx: JobContext, payload: str) -> str:
        if payload == "first":
            gate.reached.set()
            await ctx.signal.wait()
        return "synced"

    async with working(settings(), sync) as app:
        first = await app.enqueue_job(sync, "first")
        await gate.reached.wait()
        channel = app.queue().keys.signals()
        await eventually(lambda: subscribers(redis, channel))
        await redis.client_kill_filter(_type="pubsub", skipme=True)

        second = await app.enqueue_job(sync, "second")
        assert await first.wait(WAIT_S) == {"superseded": True, "by": second.job_id}
        await eventually(lambda: subscribers(redis, channel))


async def subscribers(redis: Redis, channel: str) -> bool:
    (_, count), *_ = await redis.pubsub_numsub(channel)
    return count == 1


async def test_a_run_that_ignores_the_signal_is_cancelled_after_its_grace(settings: MakeSettings) -> None:
    gate = Gate()
    went_on: list[str] = []

    @make_superseding_job(dedupe_key=lambda _: "r1", grace_ms=50)
    async def sync(ctx: JobContext, payload: str) -> str:
        if payload == "first":
            await gate.wait()
            went_on.append(payload)
        return "synced"

    async with working(settings(), sync) as app:
        first = await app.enqueue_job(sync, "first")
        await gate.reached.wait()
        second = await app.enqueue_job(sync, "second")

        assert await first.wait(WAIT_S) == {"superseded": True, "by": second.job_id}
    assert went_on == []


@pytest.mark.parametrize("ending", ["returns", "raises", "cancelled"])
async def test_however_a_superseded_run_ends_it_completes_as_superseded(settings: MakeSettings, ending: str) -> None:
    gate = Gate()

    @make_superseding_job(dedupe_key=lambda _: "r1", attempts=5)
    async def sync(ctx: JobContext, payload: str) -> str:
        if payload == "second":
            return "synced"
        gate.reached.set()
        await ctx.signal.wait()
        if ending == "raises":
            raise RuntimeError("the connection broke while it was stopped")
        if ending == "cancelled":
            raise asyncio.CancelledError
        return "as if nothing had happened"

    async with working(settings(), sync) as app:
        first = await app.enqueue_job(sync, "first")
        await gate.reached.wait()
        second = await app.enqueue_job(sync, "second")

        assert await first.wait(WAIT_S) == {"superseded": True, "by": second.job_id}
        assert (await app.queue().job(first.job_id)).failed_reason is None


async def test_a_mark_that_comes_at_the_last_moment_still_counts(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """The handler never saw it; the check is made again where completion is written."""

    @make_superseding_job(dedupe_key=by_payload)
    async def sync(ctx: JobContext, payload: str) -> str:
        await redis.set(f"{prefix}:jobs:job:superseded:{ctx.job.id}", "newer")
        return "synced"

    async with working(settings(), sync) as app:
        assert await (await app.enqueue_job(sync, "r1")).wait(WAIT_S) == {"superseded": True, "by": "newer"}

    assert await own_keys(redis, prefix) == set()


# A job that has not started


async def test_a_job_superseded_before_its_start_never_runs(settings: MakeSettings) -> None:
    sync = Sync()
    handler = make_superseding_job(sync.run, name="sync", dedupe_key=by_payload)

    async with App(Registry([handler]), settings()) as app:
        jobs = [await app.enqueue_job(handler, "r1") for _ in range(4)]
        async with serving(app):
            results = [await job.wait(WAIT_S) for job in jobs]

    assert results == [{"superseded": True, "by": job.job_id} for job in jobs[1:]] + ["synced"]
    assert sync.started == [jobs[-1].job_id]
    assert [job.superseded for job in jobs] == [None, *(job.job_id for job in jobs[:-1])]


async def test_a_delayed_job_is_superseded_while_it_waits(settings: MakeSettings) -> None:
    sync = Sync()
    handler = make_superseding_job(sync.run, name="sync", dedupe_key=by_payload)

    async with working(settings(), handler) as app:
        first = await app.enqueue_job(handler, "r1", delay_ms=300)
        second = await app.enqueue_job(handler, "r1")

        assert await second.wait(WAIT_S) == "synced"
        assert await first.wait(WAIT_S) == {"superseded": True, "by": second.job_id}

    assert sync.started == [second.job_id]


async def test_a_delayed_newer_job_supersedes_at_once_and_runs_in_its_time(settings: MakeSettings) -> None:
    sync = Sync()
    handler = make_superseding_job(sync.run, name="sync", dedupe_key=lambda _: "r1")

    async with working(settings(), handler) as app:
        first = await app.enqueue_job(handler, "long")
        await sync.running.wait()
        second = await app.enqueue_job(handler, "short", delay_ms=300)

        assert await first.wait(WAIT_S) == {"superseded": True, "by": second.job_id}
        assert await second.wait(WAIT_S) == "synced"


async def test_a_superseded_job_whose_children_are_not_finished_ends(settings: MakeSettings) -> None:
    """It could not complete, so it was to fail; its mark refused that, so it was to complete; and so on without end."""
    gate = Gate()

    @make_superseding_job(dedupe_key=lambda payload: payload)
    async def parent(ctx: JobContext, payload: str) -> str:
        if not gate.reached.is_set():
            await ctx.enqueue_child(child, delay_ms=60_000)
            gate.reached.set()
            await ctx.signal.wait()
        return "done"

    @make_job
    async def child(ctx: JobContext) -> None: ...

    async with working(settings(), parent, child) as app:
        first = await app.enqueue_job(parent, "r1")
        await gate.reached.wait()
        second = await app.enqueue_job(parent, "r1")

        assert await second.wait(WAIT_S) == "done"
        with pytest.raises(JobFailed, match="its children are not all finished"):
            await first.wait(WAIT_S)


async def test_a_job_in_backoff_is_superseded(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    runs: list[str] = []

    @make_superseding_job(dedupe_key=lambda _: "r1", attempts=3, backoff=fixed(400))
    async def sync(ctx: JobContext, payload: str) -> str:
        runs.append(payload)
        if payload == "first":
            raise RuntimeError("no route")
        return "synced"

    async def in_backoff() -> bool:
        return await redis.zscore(f"{prefix}:jobs:delayed", "1") is not None

    async with working(settings(), sync) as app:
        first = await app.enqueue_job(sync, "first")
        await eventually(in_backoff)
        second = await app.enqueue_job(sync, "second")

        assert await second.wait(WAIT_S) == "synced"
        assert await first.wait(WAIT_S) == {"superseded": True, "by": second.job_id}

    assert runs == ["first", "second"]
    assert await own_keys(redis, prefix) == set()
