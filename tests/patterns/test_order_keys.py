"""Order keys: jobs of one key run one after another, in the order they were enqueued."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from redis.asyncio import Redis

from jobqueue import App, Enqueued, JobContext, JobFailed, Registry, fixed, make_job
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, Gate, own_keys, own_keys_of_jobs, serving, working
from tests.support.eventually import eventually
from tests.support.foreign import add_foreign, has_ended, remove


class Steps:
    """Which jobs ran, by key, and whether two of a key were ever active at once."""

    def __init__(self) -> None:
        self.ran: dict[str, list[int]] = defaultdict(list)
        self._inside: set[str] = set()

    async def run(self, key: str, number: int) -> None:
        assert key not in self._inside, f"two jobs of {key} at once"
        self._inside.add(key)
        await asyncio.sleep(0.001)  # gives another one the chance to come in between
        self.ran[key].append(number)
        self._inside.discard(key)


@pytest.fixture
def steps() -> Steps:
    return Steps()


Step = tuple[str, int]


async def test_jobs_of_a_key_run_one_after_another_in_the_order_they_were_enqueued(
    settings: MakeSettings, redis: Redis, prefix: str, steps: Steps
) -> None:
    @make_job
    async def step(ctx: JobContext, payload: Step) -> None:
        await steps.run(*payload)

    async with working(settings(worker_concurrency=20), step) as app:
        jobs = [
            await app.enqueue_job(step, (f"k{number % 5}", number), order_key=f"k{number % 5}") for number in range(100)
        ]
        await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert steps.ran == {f"k{rest}": list(range(rest, 100, 5)) for rest in range(5)}
    assert await own_keys(redis, prefix) == set()


async def test_bulk_jobs_of_a_key_keep_their_order_over_two_workers(settings: MakeSettings, steps: Steps) -> None:
    @make_job
    async def step(ctx: JobContext, payload: Step) -> None:
        await steps.run(*payload)

    async with App(Registry([step]), settings(worker_concurrency=10)) as app:
        await app.enqueue_jobs([(step, ("k", number)) for number in range(200)], order_key="k")
        async with serving(app), serving(app):
            await eventually(lambda: len(steps.ran["k"]) == 200)

    assert steps.ran["k"] == list(range(200))


async def test_another_keys_jobs_run_while_one_is_held_up(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job
    async def step(ctx: JobContext, payload: str) -> str:
        if payload == "held":
            await gate.wait()
        return payload

    async with working(settings(), step) as app:
        held = [await app.enqueue_job(step, "held", order_key="a") for _ in range(3)]
        await gate.reached.wait()

        assert await (await app.enqueue_job(step, "free", order_key="b")).wait(WAIT_S) == "free"
        gate.opened.set()
        await asyncio.gather(*(job.wait(WAIT_S) for job in held))


async def test_a_parked_job_is_a_real_job_in_waiting_children(settings: MakeSettings, redis: Redis) -> None:
    """So every BullMQ tool shows it, and none of them starts it."""

    @make_job
    async def step(ctx: JobContext) -> None: ...

    async with App(Registry([step]), settings()) as app:
        jobs = [await app.enqueue_job(step, order_key="a") for _ in range(3)]
        states = [await app.queue().state(job.job_id) for job in jobs]

    assert states == ["waiting", "waiting-children", "waiting-children"]


async def test_a_delayed_head_holds_its_own_key_only(settings: MakeSettings, steps: Steps) -> None:
    @make_job
    async def step(ctx: JobContext, payload: Step) -> None:
        await steps.run(*payload)

    async with working(settings(), step) as app:
        first = await app.enqueue_job(step, ("a", 1), order_key="a", delay_ms=400)
        second = await app.enqueue_job(step, ("a", 2), order_key="a")
        await (await app.enqueue_job(step, ("b", 1), order_key="b")).wait(WAIT_S)
        assert steps.ran["a"] == []
        await asyncio.gather(first.wait(WAIT_S), second.wait(WAIT_S))

    assert steps.ran["a"] == [1, 2]


async def test_a_head_in_backoff_holds_its_key(settings: MakeSettings) -> None:
    tries: list[tuple[str, int]] = []

    @make_job(attempts=3, backoff=fixed(100))
    async def step(ctx: JobContext, payload: str) -> None:
        tries.append((payload, ctx.job.attempt))
        if payload == "first" and ctx.job.attempt < 3:
            raise RuntimeError("not yet")

    async with working(settings(), step) as app:
        jobs = [await app.enqueue_job(step, name, order_key="a") for name in ("first", "second")]
        await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert tries == [("first", 1), ("first", 2), ("first", 3), ("second", 1)]


async def test_a_finally_failed_head_lets_the_next_one_go(settings: MakeSettings) -> None:
    @make_job(attempts=1)
    async def step(ctx: JobContext, payload: str) -> str:
        if payload == "bad":
            raise RuntimeError("no")
        return payload

    async with working(settings(), step) as app:
        bad, good = [await app.enqueue_job(step, name, order_key="a") for name in ("bad", "good")]
        with pytest.raises(JobFailed):
            await bad.wait(WAIT_S)
        assert await good.wait(WAIT_S) == "good"


async def test_a_cancelled_head_lets_the_next_one_go(settings: MakeSettings) -> None:
    @make_job
    async def step(ctx: JobContext, payload: str) -> str:
        return payload

    async with App(Registry([step]), settings()) as app:
        head, following = [await app.enqueue_job(step, name, order_key="a") for name in ("head", "next")]
        await app.cancel_job(head.job_id, "not wanted")
        assert await app.queue().state(following.job_id) == "waiting"
        async with serving(app):
            assert await following.wait(WAIT_S) == "next"


async def test_a_parked_job_that_is_cancelled_never_runs_and_holds_nobody_up(settings: MakeSettings) -> None:
    @make_job
    async def step(ctx: JobContext, payload: int) -> int:
        return payload

    async with App(Registry([step]), settings()) as app:
        jobs = [await app.enqueue_job(step, number, order_key="a") for number in range(3)]
        await app.cancel_job(jobs[1].job_id, "not wanted")
        async with serving(app):
            assert await jobs[2].wait(WAIT_S) == 2
            with pytest.raises(JobFailed, match=r"^Cancelled: not wanted$"):
                await jobs[1].wait(WAIT_S)


async def test_a_parked_job_with_a_delay_starts_no_sooner_than_it_was_asked_to(settings: MakeSettings) -> None:
    started: dict[str, float] = {}

    @make_job
    async def step(ctx: JobContext, payload: str) -> None:
        started[payload] = asyncio.get_running_loop().time()

    async with working(settings(), step) as app:
        asked_s = asyncio.get_running_loop().time()
        jobs = [
            await app.enqueue_job(step, "first", order_key="a", delay_ms=100),
            await app.enqueue_job(step, "second", order_key="a", delay_ms=600),
        ]
        await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert started["second"] - asked_s >= 0.59


async def test_an_ordered_handlers_jobs_are_ordered_by_the_object_that_they_are_about(
    settings: MakeSettings, steps: Steps
) -> None:
    @make_job(ordered=True)
    async def step(ctx: JobContext, payload: Step) -> None:
        await steps.run(*payload)

    async with working(settings(worker_concurrency=10), step) as app:
        jobs = [await app.enqueue_job(step, ("c", number), related=("channel", "42")) for number in range(20)]
        await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert steps.ran["c"] == list(range(20))


async def test_jobs_of_different_handlers_share_a_key(settings: MakeSettings) -> None:
    ran: list[str] = []

    @make_job
    async def top_up(ctx: JobContext) -> None:
        ran.append("top up")

    @make_job
    async def close(ctx: JobContext) -> None:
        ran.append("close")

    async with App(Registry([top_up, close]), settings()) as app:
        jobs = [await app.enqueue_job(handler, order_key="channel:42") for handler in (top_up, close, top_up)]
        async with serving(app):
            await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert ran == ["top up", "close", "top up"]


async def test_a_key_outlives_the_delay_of_the_job_that_holds_it(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """It was let go into a delay of 200 days, and its key ended after 90: jobs that were enqueued later ran first."""
    delay_ms = 200 * 24 * 60 * 60 * 1000

    @make_job
    async def step(ctx: JobContext, payload: int) -> None: ...

    async with App(Registry([step]), settings()) as app:
        head = await app.enqueue_job(step, 1, order_key="a")
        await app.enqueue_job(step, 2, order_key="a", delay_ms=delay_ms)
        async with serving(app):
            await head.wait(WAIT_S)

    assert await redis.pttl(f"{prefix}:jobs:job:order:a") > delay_ms


# What other tools do


async def three(app: App) -> list[Enqueued]:
    return [await app.enqueue_job("step", number, order_key="a") for number in range(3)]


async def test_a_removed_head_does_not_wedge_its_key(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    @make_job
    async def step(ctx: JobContext, payload: int) -> int:
        return payload

    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)
        await remove(app, jobs[0].job_id)
        async with serving(app):
            assert [await job.wait(WAIT_S) for job in jobs[1:]] == [1, 2]

    assert await own_keys(redis, prefix) == set()


async def test_a_removed_parked_job_is_passed_over(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    @make_job
    async def step(ctx: JobContext, payload: int) -> int:
        return payload

    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)
        await remove(app, jobs[1].job_id)
        async with serving(app):
            assert await jobs[2].wait(WAIT_S) == 2

    assert await own_keys(redis, prefix) == set()


async def test_a_failed_job_that_is_retried_by_hand_waits_for_its_turn_before_all_that_came_after_it(
    settings: MakeSettings,
) -> None:
    gate, ran = Gate(), list[int]()
    fails = {0}

    @make_job(attempts=1)
    async def step(ctx: JobContext, payload: int) -> None:
        if payload in fails:
            raise RuntimeError("no")
        if payload == 1:
            await gate.wait()
        ran.append(payload)

    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)
        async with serving(app):
            await gate.reached.wait()
            fails.clear()
            await app.retry_job(jobs[0].job_id)
            await eventually(lambda: is_parked(app, jobs[0].job_id))
            gate.opened.set()
            await jobs[2].wait(WAIT_S)

    assert ran == [1, 0, 2]


async def is_parked(app: App, job_id: str) -> bool:
    return await app.queue().state(job_id) == "waiting-children"


async def test_a_foreign_job_with_an_order_key_takes_its_place_at_pick_up(settings: MakeSettings) -> None:
    gate, ran = Gate(), list[str]()

    @make_job
    async def step(ctx: JobContext, payload: str) -> None:
        if payload == "ours":
            await gate.wait()
        ran.append(payload)

    async with working(settings(), step) as app:
        await app.enqueue_job(step, "ours", order_key="a")
        await gate.reached.wait()
        foreign = await add_foreign(app, "step", '{"type":"adhoc","payload":"theirs","orderKey":"a"}', {})
        await eventually(lambda: is_parked(app, foreign))
        gate.opened.set()
        await eventually(lambda: has_ended(app, foreign))

    assert ran == ["ours", "theirs"]


async def test_a_hundred_thousand_idle_keys_would_cost_nothing_since_none_is_stored(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    @make_job
    async def step(ctx: JobContext) -> None: ...

    async with working(settings(worker_concurrency=50), step) as app:
        await app.enqueue_jobs([(step, None)] * 100)
        for number in range(100):
            await app.enqueue_job(step, order_key=f"k{number}")
        await (await app.enqueue_job(step, order_key="last")).wait(WAIT_S)
        await eventually(lambda: nothing_of_ours(redis, prefix))


async def nothing_of_ours(redis: Redis, prefix: str) -> bool:
    return await own_keys_of_jobs(redis, prefix) == set()


async def test_a_job_that_passes_only_jobs_that_were_removed_is_not_left_parked(
    settings: MakeSettings, redis: Redis
) -> None:
    """Head and parked job were removed, and nobody had mended the key yet: the new job was stored parked, since the key
    looked taken, and at once held it; nothing would ever have moved it.
    """

    @make_job
    async def step(ctx: JobContext, payload: int) -> int:
        return payload

    async with App(Registry([step]), settings()) as app:
        await redis.zadd(app.queue().keys.order("a"), {"removed": 2**42 + 1})
        job = await app.enqueue_job(step, 1, order_key="a")
        assert await app.queue().state(job.job_id) == "waiting"
        async with serving(app):
            assert await job.wait(WAIT_S) == 1
