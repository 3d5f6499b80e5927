"""Limits (how many at once, how many in a span), and what Node's workers, its tools and bull-board do to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, fixed, limit, make_job
from tests.conftest import MakeSettings
from tests.interop.board import DONE, Buttons
from tests.interop.in_line import states
from tests.interop.node_peer import NodePeer
from tests.patterns.working import WAIT_S, Gate, own_keys_of_jobs, serving
from tests.support.eventually import eventually

LONG_MS = 600_000


@make_job(name="call", concurrency=2, attempts=2, backoff=fixed(100))
async def call(ctx: JobContext, payload: object) -> object:
    return payload


@make_job(name="ofTenant", concurrency=limit(1, by=lambda tenant: tenant))
async def of_tenant(ctx: JobContext, payload: str) -> str:
    return payload


@make_job(name="rated", rate_limit=(1, 400))
async def rated(ctx: JobContext, payload: object) -> object:
    return payload


@make_job(name="seldom", rate_limit=(1, LONG_MS))
async def seldom(ctx: JobContext, payload: object) -> object:
    return payload


async def enqueue(app: App, count: int) -> list[str]:
    return [(await app.enqueue_job(call, number)).job_id for number in range(count)]


async def most_at_once(node: NodePeer) -> int:
    """How many jobs were active at once, by BullMQ's event stream."""
    active, most = set[str](), 0
    for one in await node.events():
        if one.event == "active":
            active.add(one.job_id or "")
        elif one.event in ("completed", "failed", "delayed", "waiting-children"):
            active.discard(one.job_id or "")
        most = max(most, len(active))
    return most


class Crowd:
    """Counts how many runs of ours are inside at once. (A job that is claimed only to be parked is active, too.)"""

    def __init__(self) -> None:
        self._inside = 0
        self.most = 0

    async def stay(self) -> None:
        self._inside += 1
        self.most = max(self.most, self._inside)
        await asyncio.sleep(0.02)  # the work: without any, no two runs would ever meet
        self._inside -= 1


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


# Concurrency


async def test_a_node_worker_gets_no_more_of_the_jobs_that_are_due_at_once_than_the_limit_lets_through(
    settings: MakeSettings, watched: NodePeer
) -> None:
    async with App(Registry([call]), settings()) as app:
        jobs = await enqueue(app, 4)

        await watched.start_worker("sleep", {"ms": 50}, opts={"concurrency": 4})
        await watched.wait_for_event("completed", count=2)
        await watched.wait_for_event("drained")

        assert await states(app, jobs) == ["completed", "completed", "waiting-children", "waiting-children"]


async def test_beside_a_worker_of_ours_a_place_that_node_freed_is_given_on_about_two_seconds_later(
    settings: MakeSettings, watched: NodePeer, redis: Redis, prefix: str
) -> None:
    async with App(Registry([call]), settings(worker_concurrency=1)) as app:
        jobs = await enqueue(app, 6)
        await watched.start_worker("sleep", {"ms": 50}, opts={"concurrency": 4})
        async with serving(app):
            await watched.wait_for_event("completed", count=len(jobs), timeout_s=15)
            await eventually(lambda: nothing_of_ours(redis, prefix))

    assert await most_at_once(watched) == 2


async def nothing_of_ours(redis: Redis, prefix: str) -> bool:
    return await own_keys_of_jobs(redis, prefix) <= {f"job:limit:{call.name}"}


async def test_a_node_worker_runs_delayed_jobs_beyond_the_limit(settings: MakeSettings, watched: NodePeer) -> None:
    """A delayed job claims its place when it is picked up, and a Node worker does not claim."""
    async with App(Registry([call]), settings()) as app:
        for number in range(4):
            await app.enqueue_job(call, number, delay_ms=50)

        await watched.start_worker("sleep", {"ms": 300}, opts={"concurrency": 4})
        await watched.wait_for_event("completed", count=4)

    assert await most_at_once(watched) == 4


async def test_a_job_that_failed_in_node_gives_its_place_up_while_it_waits_for_its_next_try(
    settings: MakeSettings, watched: NodePeer
) -> None:
    async with App(Registry([call]), settings()) as app:
        jobs = [(await app.enqueue_job(call, number, backoff=fixed(LONG_MS))).job_id for number in range(3)]

        await watched.start_worker("fail", opts={"concurrency": 2})
        await watched.wait_for_event("delayed", jobs[0])
        await watched.wait_for_event("delayed", jobs[1])
        await watched.stop_worker()
        async with serving(app):
            await watched.wait_for_event("completed", jobs[2])


async def test_one_tenants_jobs_in_node_hold_up_no_other_tenants(settings: MakeSettings, watched: NodePeer) -> None:
    async with App(Registry([of_tenant]), settings()) as app:
        jobs = [(await app.enqueue_job(of_tenant, tenant)).job_id for tenant in ("a", "a", "b")]

        await watched.start_worker("sleep", {"ms": 100}, opts={"concurrency": 3})
        await watched.wait_for_event("completed", jobs[2])

        assert await states(app, jobs[1:2]) == ["waiting-children"]


