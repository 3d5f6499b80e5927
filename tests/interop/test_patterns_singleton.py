"""Singletons, and what Node's workers, its tools and bull-board do to them."""

from __future__ import annotations

from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_singleton_job
from tests.conftest import MakeSettings
from tests.interop.board import DONE, Buttons
from tests.interop.node_peer import NodePeer
from tests.patterns.working import WAIT_S, Gate, leave_lock, serving, working
from tests.support.eventually import eventually


@make_singleton_job(name="clean")
async def clean(ctx: JobContext) -> str:
    return "cleaned"


async def test_a_node_worker_runs_a_singleton_without_the_lock_beside_ours(
    settings: MakeSettings, watched: NodePeer
) -> None:
    gate = Gate()

    @make_singleton_job(name="clean")
    async def ours(ctx: JobContext) -> str:
        await gate.wait()
        return "cleaned"

    async with working(settings(worker_concurrency=1), ours) as app:
        first = await app.enqueue_job(ours)
        await gate.reached.wait()
        second = await app.enqueue_job(ours)
        await watched.start_worker("echo")
        await watched.wait_for_event("completed", second.job_id)
        gate.opened.set()

        assert await first.wait(WAIT_S) == "cleaned"


async def test_a_node_producers_job_without_our_envelope_takes_the_lock_where_we_run_it(
    settings: MakeSettings, watched: NodePeer
) -> None:
    gate = Gate()

    @make_singleton_job(name="clean")
    async def ours(ctx: JobContext) -> str:
        await gate.wait()
        return "cleaned"

    async with working(settings(), ours):
        first = await watched.add("clean", {})
        await gate.reached.wait()
        second = await watched.add("clean", {})
        await watched.wait_for_event("completed", second)
        gate.opened.set()
        await watched.wait_for_event("completed", first)

    assert (await watched.job(second)).returnvalue == {"skipped": True, "holder": first}
    assert (await watched.job(first)).returnvalue == "cleaned"


async def test_bull_boards_remove_is_refused_while_the_singleton_runs(settings: MakeSettings, buttons: Buttons) -> None:
    gate = Gate()

    @make_singleton_job(name="clean")
    async def ours(ctx: JobContext) -> str:
        await gate.wait()
        return "cleaned"

    async with working(settings(), ours) as app:
        job = await app.enqueue_job(ours)
        await gate.reached.wait()
        assert await buttons.remove(job.job_id) == 409
        gate.opened.set()

        assert await job.wait(WAIT_S) == "cleaned"


async def test_bull_boards_promote_of_a_job_that_waits_for_the_lock_sends_it_back_to_wait(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    gate = Gate()

    @make_singleton_job(name="clean", on_busy="wait")
    async def ours(ctx: JobContext) -> str:
        await gate.wait()
        return ctx.job.id

    async with working(settings(), ours) as app:
        first = await app.enqueue_job(ours)
        await gate.reached.wait()
        second = await app.enqueue_job(ours)
        await watched.wait_for_event("delayed", second.job_id)
        assert await buttons.promote(second.job_id) in DONE
        await watched.wait_for_event("delayed", second.job_id, count=2)
        gate.opened.set()

        assert (await first.wait(WAIT_S), await second.wait(WAIT_S)) == (first.job_id, second.job_id)
    assert (await watched.job(second.job_id)).attempts_made == 1


async def test_the_lock_of_a_dead_worker_whose_job_node_then_ran_holds_until_its_time_is_over(
    settings: MakeSettings, watched: NodePeer, redis: Redis, prefix: str
) -> None:
    """Nobody of ours ended the job, so nobody gave the lock back: it ends by its 300 s."""
    async with App(Registry([clean]), settings()) as app:
        redelivered = await app.enqueue_job(clean)
        lock = await leave_lock(redis, prefix, redelivered.job_id)
        await watched.start_worker("echo")
        await watched.wait_for_event("completed", redelivered.job_id)
        await watched.stop_worker()

        async with serving(app):
            skipped = await (await app.enqueue_job(clean)).wait(WAIT_S)
            await redis.pexpire(lock, 1)
            await eventually(lambda: is_gone(redis, lock))
            run = await (await app.enqueue_job(clean)).wait(WAIT_S)

    assert (skipped, run) == ({"skipped": True, "holder": redelivered.job_id}, "cleaned")


async def is_gone(redis: Redis, key: str) -> bool:
    return not await redis.exists(key)
