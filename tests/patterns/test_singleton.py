"""Singleton: of all runs of a handler one holds the lock."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import App, InvalidPayload, JobContext, JobFailed, Registry, fixed, make_singleton_job
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, Gate, keys_of, leave_lock, own_keys, serving, working
from tests.support.eventually import eventually
from tests.support.foreign import add_foreign, has_ended


class Rooms:
    """Counts who is inside at once, by room."""

    def __init__(self) -> None:
        self.inside: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.order: list[str] = []

    async def stay(self, room: str, who: str) -> None:
        self.inside[room] = self.inside.get(room, 0) + 1
        self.most[room] = max(self.most.get(room, 0), self.inside[room])
        self.order.append(who)
        await asyncio.sleep(0.05)  # long enough for a second run to come in, if it could
        self.inside[room] -= 1


async def test_of_two_at_once_exactly_one_runs_and_the_other_tells_who_did(settings: MakeSettings) -> None:
    gate = Gate()

    @make_singleton_job
    async def clean(ctx: JobContext) -> str:
        await gate.wait()
        return "cleaned"

    async with working(settings(), clean) as app:
        first = await app.enqueue_job(clean)
        await gate.reached.wait()
        second = await app.enqueue_job(clean)

        assert await second.wait(WAIT_S) == {"skipped": True, "holder": first.job_id}
        gate.opened.set()
        assert await first.wait(WAIT_S) == "cleaned"


async def test_a_skipped_job_is_completed_in_bullmqs_books(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    gate = Gate()

    @make_singleton_job
    async def clean(ctx: JobContext) -> None:
        await gate.wait()

    async with working(settings(), clean) as app:
        await app.enqueue_job(clean)
        await gate.reached.wait()
        second = await app.enqueue_job(clean)
        await second.wait(WAIT_S)

        assert await redis.zscore(f"{prefix}:jobs:completed", second.job_id) is not None
        assert (await app.queue().job(second.job_id)).attempts_made == 1
        gate.opened.set()


async def test_over_two_workers_there_is_one_lock(settings: MakeSettings) -> None:
    rooms = Rooms()

    @make_singleton_job(on_busy="wait")
    async def clean(ctx: JobContext) -> None:
        await rooms.stay("all", ctx.job.id)

    async with working(settings(worker_concurrency=2), clean) as app, serving(app):
        jobs = [await app.enqueue_job(clean) for _ in range(4)]
        await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert rooms.most == {"all": 1}


async def test_a_key_splits_the_handler(settings: MakeSettings) -> None:
    rooms = Rooms()
    both = asyncio.Barrier(2)

    def tenant(payload: str) -> str:
        return payload.partition("/")[0]

    @make_singleton_job(key=tenant)
    async def clean(ctx: JobContext, payload: str) -> str:
        await both.wait()  # each can only go on while the other runs
        await rooms.stay(tenant(payload), payload)
        return "cleaned"

    async with working(settings(), clean) as app:
        jobs = [await app.enqueue_job(clean, payload) for payload in ("a/1", "b/1")]
        assert await asyncio.gather(*(job.wait(WAIT_S) for job in jobs)) == ["cleaned", "cleaned"]


@pytest.mark.parametrize("key", ["with space", "a:b", "ünïcode", "x" * 1_000])
async def test_any_text_is_a_key_and_leaves_nothing_behind(
    settings: MakeSettings, redis: Redis, prefix: str, key: str
) -> None:
    @make_singleton_job(key=lambda payload: payload)
    async def clean(ctx: JobContext, payload: str) -> str:
        return "cleaned"

    async with working(settings(), clean) as app:
        assert await (await app.enqueue_job(clean, key)).wait(WAIT_S) == "cleaned"

    assert await own_keys(redis, prefix) == {"job:fence:last"}
    assert await redis.pttl(f"{prefix}:jobs:job:fence:last") > 0


async def test_cron_triggered_and_ad_hoc_runs_take_one_lock(settings: MakeSettings) -> None:
    """The row of a cron job is no part of the identity: two rows and its ad-hoc runs exclude each other."""
    rooms = Rooms()

    @make_singleton_job(name="clean", on_busy="wait")
    async def clean(ctx: JobContext) -> None:
        await rooms.stay("one", ctx.job.id)

    async with working(settings(worker_concurrency=5), clean) as app:
        runs = [await add_foreign(app, "clean", data, {}) for data in FROM_CRON]
        runs.append((await app.enqueue_job(clean)).job_id)
        for job_id in runs:
            await eventually(partial(has_ended, app, job_id))

    assert rooms.most == {"one": 1}


FROM_CRON = (
    '{"type":"cron","payload":null,"id":"row-1"}',
    '{"type":"cron","payload":null,"id":"row-2"}',
    '{"type":"cronTrigger","payload":null,"id":"row-1"}',
)


async def test_two_handlers_with_the_same_key_do_not_meet(settings: MakeSettings) -> None:
    both = asyncio.Barrier(2)

    async def clean(ctx: JobContext, payload: str) -> str:
        await both.wait()
        return ctx.job.name

    def by_payload(payload: str) -> str:
        return payload

    one = make_singleton_job(clean, name="one", key=by_payload)
    two = make_singleton_job(clean, name="two", key=by_payload)

    async with working(settings(), one, two) as app:
        jobs = [await app.enqueue_job(one, "k"), await app.enqueue_job(two, "k")]
        assert await asyncio.gather(*(job.wait(WAIT_S) for job in jobs)) == ["one", "two"]


async def test_waiting_runs_both_one_after_the_other_and_uses_no_attempt(settings: MakeSettings) -> None:
    gate = Gate()
    runs: list[tuple[str, int]] = []

    @make_singleton_job(on_busy="wait", attempts=1)
    async def clean(ctx: JobContext) -> None:
        runs.append((ctx.job.id, ctx.job.attempt))
        await gate.wait()

    async with working(settings(), clean) as app:
        first = await app.enqueue_job(clean)
        await gate.reached.wait()
        second = await app.enqueue_job(clean)
        await eventually(lambda: is_delayed(app, second.job_id))
        gate.opened.set()

        await asyncio.gather(first.wait(WAIT_S), second.wait(WAIT_S))
        assert (await app.queue().job(second.job_id)).attempts_made == 1

    assert runs == [(first.job_id, 1), (second.job_id, 1)]


async def is_delayed(app: App, job_id: str) -> bool:
    return await app.client.call("ZSCORE", app.queue().keys.of("delayed"), job_id) is not None


async def test_queued_jobs_all_run_at_concurrency_one(settings: MakeSettings) -> None:
    """Completion fetches the next job: it must find the lock of the one before it given back."""
    runs: list[str] = []

    @make_singleton_job
    async def clean(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        return "cleaned"

    async with App(Registry([clean]), settings(worker_concurrency=1)) as app:
        jobs = await app.enqueue_jobs((clean, None) for _ in range(20))
        async with serving(app):
            assert await asyncio.gather(*(job.wait(WAIT_S) for job in jobs)) == ["cleaned"] * 20

    assert len(runs) == 20


async def test_a_try_that_fails_gives_the_lock_back_before_its_backoff(settings: MakeSettings) -> None:
    @make_singleton_job(attempts=2, backoff=fixed(60_000))
    async def clean(ctx: JobContext, payload: str) -> str:
        if payload == "fails":
            raise RuntimeError("no route")
        return "cleaned"

    async with working(settings(), clean) as app:
        failing = await app.enqueue_job(clean, "fails")
        await eventually(lambda: is_delayed(app, failing.job_id))

        assert await (await app.enqueue_job(clean, "works")).wait(WAIT_S) == "cleaned"


async def test_a_key_that_raises_is_refused_before_anything_is_stored(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    def broken(payload: str) -> str:
        raise KeyError(payload)

    @make_singleton_job(key=broken)
    async def clean(ctx: JobContext, payload: str) -> None: ...

    async with App(Registry([clean]), settings()) as app:
        with pytest.raises(InvalidPayload, match="key raised KeyError"):
            await app.enqueue_job(clean, "tenant")

    assert await keys_of(redis, prefix) == set()


BAD_KEYS = [None, 5, "", "x" * 1_001, "x" * 10_000, "lone \ud800", "line\nbreak", "{tag}", ["a"]]


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_a_key_that_is_no_usable_text_is_refused_before_anything_is_stored(
    settings: MakeSettings, redis: Redis, prefix: str, key: Any
) -> None:
    """Taken as it is, None and "None" would be one lock, and a surrogate would wedge the job."""

    @make_singleton_job(key=lambda payload: key)
    async def clean(ctx: JobContext, payload: str) -> None: ...

    async with App(Registry([clean]), settings()) as app:
        with pytest.raises(InvalidPayload, match="key"):
            await app.enqueue_job(clean, "tenant")

    assert await keys_of(redis, prefix) == set()


async def test_a_foreign_job_whose_key_cannot_be_used_fails_with_the_reason(settings: MakeSettings) -> None:
    @make_singleton_job(key=lambda payload: payload)
    async def clean(ctx: JobContext, payload: str) -> None: ...

    async with working(settings(), clean) as app:
        job_id = await add_foreign(app, "clean", '"line\\nbreak"', {"attempts": 1})
        await eventually(lambda: has_ended(app, job_id))

        assert "key" in ((await app.queue().job(job_id)).failed_reason or "")


# Redelivery


async def test_a_redelivered_job_takes_over_the_lock_that_its_dead_worker_left(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """The worker died in the run: the job is active without a lock of BullMQ's, its singleton lock has minutes left."""

    @make_singleton_job
    async def clean(ctx: JobContext) -> str:
        return "cleaned"

    async with App(Registry([clean]), settings()) as app:
        job = await app.enqueue_job(clean)
        await redis.lmove(f"{prefix}:jobs:wait", f"{prefix}:jobs:active", "LEFT", "RIGHT")
        await redis.sadd(f"{prefix}:jobs:stalled", job.job_id)
        await leave_lock(redis, prefix, job.job_id)

        async with serving(app):
            assert await job.wait(WAIT_S) == "cleaned"

    assert await own_keys(redis, prefix) == {"job:fence:last"}


