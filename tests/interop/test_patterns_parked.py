"""Parked jobs, and what tools do that act on a whole queue; ids that are used again."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job
from tests.conftest import MakeSettings
from tests.interop.board import DONE, Buttons
from tests.interop.in_line import history, one_after_another, states, step, three
from tests.interop.node_peer import NodePeer
from tests.patterns.working import WAIT_S, Gate, own_keys, serving

# Tools that act on a whole queue


async def test_bull_board_lists_parked_jobs_as_waiting_for_children(settings: MakeSettings, buttons: Buttons) -> None:
    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)

    assert sorted(await buttons.listed("waiting-children")) == jobs[1:]


async def test_bull_boards_empty_takes_the_head_and_the_parked_jobs_run(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)

        assert await buttons.empty() in DONE
        async with serving(app):
            await watched.wait_for_event("completed", jobs[2])

    assert await history(watched, jobs) == one_after_another(jobs[1:])


async def test_cleaning_the_jobs_that_wait_for_children_removes_the_parked_ones(
    settings: MakeSettings, watched: NodePeer, redis: Redis, prefix: str
) -> None:
    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)

        assert await watched.clean("waiting-children") == jobs[1:]
        fourth = (await app.enqueue_job(step, 3, order_key="a")).job_id
        async with serving(app):
            await watched.wait_for_event("completed", fourth)

    assert await history(watched, [*jobs, fourth]) == one_after_another([jobs[0], fourth])
    assert await own_keys(redis, prefix) == set()


async def test_parked_jobs_survive_obliterate_unless_they_are_cleaned_before(
    settings: MakeSettings, watched: NodePeer
) -> None:
    """BullMQ's obliterate leaves the jobs that wait for children alone, and begins the ids at 1 again."""
    async with App(Registry([step]), settings()) as app:
        jobs = await three(app)
        await watched.pause()

        await watched.obliterate()
        assert await states(app, jobs) == ["unknown", "waiting-children", "waiting-children"]
        await watched.clean("waiting-children")
        again = [await app.enqueue_job(step, number, order_key="a") for number in range(3)]
        async with serving(app):
            assert [await job.wait(WAIT_S) for job in again] == [0, 1, 2]
        assert [job.job_id for job in again] == jobs


async def test_a_pause_by_node_holds_released_jobs_too_and_its_resume_lets_them_run_in_order(
    settings: MakeSettings, watched: NodePeer
) -> None:
    gate = Gate()

    @make_job(name="step")
    async def ours(ctx: JobContext, payload: object) -> None:
        if payload == 0:
            await gate.wait()

    async with App(Registry([ours]), settings()) as app, serving(app):
        jobs = await three(app)
        await gate.reached.wait()
        await watched.pause()
        gate.opened.set()
        await watched.wait_for_event("completed", jobs[0])
        assert await states(app, jobs[1:]) == ["waiting", "waiting-children"]
        await watched.resume()
        await watched.wait_for_event("completed", jobs[2], timeout_s=5)

    assert await history(watched, jobs) == one_after_another(jobs)


@pytest.mark.parametrize("what", ["concurrency", "rate"])
async def test_a_limit_that_node_sets_for_the_whole_queue_does_not_stall_parked_jobs(
    settings: MakeSettings, watched: NodePeer, what: str
) -> None:
    if what == "concurrency":
        await watched.set_global_concurrency(1)
    else:
        await watched.set_global_rate_limit(2, 100)
    async with App(Registry([step]), settings()) as app, serving(app):
        jobs = [(await app.enqueue_job(step, number, order_key=f"k{number % 2}")).job_id for number in range(6)]
        # A worker that only looks again when its block ends would take up to ten seconds.
        await watched.wait_for_event("completed", count=6, timeout_s=5)

    for first in range(2):
        assert await history(watched, jobs[first::2]) == one_after_another(jobs[first::2])


async def test_nodes_search_for_orphaned_jobs_leaves_our_keys_alone(
    settings: MakeSettings, watched: NodePeer, redis: Redis, prefix: str
) -> None:
    """It takes `word:lock`, `word:logs` and their like for what is left of a job `word`."""
    async with App(Registry([step]), settings()) as app:
        for key in ("a", "lock", "logs", "x:lock"):
            await app.enqueue_job(step, key, order_key=key, related=("lock", key))
            await app.enqueue_job(step, key, order_key=key, related=("lock", key))
        before = await own_keys(redis, prefix)

        assert await watched.remove_orphaned_jobs() == 0
        assert await own_keys(redis, prefix) == before


# Ids that are used again


@pytest.mark.parametrize("how", ["removed", "completed by Node and not kept"])
async def test_a_head_whose_id_is_used_again_does_not_wedge_its_key(
    settings: MakeSettings, watched: NodePeer, how: str
) -> None:
    """Its key still named it as the holder, so that the new job of that id was parked before a place that it held
    itself: neither it nor any later job of the key ran again.
    """
    async with App(Registry([step]), settings()) as app:
        await app.enqueue_job(step, "old", order_key="a", job_id="x")
        if how == "removed":
            await watched.remove("x")
        else:
            await watched.start_worker("echo")
            await watched.wait_for_event("completed", "x")
            await watched.stop_worker()
            await watched.clean("completed")
        again = await app.enqueue_job(step, "new", order_key="a", job_id="x")
        following = await app.enqueue_job(step, "following", order_key="a")
        async with serving(app):
            assert (await again.wait(WAIT_S), await following.wait(WAIT_S)) == ("new", "following")


async def test_a_removed_parked_job_whose_id_is_used_again_comes_after_those_that_were_enqueued_before_it(
    settings: MakeSettings, watched: NodePeer
) -> None:
    async with App(Registry([step]), settings()) as app:
        for job_id in ("head", "x", "y"):
            await app.enqueue_job(step, job_id, order_key="a", job_id=job_id)
        await watched.remove("x")
        await app.enqueue_job(step, "x", order_key="a", job_id="x")
        async with serving(app):
            for job_id in ("x", "y"):
                await watched.wait_for_event("completed", job_id)

    assert await history(watched, ["head", "x", "y"]) == one_after_another(["head", "y", "x"])
