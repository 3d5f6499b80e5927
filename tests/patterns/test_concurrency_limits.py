"""Limits of a handler over all workers: how many of its jobs run at once, and how many start in a span of time."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import cast

import pytest
from redis.asyncio import Redis

from jobqueue import App, InvalidPayload, JobContext, Registry, Worker, fixed, limit, make_job, make_superseding_job
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, Gate, keys_of, own_keys, serving, working
from tests.support.eventually import eventually
from tests.support.foreign import add_foreign, has_ended, promote, remove


class Crowd:
    """Counts who is inside at once, by tenant."""

    def __init__(self) -> None:
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def stay(self, tenant: str, seconds: float = 0.005) -> None:
        self.inside[tenant] += 1
        self.most[tenant] = max(self.most[tenant], self.inside[tenant])
        await asyncio.sleep(seconds)  # gives others the chance to come in
        self.inside[tenant] -= 1


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


async def test_a_limit_holds_over_all_workers(settings: MakeSettings, redis: Redis, prefix: str, crowd: Crowd) -> None:
    @make_job(concurrency=3)
    async def call(ctx: JobContext) -> None:
        await crowd.stay("all")

    async with App(Registry([call]), settings(worker_concurrency=10)) as app:
        jobs = await app.enqueue_jobs([(call, None)] * 60)
        async with serving(app), serving(app):
            await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert crowd.most["all"] == 3
    assert await own_keys(redis, prefix) == set()


async def test_a_limit_by_partition_holds_for_each_partition(settings: MakeSettings, crowd: Crowd) -> None:
    @make_job(concurrency=limit(2, by=lambda tenant: tenant))
    async def call(ctx: JobContext, payload: str) -> None:
        await crowd.stay(payload)

    async with App(Registry([call]), settings(worker_concurrency=20)) as app:
        jobs = await app.enqueue_jobs([(call, f"t{number % 4}") for number in range(80)])
        async with serving(app):
            await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert crowd.most == {"t0": 2, "t1": 2, "t2": 2, "t3": 2}


async def test_one_tenants_many_jobs_do_not_hold_up_anothers_one(settings: MakeSettings) -> None:
    """All of the first tenant's are enqueued before; only as many as may run stand in the queue."""
    ended: list[str] = []

    @make_job(concurrency=limit(3, by=lambda tenant: tenant))
    async def call(ctx: JobContext, payload: str) -> None:
        ended.append(payload)

    async with App(Registry([call]), settings(worker_concurrency=1)) as app:
        await app.enqueue_jobs([(call, "many")] * 5_000)
        one = await app.enqueue_job(call, "one")
        async with serving(app):
            await one.wait(WAIT_S)

    assert len(ended) <= 10


async def test_a_job_that_waits_for_its_next_try_takes_no_place(settings: MakeSettings) -> None:
    @make_job(concurrency=1, attempts=2, backoff=fixed(60_000))
    async def call(ctx: JobContext, payload: str) -> str:
        if payload == "fails":
            raise RuntimeError("no")
        return payload

    async with working(settings(), call) as app:
        await app.enqueue_job(call, "fails")

        assert await (await app.enqueue_job(call, "works")).wait(WAIT_S) == "works"


async def test_a_delayed_job_takes_its_place_when_it_is_due(settings: MakeSettings, crowd: Crowd) -> None:
    @make_job(concurrency=1)
    async def call(ctx: JobContext) -> None:
        await crowd.stay("all", 0.02)

    async with working(settings(), call) as app:
        jobs = [await app.enqueue_job(call, delay_ms=50) for _ in range(10)]
        await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert crowd.most["all"] == 1


async def test_parked_jobs_keep_their_priority(settings: MakeSettings) -> None:
    gate, ran = Gate(), list[str]()

    @make_job(concurrency=1)
    async def call(ctx: JobContext, payload: str) -> None:
        if payload == "first":
            await gate.wait()
        ran.append(payload)

    async with working(settings(), call) as app:
        jobs = [await app.enqueue_job(call, "first")]
        await gate.reached.wait()
        for name, priority in (("late", 9), ("soon", 2), ("now", 0), ("soon too", 2)):
            jobs.append(await app.enqueue_job(call, name, priority=priority))
        gate.opened.set()
        await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert ran == ["first", "now", "soon", "soon too", "late"]


