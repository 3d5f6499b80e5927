"""Order keys, and what Node's workers and producers and bull-board's buttons do to them."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.worker.checks import GateRepair
from tests.conftest import MakeSettings
from tests.interop.board import DONE, Buttons
from tests.interop.in_line import history, one_after_another, states, step, three
from tests.interop.node_peer import NodePeer
from tests.patterns.working import Gate, own_keys, serving

# A Node worker


async def test_after_a_node_worker_ended_the_head_parked_jobs_stay_until_a_worker_of_ours_comes(
    settings: MakeSettings, watched: NodePeer, redis: Redis, prefix: str
) -> None:
    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)

        await watched.start_worker("echo")
        await watched.wait_for_event("completed", jobs[0])
        await watched.wait_for_event("drained")
        assert await states(app, jobs) == ["completed", "waiting-children", "waiting-children"]
        await watched.stop_worker()
        async with serving(app):
            await watched.wait_for_event("completed", jobs[2])

    assert await history(watched, jobs) == one_after_another(jobs)
    assert await own_keys(redis, prefix) == set()


async def test_beside_a_worker_of_ours_the_next_job_goes_about_two_seconds_after_node_ended_the_head(
    settings: MakeSettings, watched: NodePeer
) -> None:
    """Ours has no slot free, so that Node runs them all; the repair pass is ours."""
    gate = Gate()

    @make_job
    async def busy(ctx: JobContext) -> None:
        await gate.wait()

    async with App(Registry([step, busy]), settings(worker_concurrency=1)) as app, serving(app):
        await app.enqueue_job(busy)
        await gate.reached.wait()
        jobs = await three(app)
        await watched.start_worker("echo")
        await watched.wait_for_event("completed", jobs[2])
        gate.opened.set()
        nodes = [await watched.job(job_id) for job_id in jobs]

    assert await history(watched, jobs) == one_after_another(jobs)
    gaps_ms = [(after.processed_on or 0) - (before.finished_on or 0) for before, after in pairwise(nodes)]
    assert max(gaps_ms) < 5_000


async def test_node_and_we_on_one_queue_keep_the_order_and_never_run_two_of_a_key(
    settings: MakeSettings, watched: NodePeer
) -> None:
    @make_job(name="step")
    async def ours(ctx: JobContext, payload: object) -> None:
        await asyncio.sleep(0.02)  # the work, as long as Node's

    async with App(Registry([ours]), settings(worker_concurrency=3)) as app:
        keys = [f"k{number % 6}" for number in range(18)]
        jobs = [(await app.enqueue_job(ours, number, order_key=key)).job_id for number, key in enumerate(keys)]
        await watched.start_worker("sleep", {"ms": 20}, opts={"concurrency": 3, "name": "node"})
        async with serving(app):
            await watched.wait_for_event("completed", count=len(jobs), timeout_s=20)
        by_node = [(await watched.job(job_id)).processed_by == "node" for job_id in jobs]

    assert any(by_node)
    assert not all(by_node)
    for first in range(6):
        of_key = jobs[first::6]
        assert await history(watched, of_key) == one_after_another(of_key)


async def test_a_head_that_failed_in_node_and_waits_for_its_next_try_keeps_its_key(
    settings: MakeSettings, watched: NodePeer
) -> None:
    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)

        await watched.start_worker("failUntil", {"attempt": 2})
        await watched.wait_for_event("delayed", jobs[0])
        await GateRepair(app.queue(), app.registry).tick()
        assert (await states(app, jobs))[1:] == ["waiting-children", "waiting-children"]
        await watched.wait_for_event("completed", jobs[0])
        await watched.stop_worker()
        async with serving(app):
            await watched.wait_for_event("completed", jobs[2])

    assert await history(watched, jobs[1:]) == one_after_another(jobs[1:])
    assert (await watched.job(jobs[0])).attempts_made == 2


async def test_a_head_that_failed_for_good_in_node_lets_the_next_one_go(
    settings: MakeSettings, watched: NodePeer
) -> None:
    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)

        await watched.start_worker("failUnrecoverably")
        await watched.wait_for_event("failed", jobs[0])
        await watched.stop_worker()
        async with serving(app):
            await watched.wait_for_event("completed", jobs[2])

    assert [(await watched.job(job_id)).state for job_id in jobs] == ["failed", "completed", "completed"]


async def test_a_node_worker_runs_a_job_that_bull_board_retries_beside_the_one_whose_turn_it_is(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)
        await watched.start_worker("failUnrecoverably")
        await watched.wait_for_event("failed", jobs[0])
        await watched.stop_worker()
        await GateRepair(app.queue(), app.registry).tick()

        assert await buttons.retry(jobs[0]) in DONE
        await watched.start_worker("sleep", {"ms": 200}, opts={"concurrency": 3})
        await watched.wait_for_event("completed", jobs[0])

    again = (await history(watched, jobs))[2:4]
    assert sorted(again) == [("active", jobs[0]), ("active", jobs[1])]


# A Node producer


async def test_a_node_worker_runs_what_did_not_claim_its_key_when_it_was_added_beside_the_holder(
    settings: MakeSettings, watched: NodePeer
) -> None:
    async with App(Registry([step]), settings()) as app:
        holder = (await app.enqueue_job(step, 1, order_key="a")).job_id
        foreign = await watched.add("step", {"type": "adhoc", "payload": 2, "orderKey": "a"})

        await watched.start_worker("sleep", {"ms": 200}, opts={"concurrency": 2})
        await watched.wait_for_event("completed", foreign)

    assert (await history(watched, [holder, foreign]))[:2] == [("active", holder), ("active", foreign)]


async def test_a_job_that_a_node_producer_adds_with_an_order_key_takes_its_place_when_we_pick_it_up(
    settings: MakeSettings, watched: NodePeer
) -> None:
    gate = Gate()

    @make_job(name="step")
    async def ours(ctx: JobContext, payload: object) -> None:
        if payload == "first":
            await gate.wait()

    async with App(Registry([ours]), settings()) as app, serving(app):
        first = (await app.enqueue_job(ours, "first", order_key="a")).job_id
        await gate.reached.wait()
        second = await watched.add("step", {"type": "adhoc", "payload": "second", "orderKey": "a"})
        await watched.wait_for_event("waiting-children", second)
        third = (await app.enqueue_job(ours, "third", order_key="a")).job_id
        gate.opened.set()
        await watched.wait_for_event("completed", third)

    jobs = [first, second, third]
    ends = [job_id for event, job_id in await history(watched, jobs) if event == "completed"]
    assert ends == jobs


# bull-board


async def test_bull_boards_remove_takes_the_head_or_a_parked_job_out_and_the_others_keep_their_order(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, redis: Redis, prefix: str
) -> None:
    async with App(Registry([step]), settings()) as app:
        jobs = [*await three(app), *await three(app)]

        assert await buttons.remove(jobs[0]) in DONE
        assert await buttons.remove(jobs[3]) in DONE
        async with serving(app):
            await watched.wait_for_event("completed", jobs[-1])

    rest = [job_id for job_id in jobs if job_id not in (jobs[0], jobs[3])]
    assert await history(watched, jobs) == one_after_another(rest)
    assert await own_keys(redis, prefix) == set()


async def test_bull_boards_promote_starts_a_delayed_head_and_is_refused_for_a_parked_job(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    async with App(Registry([step]), settings()) as app:
        head = (await app.enqueue_job(step, "head", order_key="a", delay_ms=600_000)).job_id
        parked = (await app.enqueue_job(step, "parked", order_key="a")).job_id

        assert await buttons.promote(parked) not in DONE
        assert await states(app, [head, parked]) == ["delayed", "waiting-children"]
        assert await buttons.promote(head) in DONE
        async with serving(app):
            await watched.wait_for_event("completed", parked)

    assert await history(watched, [head, parked]) == one_after_another([head, parked])


async def test_bull_boards_retry_puts_a_failed_job_before_all_that_came_after_it(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    gate, ran = Gate(), list[object]()

    @make_job(name="step")
    async def ours(ctx: JobContext, payload: object) -> None:
        if payload == 1:
            await gate.wait()
        ran.append(payload)

    async with App(Registry([ours]), settings()) as app:
        jobs = await three(app)
        await watched.start_worker("failUnrecoverably")
        await watched.wait_for_event("failed", jobs[0])
        await watched.stop_worker()
        async with serving(app):
            await gate.reached.wait()
            assert await buttons.retry(jobs[0]) in DONE
            await watched.wait_for_event("waiting-children", jobs[0])
            gate.opened.set()
            await watched.wait_for_event("completed", jobs[2])

    assert ran == [1, 0, 2]
