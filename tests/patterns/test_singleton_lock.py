"""The singleton's lock itself: owner tokens, fences, renewal, and what a run does that has lost it."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, JobFailed, Registry, fixed, locks, make_singleton_job
from jobqueue.queue import Queue
from jobqueue.scripts import around
from jobqueue.transitions import Lock
from jobqueue.worker import renewer
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, Gate, own_keys, working
from tests.support.eventually import eventually
from tests.support.foreign import has_ended


async def take(queue: Queue, job_id: str, token: str) -> Lock:
    lock = await locks.acquire(queue, "clean", job_id, token)
    assert isinstance(lock, Lock)
    return lock


async def test_of_many_who_ask_at_once_exactly_one_wins(settings: MakeSettings) -> None:
    async with App(Registry(), settings()) as app:
        answers = await asyncio.gather(*(locks.acquire(app.queue(), "clean", str(n), f"t{n}") for n in range(50)))

    winners = [answer for answer in answers if isinstance(answer, Lock)]
    assert len(winners) == 1
    assert {answer.holder for answer in answers if isinstance(answer, locks.Busy)} == {winners[0].token[1:]}


async def end_of_try(queue: Queue, lock: Lock) -> None:
    """What the record of a try does to its lock, around a shipped script that changes nothing else."""
    keys = [*(queue.keys.of(word) for word in ("completed", "failed")), queue.keys.job("nobody"), lock.key]
    await queue.client.run(around("givingLockBack", "isFinished"), keys, ["nobody", "", lock.token])


async def test_the_end_of_a_try_gives_back_its_own_lock_only(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    async with App(Registry(), settings()) as app:
        queue = app.queue()
        old = await take(queue, "1", "old")
        await redis.delete(old.key)  # it expired
        new = await take(queue, "2", "new")

        await end_of_try(queue, old)
        assert await redis.hget(new.key, "token") == "new"
        await end_of_try(queue, new)

    assert await own_keys(redis, prefix) == {"job:fence:clean"}


async def test_a_jobs_later_run_does_not_lose_its_lock_to_its_earlier_one(settings: MakeSettings, redis: Redis) -> None:
    """The earlier worker was thought dead and wakes up: same job, another token."""
    async with App(Registry(), settings()) as app:
        queue = app.queue()
        earlier = await take(queue, "1", "earlier")
        later = await take(queue, "1", "later")

        await end_of_try(queue, earlier)
        assert await redis.hget(later.key, "token") == "later"


async def test_the_fence_grows_with_every_acquisition(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    fences: list[int] = []

    async with App(Registry(), settings()) as app:
        for number in range(20):
            lock = await take(app.queue(), str(number), f"t{number}")
            fences.append(lock.fence)
            await end_of_try(app.queue(), lock)
            if number == 10:
                await redis.delete(f"{prefix}:jobs:job:fence:clean")  # even where Redis has lost the last number

    assert fences == sorted(set(fences))


async def test_the_fence_reaches_the_handler_and_grows(settings: MakeSettings) -> None:
    @make_singleton_job
    async def clean(ctx: JobContext) -> int | None:
        return ctx.fence

    async with working(settings(), clean) as app:
        fences = [await (await app.enqueue_job(clean)).wait(WAIT_S) for _ in range(3)]

    assert fences == sorted(set(fences))


async def test_the_lock_is_renewed_while_the_run_lasts(
    settings: MakeSettings, redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewer, "HEARTBEAT_MS", 50)
    key = f"{prefix}:jobs:job:lock:clean"
    gate = Gate()

    @make_singleton_job
    async def clean(ctx: JobContext) -> str:
        await gate.wait()
        return "cleaned"

    async def is_renewed() -> bool:
        return await redis.pttl(key) > 60_000

    async with working(settings(), clean) as app:
        job = await app.enqueue_job(clean)
        await gate.reached.wait()
        await redis.pexpire(key, 5_000)
        await eventually(is_renewed)
        gate.opened.set()

        assert await job.wait(WAIT_S) == "cleaned"


def test_the_heartbeat_leaves_room_for_missed_beats() -> None:
    assert (3 + 1) * locks.HEARTBEAT_MS < locks.LOCK_TTL_MS


async def test_a_run_whose_lock_is_stolen_is_told_and_its_try_fails_and_is_repeated(
    settings: MakeSettings, redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewer, "HEARTBEAT_MS", 50)
    key = f"{prefix}:jobs:job:lock:clean"
    told: list[str] = []
    gate = Gate()

    @make_singleton_job(attempts=2, backoff=fixed(10))
    async def clean(ctx: JobContext) -> int:
        if ctx.job.attempt == 1:
            gate.reached.set()
            told.append(await ctx.signal.wait())
        return ctx.job.attempt

    async with working(settings(), clean) as app:
        job = await app.enqueue_job(clean)
        await gate.reached.wait()
        await redis.hset(key, mapping={"job": "thief", "token": "thief"})
        await eventually(lambda: bool(told))
        assert await redis.hget(key, "token") == "thief"
        await redis.delete(key)

        await eventually(lambda: has_ended(app, job.job_id))
        stored = await app.queue().job(job.job_id)

    assert told == ["the singleton lock was lost"]
    assert stored.result in (2, {"skipped": True, "holder": "thief"})
    assert stored.failed_reason == "the singleton lock was lost"


async def test_a_lost_lock_at_the_last_try_fails_the_job_with_that_reason(
    settings: MakeSettings, redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewer, "HEARTBEAT_MS", 50)
    gate = Gate()

    @make_singleton_job(attempts=1)
    async def clean(ctx: JobContext) -> str:
        gate.reached.set()
        await ctx.signal.wait()
        return "as if nothing had happened"

    async with working(settings(), clean) as app:
        job = await app.enqueue_job(clean)
        await gate.reached.wait()
        await redis.delete(f"{prefix}:jobs:job:lock:clean")

        with pytest.raises(JobFailed, match=r"^the singleton lock was lost$"):
            await job.wait(WAIT_S)