async def test_a_place_is_free_again_when_its_job_was_removed_by_another_tool(settings: MakeSettings) -> None:
    @make_job(concurrency=1)
    async def call(ctx: JobContext, payload: str) -> str:
        return payload

    async with App(Registry([call]), settings()) as app:
        removed, waits = [await app.enqueue_job(call, name) for name in ("removed", "waits")]
        await remove(app, removed.job_id)
        async with serving(app):
            assert await waits.wait(WAIT_S) == "waits"


async def test_a_foreign_job_is_parked_at_pick_up(settings: MakeSettings, crowd: Crowd) -> None:
    @make_job(concurrency=1)
    async def call(ctx: JobContext) -> None:
        await crowd.stay("all", 0.02)

    async with working(settings(worker_concurrency=5), call) as app:
        ids = [await add_foreign(app, "call", "{}", {}) for _ in range(10)]
        for job_id in ids:
            await eventually(partial(has_ended, app, job_id))

    assert crowd.most["all"] == 1


@pytest.mark.parametrize("partition", [None, 5, "", "a\nb", "{a}", "x" * 10_000])
async def test_a_partition_that_is_no_usable_text_is_refused_before_anything_is_stored(
    settings: MakeSettings, redis: Redis, prefix: str, partition: object
) -> None:
    def by_nothing(_: str) -> str:
        return cast(str, partition)

    @make_job(concurrency=limit(1, by=by_nothing))
    async def call(ctx: JobContext, payload: str) -> None: ...

    async with App(Registry([call]), settings()) as app:
        with pytest.raises(InvalidPayload, match="concurrency"):
            await app.enqueue_job(call, "x")

    assert await keys_of(redis, prefix) == set()


async def test_an_order_key_and_a_limit_hold_together(settings: MakeSettings, crowd: Crowd) -> None:
    ran: list[int] = []

    @make_job(concurrency=2)
    async def call(ctx: JobContext, payload: int) -> None:
        await crowd.stay("all")
        if payload % 2:
            ran.append(payload)

    async with App(Registry([call]), settings(worker_concurrency=10)) as app:
        jobs = [await app.enqueue_job(call, number, order_key=f"k{number % 2}") for number in range(30)]
        jobs += [await app.enqueue_job(call, 1_000 + 2 * number) for number in range(10)]
        async with serving(app):
            await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert crowd.most["all"] == 2
    assert ran == list(range(1, 30, 2))


# Rate