async def test_a_quarantined_singleton_gives_its_lock_back(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    """It was failed before it was asked about its lock, which stayed with it: the next job of that identity came five
    minutes later.
    """

    @make_singleton_job
    async def clean(ctx: JobContext) -> str:
        return "cleaned"

    async with App(Registry([clean]), settings()) as app:
        deadly = await app.enqueue_job(clean)
        await redis.hset(f"{prefix}:jobs:{deadly.job_id}", "stc", "3")
        await leave_lock(redis, prefix, deadly.job_id)
        async with serving(app):
            with pytest.raises(JobFailed, match="quarantined"):
                await deadly.wait(WAIT_S)

            assert await (await app.enqueue_job(clean)).wait(WAIT_S) == "cleaned"


async def test_another_job_does_not_take_over_the_lock_that_a_dead_worker_left(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    @make_singleton_job
    async def clean(ctx: JobContext) -> str:
        return "cleaned"

    async with working(settings(), clean) as app:
        await leave_lock(redis, prefix, "dead-1")

        assert await (await app.enqueue_job(clean)).wait(WAIT_S) == {"skipped": True, "holder": "dead-1"}


async def test_a_lock_that_has_expired_is_free(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    @make_singleton_job
    async def clean(ctx: JobContext) -> str:
        return "cleaned"

    async with working(settings(), clean) as app:
        await leave_lock(redis, prefix, "dead-1")
        await redis.pexpire(f"{prefix}:jobs:job:lock:clean", 1)

        assert await eventually(lambda: taken_by(app)) == "cleaned"


async def taken_by(app: App) -> object:
    result = await (await app.enqueue_job("clean")).wait(WAIT_S)
    return result if isinstance(result, str) else None
