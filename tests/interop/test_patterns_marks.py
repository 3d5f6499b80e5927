"""Cancelling, expiry, manual acknowledgement and related objects, and what Node's workers and bull-board do to them."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, JobFailed, JobNotInState, Registry, make_job
from tests.conftest import MakeSettings
from tests.interop.board import DONE, Buttons
from tests.interop.node_peer import NodePeer
from tests.patterns.working import WAIT_S, Gate, own_keys, serving, working
from tests.support.eventually import eventually

ORDER = ("order", "7")


@make_job(name="send", attempts=1)
async def send(ctx: JobContext, payload: object) -> object:
    return payload


@make_job(name="print", ack="manual")
async def print_label(ctx: JobContext, payload: object) -> None: ...


@pytest.fixture
def registry() -> Registry:
    return Registry([send, print_label])


# Cancelling


async def test_a_node_worker_ends_a_cancelled_job_as_if_nobody_had_cancelled_it(
    settings: MakeSettings, watched: NodePeer, registry: Registry, redis: Redis, prefix: str
) -> None:
    async with App(registry, settings()) as app:
        job = await app.enqueue_job(send, 1)
        await watched.start_worker("sleep", {"ms": 200})
        await watched.wait_for_event("active", job.job_id)

        assert await app.cancel_job(job.job_id, "not wanted") == "cancelling"
        await watched.wait_for_event("completed", job.job_id)

    assert await own_keys(redis, prefix) == {f"job:cancel:{job.job_id}"}


async def test_a_job_whose_cancelling_node_passed_over_ends_cancelled_when_a_tool_retries_it_and_we_pick_it_up(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, registry: Registry, redis: Redis, prefix: str
) -> None:
    async with App(registry, settings()) as app:
        job = await app.enqueue_job(send, 1)
        await watched.start_worker("sleep", {"ms": 200})
        await watched.wait_for_event("active", job.job_id)
        await app.cancel_job(job.job_id, "not wanted")
        await watched.wait_for_event("completed", job.job_id)
        await watched.stop_worker()

        assert await buttons.retry(job.job_id) in DONE
        async with serving(app):
            await watched.wait_for_event("failed", job.job_id)
        assert (await watched.job(job.job_id)).failed_reason == "Cancelled: not wanted"
        assert await own_keys(redis, prefix) == set()


async def test_a_cancelled_job_is_a_failed_one_to_bull_board_whose_retry_runs_it(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        job = await app.enqueue_job(send, 1)
        await app.cancel_job(job.job_id, "not wanted")
        assert await buttons.listed("failed") == [job.job_id]

        assert await buttons.retry(job.job_id) in DONE
        async with serving(app):
            assert await job.wait(WAIT_S) == 1


async def test_a_job_in_backoff_after_a_try_in_node_is_cancelled_at_once(
    settings: MakeSettings, watched: NodePeer, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        job = await app.enqueue_job(send, 1, attempts=2, backoff=600_000)
        await watched.start_worker("fail")
        await watched.wait_for_event("delayed", job.job_id)

        assert await app.cancel_job(job.job_id, "not wanted") == "cancelled"
        with pytest.raises(JobFailed, match=r"^Cancelled: not wanted$"):
            await job.wait(WAIT_S)


# Expiry


async def test_a_node_worker_runs_an_expired_job(settings: MakeSettings, watched: NodePeer, registry: Registry) -> None:
    async with App(registry, settings()) as app:
        job = await app.enqueue_job(send, 1, expires_in_ms=1)
        await asyncio.sleep(0.01)  # until it is expired
        await watched.start_worker("echo")

        await watched.wait_for_event("completed", job.job_id)


async def test_bull_boards_retry_and_promote_do_not_bring_an_expired_job_to_life(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        job = await app.enqueue_job(send, 1, delay_ms=600_000, expires_in_ms=1)
        await asyncio.sleep(0.01)  # until it is expired
        assert await buttons.promote(job.job_id) in DONE
        async with serving(app):
            await watched.wait_for_event("failed", job.job_id)
            assert await buttons.retry(job.job_id) in DONE
            await watched.wait_for_event("failed", job.job_id, count=2)

    assert (await watched.job(job.job_id)).failed_reason == "Expired"


# Manual acknowledgement


async def test_a_node_worker_completes_a_job_without_waiting_to_be_told_that_it_is_done(
    settings: MakeSettings, watched: NodePeer, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        job = await app.enqueue_job(print_label, 1)
        await watched.start_worker("none")

        await watched.wait_for_event("completed", job.job_id)
        with pytest.raises(JobNotInState):
            await app.mark_done(job.job_id)


async def test_a_node_worker_does_not_hear_that_a_job_is_done(
    settings: MakeSettings, watched: NodePeer, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        job = await app.enqueue_job(print_label, 1)
        await watched.start_worker("sleep", {"ms": 200})
        await watched.wait_for_event("active", job.job_id)

        await app.mark_done(job.job_id, "printed")
        await watched.wait_for_event("completed", job.job_id)

    assert (await watched.job(job.job_id)).returnvalue == {"type": "adhoc", "payload": 1}


async def test_what_was_said_of_a_run_in_node_does_not_end_a_later_job_of_that_id(
    settings: MakeSettings, watched: NodePeer, redis: Redis, prefix: str
) -> None:
    """The mark stayed, since a Node worker does not take it away. After the queue was obliterated the ids began at 1
    again, and the first job that was to be acknowledged by hand completed without having run.
    """
    gate = Gate()

    @make_job(name="print", ack="manual")
    async def ours(ctx: JobContext, payload: object) -> None:
        await gate.wait()

    async with App(Registry([ours]), settings()) as app:
        first = await app.enqueue_job(ours, 1)
        await watched.start_worker("sleep", {"ms": 200})
        await watched.wait_for_event("active", first.job_id)
        await app.mark_done(first.job_id, "printed")
        await watched.wait_for_event("completed", first.job_id)
        await watched.stop_worker()
        await watched.pause()
        await watched.obliterate()

        second = await app.enqueue_job(ours, 2)
        assert second.job_id == first.job_id
        async with serving(app):
            await asyncio.wait_for(gate.reached.wait(), WAIT_S)
            gate.opened.set()
            await app.mark_done(second.job_id, "printed again")
            assert await second.wait(WAIT_S) == "printed again"


async def test_what_was_said_of_a_run_in_node_ends_the_job_when_a_tool_retries_it_and_we_pick_it_up(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, registry: Registry, redis: Redis, prefix: str
) -> None:
    async with App(registry, settings()) as app:
        job = await app.enqueue_job(print_label, 1)
        await watched.start_worker("sleep", {"ms": 200})
        await watched.wait_for_event("active", job.job_id)
        await app.mark_done(job.job_id, "printed")
        await watched.wait_for_event("completed", job.job_id)
        await watched.stop_worker()
        assert await own_keys(redis, prefix) == {f"job:ack:{job.job_id}"}

        assert await buttons.retry(job.job_id) in DONE
        async with serving(app):
            await watched.wait_for_event("completed", job.job_id, count=2)
        assert (await watched.job(job.job_id)).returnvalue == "printed"
        assert await own_keys(redis, prefix) == set()


async def test_bull_boards_remove_is_refused_while_a_job_waits_to_be_acknowledged(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons
) -> None:
    async with working(settings(), print_label) as app:
        job = await app.enqueue_job(print_label, 1)
        await watched.wait_for_event("active", job.job_id)

        assert await buttons.remove(job.job_id) == 409
        await app.mark_done(job.job_id, "printed")
        assert await job.wait(WAIT_S) == "printed"


async def test_a_job_that_was_acknowledged_and_is_retried_by_bull_board_waits_to_be_acknowledged_again(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, registry: Registry
) -> None:
    async with App(registry, settings()) as app, serving(app):
        job = await app.enqueue_job(print_label, 1)
        await watched.wait_for_event("active", job.job_id)
        await app.mark_done(job.job_id, "printed")
        await job.wait(WAIT_S)

        assert await buttons.retry(job.job_id) in DONE
        await watched.wait_for_event("active", job.job_id, count=2)
        await app.mark_done(job.job_id, "printed again")
        await watched.wait_for_event("completed", job.job_id, count=2)

    assert (await watched.job(job.job_id)).returnvalue == "printed again"


# Related objects


async def test_jobs_that_node_or_bull_board_ended_are_passed_over_when_an_objects_jobs_are_cancelled(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        run = await app.enqueue_job(send, 1, related=ORDER)
        await watched.start_worker("echo")
        await watched.wait_for_event("completed", run.job_id)
        await watched.stop_worker()
        removed = await app.enqueue_job(send, 2, related=ORDER)
        left = await app.enqueue_job(send, 3, related=ORDER)
        assert await buttons.remove(removed.job_id) in DONE

        assert await app.cancel_jobs(related=ORDER, reason="not wanted") == {"jobs": (left.job_id,)}


async def test_a_job_that_a_node_producer_adds_about_an_object_counts_as_its_from_our_pick_up_on(
    settings: MakeSettings, watched: NodePeer
) -> None:
    started = asyncio.Event()

    @make_job(name="send", attempts=1)
    async def ours(ctx: JobContext, payload: object) -> None:
        started.set()
        await ctx.signal.wait()

    async with App(Registry([ours]), settings()) as app:
        job_id = await watched.add("send", {"type": "adhoc", "payload": 1, "related": {"type": "order", "id": "7"}})
        assert await app.cancel_jobs(related=ORDER) == {"jobs": ()}
        async with serving(app):
            await started.wait()
            assert await app.cancel_jobs(related=ORDER) == {"jobs": (job_id,)}
            await watched.wait_for_event("failed", job_id)


async def test_a_failed_job_that_bull_board_retries_counts_as_its_objects_again_from_our_pick_up_on(
    settings: MakeSettings, watched: NodePeer, buttons: Buttons, registry: Registry
) -> None:
    async with App(registry, settings()) as app:
        job = await app.enqueue_job(send, 1, related=ORDER)
        await app.cancel_job(job.job_id)

        assert await buttons.retry(job.job_id) in DONE
        assert await app.cancel_jobs(related=ORDER) == {"jobs": ()}
        async with serving(app):
            await eventually(lambda: has_completed(app, job.job_id))


async def has_completed(app: App, job_id: str) -> bool:
    return await app.queue().state(job_id) == "completed"