async def test_no_more_jobs_start_in_a_span_than_the_rate_allows(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    started: list[float] = []

    @make_job(rate_limit=(3, 300))
    async def call(ctx: JobContext) -> None:
        started.append(asyncio.get_running_loop().time())

    async with App(Registry([call]), settings(worker_concurrency=10)) as app:
        jobs = await app.enqueue_jobs([(call, None)] * 12)
        async with serving(app), serving(app):
            await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    spans = [later - earlier for earlier, later in zip(started, started[3:], strict=False)]
    assert min(spans) > 0.25, "a job may be picked up a little late, so the next one seems early"
    assert not any("booked" in key for key in await own_keys(redis, prefix))


async def test_jobs_whose_turns_have_passed_unused_do_not_start_together(settings: MakeSettings) -> None:
    """The worker was stopped meanwhile. Ten starts within 4 ms, where two in a second were allowed."""
    started: list[float] = []

    @make_job(rate_limit=(2, 300))
    async def call(ctx: JobContext) -> None:
        started.append(asyncio.get_running_loop().time())

    async with App(Registry([call]), settings(worker_concurrency=10)) as app:
        jobs = await app.enqueue_jobs([(call, None)] * 8)
        async with serving(app):
            await eventually(lambda: all_are_booked(app, 6))
        await asyncio.sleep(1.2)  # the turns of all pass
        async with serving(app):
            await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    spans = [later - earlier for earlier, later in zip(started, started[2:], strict=False)]
    assert min(spans) > 0.25, "a job may be picked up a little late, so the next one seems early"


async def test_jobs_under_a_rate_start_in_their_order_and_no_turn_is_lost(settings: MakeSettings) -> None:
    """A job whose predecessor had started a millisecond late was sent behind the whole backlog, and its turn stayed
    unused: a hundred jobs took half as long again as they had to.
    """
    started: list[int] = []

    @make_job(rate_limit=(1, 30))
    async def call(ctx: JobContext, payload: int) -> None:
        started.append(payload)

    async with App(Registry([call]), settings(worker_concurrency=10)) as app:
        jobs = await app.enqueue_jobs([(call, number) for number in range(60)])
        async with serving(app):
            await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert started == list(range(60))


async def test_an_urgent_job_does_not_wait_behind_a_backlog_under_a_rate(settings: MakeSettings) -> None:
    started: list[str] = []

    @make_job(rate_limit=(1, 100))
    async def call(ctx: JobContext, payload: str) -> None:
        started.append(payload)

    async with working(settings(), call) as app:
        await app.enqueue_jobs([(call, "backlog")] * 50, priority=9)
        await eventually(lambda: all_are_booked(app, 45))
        await (await app.enqueue_job(call, "urgent", priority=1)).wait(WAIT_S)

    assert len(started) < 20


async def test_a_turn_of_a_cancelled_job_goes_to_the_next(settings: MakeSettings) -> None:
    """Twenty booked jobs were cancelled, and the next one waited for turns that nobody would use."""

    @make_job(rate_limit=(1, 1_000))
    async def call(ctx: JobContext, payload: int) -> int:
        return payload

    async with working(settings(), call) as app:
        jobs = await app.enqueue_jobs([(call, number) for number in range(31)], related=("order", "1"))
        await jobs[0].wait(WAIT_S)
        await eventually(lambda: all_are_booked(app, 30))
        last = await app.enqueue_job(call, 99)
        await eventually(lambda: all_are_booked(app, 31))
        await app.cancel_jobs(related=("order", "1"))

        assert await last.wait(5) == 99


async def test_a_superseding_handler_under_a_rate_does_not_starve(settings: MakeSettings) -> None:
    """Each newer job stood behind those that it had superseded, which used their turns to end without running."""
    ran: list[int] = []

    @make_superseding_job(dedupe_key=lambda payload: "one", rate_limit=(1, 200))
    async def sync(ctx: JobContext, payload: int) -> None:
        ran.append(payload)

    async with working(settings(), sync) as app:
        for number in range(39):
            await app.enqueue_job(sync, number)
            await asyncio.sleep(0.03)  # a steady stream, faster than the rate
        await (await app.enqueue_job(sync, 39)).wait(2)

    assert len(ran) >= 4
    assert ran[-1] == 39


async def all_are_booked(app: App, jobs: int) -> bool:
    return bool(await app.client.call("ZCARD", app.queue().keys.of("delayed")) == jobs)


async def test_a_rate_uses_no_attempt(settings: MakeSettings) -> None:
    attempts: list[int] = []

    @make_job(rate_limit=(1, 50), attempts=1)
    async def call(ctx: JobContext) -> None:
        attempts.append(ctx.job.attempt)

    async with working(settings(), call) as app:
        jobs = await app.enqueue_jobs([(call, None)] * 5)
        await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert attempts == [1] * 5


async def test_other_handlers_jobs_run_while_one_waits_for_its_rate(settings: MakeSettings) -> None:
    @make_job(rate_limit=(1, 60_000))
    async def slow(ctx: JobContext) -> None: ...

    @make_job
    async def free(ctx: JobContext) -> str:
        return "free"

    async with working(settings(worker_concurrency=1), slow, free) as app:
        await app.enqueue_jobs([(slow, None)] * 20)

        assert await (await app.enqueue_job(free)).wait(WAIT_S) == "free"


async def test_a_promoted_job_does_not_break_the_rate(settings: MakeSettings) -> None:
    started: list[float] = []

    @make_job(rate_limit=(1, 500))
    async def call(ctx: JobContext) -> None:
        started.append(asyncio.get_running_loop().time())

    async with working(settings(), call) as app:
        first, second = await app.enqueue_jobs([(call, None)] * 2)
        await first.wait(WAIT_S)
        await eventually(lambda: is_delayed(app, second.job_id))
        await promote(app, second.job_id)
        await second.wait(WAIT_S)

    assert started[1] - started[0] > 0.45


async def is_delayed(app: App, job_id: str) -> bool:
    return await app.queue().state(job_id) == "delayed"


# A limit that changes


async def test_jobs_that_are_parked_before_a_limit_that_is_no_more_run(settings: MakeSettings) -> None:
    """Whoever ended them under the limit would have let the next ones go; now nobody does."""

    @make_job(name="call", concurrency=1)
    async def limited(ctx: JobContext, payload: int) -> int:
        return payload

    @make_job(name="call")
    async def unlimited(ctx: JobContext, payload: int) -> int:
        return payload

    async with App(Registry([limited]), settings()) as app:
        await app.enqueue_jobs([(limited, number) for number in range(200)])
    async with App(Registry([unlimited]), settings()) as app, serving(app):
        await eventually(lambda: all_have_ended(app, 200))


async def test_a_worker_that_does_not_know_a_limit_does_not_open_it_for_those_that_do(
    settings: MakeSettings, crowd: Crowd
) -> None:
    """In a deploy that adds a limit both are at work. The old worker's repair counted a thousand parked jobs as let
    through, and the new one ran ten at once.
    """

    async def call(ctx: JobContext) -> None:
        await crowd.stay(ctx.worker_name, 0.02)

    limited, unlimited = make_job(call, concurrency=1), make_job(call)
    async with (
        App(Registry([limited]), settings(worker_concurrency=10)) as new,
        App(Registry([unlimited]), settings(worker_concurrency=1)) as old,
        Worker(new, name="new"),
        Worker(old, name="old"),
    ):
        jobs = await new.enqueue_jobs([(limited, None)] * 250)
        await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert crowd.most["new"] == 1


async def test_a_handler_that_becomes_ordered_is_not_wedged(settings: MakeSettings) -> None:
    """The first job held the limit and no order key, since it was enqueued before; the second held the key, and was
    parked before the limit. The first was parked before the key at its pick-up, and kept the limit: each waited for
    the other.
    """
    about = ("order", "1")

    async def call(ctx: JobContext, payload: int) -> int:
        return payload

    before, now = make_job(call, concurrency=1), make_job(call, concurrency=1, ordered=True)
    async with App(Registry([before]), settings()) as app:
        await app.enqueue_job(before, 1, related=about)
    async with App(Registry([now]), settings()) as app:
        await app.enqueue_job(now, 2, related=about)
        await app.enqueue_job(now, 3)
        async with serving(app):
            await eventually(lambda: all_have_ended(app, 3))


async def test_a_gate_with_parked_jobs_has_no_end_though_a_job_passes_it_since_its_limit_was_raised(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """It was given the time limit of a gate without parked jobs."""

    async def call(ctx: JobContext) -> None: ...

    for most, jobs in ((1, 2), (3, 1)):
        async with App(Registry([make_job(call, concurrency=most)]), settings()) as app:
            await app.enqueue_jobs([("call", None)] * jobs)

    assert await redis.pttl(f"{prefix}:jobs:job:limit:call") == -1


async def test_a_raised_limit_lets_more_parked_jobs_go_though_none_ends(settings: MakeSettings) -> None:
    gate, inside = Gate(), list[int]()

    async def call(ctx: JobContext, payload: int) -> None:
        inside.append(payload)
        await gate.wait()

    async with App(Registry([make_job(call, concurrency=1)]), settings()) as app:
        await app.enqueue_jobs([("call", number) for number in range(5)])
    async with App(Registry([make_job(call, concurrency=3)]), settings()) as app, serving(app):
        await eventually(lambda: len(inside) == 3)
        gate.opened.set()
        await eventually(lambda: all_have_ended(app, 5))


async def all_have_ended(app: App, jobs: int) -> bool:
    return bool(await app.client.call("ZCARD", app.queue().keys.of("completed")) == jobs)
