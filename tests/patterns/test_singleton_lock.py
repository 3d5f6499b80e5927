"""The singleton's lock itself: owner tokens, fences, renewal, and what a run does that has lost it."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, JobFailed, Registry, fixed, make_singleton_job, ties
from jobqueue.ending import Endings
from jobqueue.errors import LockLost
from jobqueue.job import Keep
from jobqueue.transitions import Claimant, Entry, Finish
from jobqueue.worker import admission, renewer
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, Gate, own_keys, working
from tests.support.eventually import eventually
from tests.support.foreign import has_ended


@make_singleton_job(name="clean")
async def clean_by_hand(ctx: JobContext) -> None: ...


class Attempt:
    """One worker's try of a singleton, step by step."""

    def __init__(self, app: App, token: str) -> None:
        self.queue = app.queue()
        self.claimant = Claimant(token, "by hand", 30_000)

    async def enter(self) -> Entry:
        """Claim the next job and ask whether it may run."""
        await self.claim()
        return await self.ask()

    async def claim(self) -> None:
        fetched = await self.queue.claim(self.claimant)
        self.job, unreadable = admission.read(self.queue.name, fetched)
        assert unreadable is None

    async def ask(self) -> Entry:
        keys = self.queue.keys
        self.ties = ties.of_picked_up_job(keys, clean_by_hand, None, self.job, self.claimant.token)
        return await self.queue.enter(self.job, self.ties, self.claimant, fetch=False)

    async def end(self) -> None:
        finish = Finish("completed", "null", Keep())
        await Endings(self.queue).finish(self.job, finish, self.claimant, self.ties, fetch=False)


async def test_of_many_who_ask_at_once_exactly_one_wins(settings: MakeSettings) -> None:
    async with App(Registry([clean_by_hand]), settings()) as app:
        await app.enqueue_jobs([(clean_by_hand, None)] * 50)
        attempts = [Attempt(app, f"t{number}") for number in range(50)]
        entries = await asyncio.gather(*(attempt.enter() for attempt in attempts))

    winners = [attempt.job.id for attempt, entry in zip(attempts, entries, strict=True) if entry.verdict == "run"]
    assert len(winners) == 1
    assert {entry.other for entry in entries if entry.verdict == "busy"} == set(winners)


async def test_a_taken_lock_lives_for_five_minutes(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    async with App(Registry([clean_by_hand]), settings()) as app:
        await app.enqueue_job(clean_by_hand)
        await Attempt(app, "mine").enter()

    assert 290_000 < await redis.pttl(f"{prefix}:jobs:job:lock:clean") <= 300_000


async def test_the_end_of_a_try_gives_back_its_own_lock_only(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    lock = f"{prefix}:jobs:job:lock:clean"
    async with App(Registry([clean_by_hand]), settings()) as app:
        await app.enqueue_jobs([(clean_by_hand, None)] * 2)
        old, new = Attempt(app, "old"), Attempt(app, "new")
        await old.enter()
        await redis.delete(lock)  # it expired
        await new.enter()

        await old.end()
        assert await redis.hget(lock, "token") == "new"
        await new.end()

    assert await own_keys(redis, prefix) == {"job:fence:last"}


async def test_a_jobs_later_run_does_not_lose_its_lock_to_its_earlier_one(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """The earlier worker was thought dead and wakes up: same job, another token."""
    async with App(Registry([clean_by_hand]), settings()) as app:
        await app.enqueue_job(clean_by_hand)
        earlier, later = Attempt(app, "earlier"), Attempt(app, "later")
        await earlier.enter()
        await redis.delete(f"{prefix}:jobs:1:lock")
        await redis.rpoplpush(f"{prefix}:jobs:active", f"{prefix}:jobs:wait")
        await later.enter()

        with pytest.raises(LockLost):
            await earlier.end()

    assert await redis.hget(f"{prefix}:jobs:job:lock:clean", "token") == "later"


async def test_the_fence_grows_with_every_acquisition(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    fences: list[int] = []

    async with App(Registry([clean_by_hand]), settings()) as app:
        await app.enqueue_jobs([(clean_by_hand, None)] * 20)
        for number in range(20):
            attempt = Attempt(app, f"t{number}")
            fences.append((await attempt.enter()).fence)
            await attempt.end()
            if number == 10:
                await redis.delete(f"{prefix}:jobs:job:fence:last")  # even where Redis has lost the last number

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
    assert (3 + 1) * renewer.HEARTBEAT_MS < ties.LOCK_TTL_MS


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


async def test_a_job_whose_own_lock_is_lost_when_it_asks_to_run_does_not_run(settings: MakeSettings) -> None:
    """The answer that says so could not be read."""
    async with App(Registry([clean_by_hand]), settings()) as app:
        job = await app.enqueue_job(clean_by_hand)
        attempt = Attempt(app, "mine")
        await attempt.claim()
        await app.client.call("DEL", app.queue().keys.job_lock(job.job_id))

        assert (await attempt.ask()).verdict == "lost"