async def test_a_node_producers_job_without_our_envelope_is_limited_when_we_pick_it_up(
    settings: MakeSettings, watched: NodePeer
) -> None:
    gate = Gate()

    @make_job(name="ofTenant", concurrency=limit(1, by=lambda tenant: tenant))
    async def ours(ctx: JobContext, payload: str) -> None:
        await gate.wait()

    async with App(Registry([ours]), settings()) as app, serving(app):
        first = await watched.add("ofTenant", "a")
        await gate.reached.wait()
        second = await watched.add("ofTenant", "a")
        await watched.wait_for_event("waiting-children", second)
        gate.opened.set()
        await watched.wait_for_event("completed", second)

    assert await watched.job_ids("completed") == [first, second]


async def test_bull_boards_remove_of_a_job_that_holds_a_place_frees_it_for_a_parked_one(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    async with App(Registry([call]), settings()) as app:
        jobs = await enqueue(app, 4)

        assert await buttons.remove(jobs[0]) in DONE
        assert await buttons.remove(jobs[2]) in DONE
        async with serving(app):
            await watched.wait_for_event("completed", jobs[3])

    assert await watched.job_ids("completed") == [jobs[1], jobs[3]]


async def test_a_job_that_bull_board_promotes_runs_in_its_turn_and_not_at_its_former_time(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, crowd: Crowd
) -> None:
    """Its button for all delayed jobs leaves their delay in the job. One that found the limit taken was parked, and
    went back to delayed when it was let through.
    """

    @make_job(name="call", concurrency=1)
    async def ours(ctx: JobContext, payload: object) -> None:
        await crowd.stay()

    async with App(Registry([ours]), settings()) as app:
        jobs = [(await app.enqueue_job(ours, number, delay_ms=LONG_MS)).job_id for number in range(4)]

        assert await buttons.promote(jobs[0]) in DONE
        assert await buttons.promote_all() in DONE
        async with serving(app):
            await watched.wait_for_event("completed", count=4, timeout_s=5)

    assert crowd.most == 1


async def test_failed_jobs_that_bull_board_retries_all_at_once_keep_the_limit(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, crowd: Crowd
) -> None:
    @make_job(name="call", concurrency=2)
    async def ours(ctx: JobContext, payload: object) -> None:
        await crowd.stay()

    async with App(Registry([ours]), settings()) as app:
        for number in range(6):
            await app.enqueue_job(ours, number, delay_ms=1)
        await watched.start_worker("failUnrecoverably", opts={"concurrency": 6})
        await watched.wait_for_event("failed", count=6)
        await watched.stop_worker()

        assert await buttons.retry_all() in DONE
        async with serving(app):
            await watched.wait_for_event("completed", count=6)

    assert crowd.most == 2


# Rate


async def test_a_node_worker_starts_jobs_faster_than_the_rate_allows_and_its_starts_are_not_counted(
    settings: MakeSettings, watched: NodePeer
) -> None:
    async with App(Registry([seldom]), settings()) as app:
        for number in range(3):
            await app.enqueue_job(seldom, number)
        await watched.start_worker("echo")
        await watched.wait_for_event("completed", count=3)
        await watched.stop_worker()

        async with serving(app):
            assert await (await app.enqueue_job(seldom, "ours")).wait(WAIT_S) == "ours"


async def test_a_job_that_bull_board_retries_takes_a_turn_under_the_rate(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    async with App(Registry([seldom]), settings()) as app, serving(app):
        job = await app.enqueue_job(seldom, 1)
        await job.wait(WAIT_S)

        assert await buttons.retry(job.job_id) in DONE
        await watched.wait_for_event("delayed", job.job_id)


async def test_bull_boards_promote_does_not_start_a_job_before_its_turn_under_the_rate(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    async with App(Registry([rated]), settings()) as app, serving(app):
        started_s = time.monotonic()
        jobs = [await app.enqueue_job(rated, number) for number in range(3)]
        await watched.wait_for_event("delayed", jobs[2].job_id)
        assert await buttons.promote(jobs[2].job_id) in DONE
        assert await buttons.promote_all() in DONE
        for job in jobs:
            await job.wait(WAIT_S)

    assert time.monotonic() - started_s >= 0.79


async def test_the_turn_of_a_job_that_bull_board_removes_is_not_used_by_another(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    async with App(Registry([rated]), settings()) as app, serving(app):
        started_s = time.monotonic()
        jobs = [(await app.enqueue_job(rated, number)).job_id for number in range(3)]
        await watched.wait_for_event("delayed", jobs[1])
        await watched.wait_for_event("delayed", jobs[2])
        first, *booked = await nth_by_turn(watched, jobs)
        assert await buttons.remove(booked[0]) in DONE
        await watched.wait_for_event("completed", booked[1])

    assert await watched.job_ids("completed") == [first, booked[1]]
    assert time.monotonic() - started_s >= 0.79


async def nth_by_turn(node: NodePeer, job_ids: Sequence[str]) -> list[str]:
    """The jobs in the order in which the rate lets them start."""
    delays = {job_id: (await node.job(job_id)).delay for job_id in job_ids}
    return sorted(delays, key=lambda job_id: delays[job_id])


async def test_a_node_producers_jobs_without_our_envelope_start_at_the_rate_where_we_run_them(
    settings: MakeSettings, watched: NodePeer
) -> None:
    async with App(Registry([rated]), settings()) as app:
        jobs = [await watched.add("rated", number) for number in range(3)]
        started_s = time.monotonic()
        async with serving(app):
            for job_id in jobs:
                await watched.wait_for_event("completed", job_id)

    assert time.monotonic() - started_s >= 0.79
