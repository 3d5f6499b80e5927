"""Inspector: cancelled jobs apart from failed ones, and parked jobs with what they wait for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from jobqueue import App, Enqueued, InvalidOption, JobContext, JobFinished, JobNotFound, Registry, limit, make_job
from jobqueue.clock import now_ms
from jobqueue.flows import flow
from jobqueue.inspector import MAX_LOOKED_AT, Inspector, JobFilter, Turn
from tests.board.support import activate, complete, fail
from tests.conftest import MakeSettings
from tests.inspector.support import SOMEBODY


def itself(payload: str) -> str:
    return payload


@make_job
async def step(ctx: JobContext) -> None: ...


@make_job(ordered=True)
async def follow(ctx: JobContext) -> None: ...


@make_job(concurrency=limit(6, by=itself))
async def send(ctx: JobContext, payload: str) -> None: ...


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(Registry([step, follow, send]), settings()) as app:
        yield app


@pytest.fixture
def inspector(app: App) -> Inspector:
    return Inspector(app)


# Cancelled apart from failed


async def three_failed_and_two_cancelled(app: App) -> tuple[list[Enqueued], list[Enqueued]]:
    began_ms = now_ms() - 1_000
    failed = [await app.enqueue_job(step) for _ in range(3)]
    cancelled = [await app.enqueue_job(step) for _ in range(2)]
    for number, job in enumerate(failed):
        await fail(app, job, "Cancelled by nobody: it broke", at_ms=began_ms + number)
    for job in cancelled:
        await app.cancel_job(job.job_id, "not wanted")
    return failed, cancelled


async def test_cancelled_jobs_are_listed_apart_from_failed_ones(app: App, inspector: Inspector) -> None:
    failed, cancelled = await three_failed_and_two_cancelled(app)

    all_of_them = await inspector.jobs("jobs", "failed")
    only_cancelled = await inspector.jobs("jobs", "failed", wanted=JobFilter(cancelled=True))
    only_failed = await inspector.jobs("jobs", "failed", wanted=JobFilter(cancelled=False))

    assert all_of_them.total == 5
    assert {view.id for view in only_cancelled.jobs} == {job.job_id for job in cancelled}
    assert [view.id for view in only_failed.jobs] == [job.job_id for job in reversed(failed)], "latest first"
    assert (only_cancelled.total, only_failed.total) == (2, 3)
    assert only_cancelled.complete
    assert [view.cancelled for view in only_cancelled.jobs] == [True, True]
    assert not any(view.cancelled for view in only_failed.jobs)


async def test_a_filtered_list_has_pages(app: App, inspector: Inspector) -> None:
    failed, _ = await three_failed_and_two_cancelled(app)
    second = await inspector.jobs("jobs", "failed", 1, 1, wanted=JobFilter(cancelled=False))
    beyond = await inspector.jobs("jobs", "failed", 3, 1, wanted=JobFilter(cancelled=False))
    assert ([view.id for view in second.jobs], second.total) == ([failed[1].job_id], 3)
    assert (beyond.jobs, beyond.total) == ((), 3)


@pytest.mark.parametrize(("count", "total"), [(MAX_LOOKED_AT, MAX_LOOKED_AT), (MAX_LOOKED_AT + 1, None)])
async def test_a_filter_looks_at_the_latest_failed_jobs_and_says_where_it_stopped(
    app: App, inspector: Inspector, redis: Redis, prefix: str, count: int, total: int | None
) -> None:
    await redis.zadd(f"{prefix}:jobs:failed", {f"old-{number}": number for number in range(count)})
    found = await inspector.jobs("jobs", "failed", MAX_LOOKED_AT - 1, 10, wanted=JobFilter(cancelled=False))
    assert [view.id for view in found.jobs] == [f"old-{count - MAX_LOOKED_AT}"]
    assert (found.total, found.complete) == (total, total is not None)


async def test_a_filter_passes_over_what_is_no_job(app: App, inspector: Inspector, redis: Redis, prefix: str) -> None:
    await three_failed_and_two_cancelled(app)
    await redis.zadd(f"{prefix}:jobs:failed", {"text": 5, "gone": 6})
    await redis.set(f"{prefix}:jobs:text", "Cancelled: no")
    assert (await inspector.jobs("jobs", "failed", wanted=JobFilter(cancelled=True))).total == 2
    assert (await inspector.jobs("jobs", "failed", wanted=JobFilter(cancelled=False))).total == 5


async def test_a_job_that_is_not_failed_cannot_be_asked_for_as_cancelled(inspector: Inspector) -> None:
    with pytest.raises(InvalidOption, match="cancelled"):
        await inspector.jobs("jobs", "completed", wanted=JobFilter(cancelled=True))


async def test_a_job_that_is_to_be_tried_again_is_not_cancelled_whatever_its_error_says(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    job = await app.enqueue_job(step, delay_ms=60_000)
    await redis.hset(f"{prefix}:jobs:{job.job_id}", "failedReason", "Cancelled: by the carrier")
    assert not (await inspector.job("jobs", job.job_id)).cancelled


# Cancel


async def test_a_job_that_has_not_started_is_cancelled_and_can_be_retried(app: App, inspector: Inspector) -> None:
    job = await app.enqueue_job(step)

    assert await inspector.acting_as(SOMEBODY).cancel("jobs", job.job_id, "not wanted") == "cancelled"

    view = await inspector.job("jobs", job.job_id)
    assert view.job is not None
    assert (view.state, view.cancelled, view.job.failed_reason) == ("failed", True, "Cancelled: not wanted")
    await inspector.acting_as(SOMEBODY).retry("jobs", job.job_id)
    view = await inspector.job("jobs", job.job_id)
    assert (view.state, view.cancelled) == ("waiting", False)


async def test_the_worker_of_an_active_job_is_told(app: App, inspector: Inspector) -> None:
    job = await app.enqueue_job(step)
    await activate(app, job)
    assert await inspector.acting_as(SOMEBODY).cancel("jobs", job.job_id) == "cancelling"
    assert (await inspector.job("jobs", job.job_id)).state == "active"


async def test_a_job_that_has_ended_or_is_not_there_cannot_be_cancelled(app: App, inspector: Inspector) -> None:
    job = await app.enqueue_job(step)
    await complete(app, job, "1")
    with pytest.raises(JobFinished):
        await inspector.acting_as(SOMEBODY).cancel("jobs", job.job_id)
    with pytest.raises(JobNotFound):
        await inspector.acting_as(SOMEBODY).cancel("jobs", "nope")


# Parked


async def test_a_parked_job_says_which_order_key_and_which_job_it_waits_for(app: App, inspector: Inspector) -> None:
    head, parked, last = [await app.enqueue_job(step, order_key="channel:42") for _ in range(3)]

    view = await inspector.job("jobs", parked.job_id)
    listed = (await inspector.jobs("jobs", "waiting-children")).jobs

    assert (view.state, view.turn) == ("waiting-children", Turn("order key", "channel:42", (head.job_id,), 1))
    assert [(one.id, one.turn) for one in listed] == [(last.job_id, view.turn), (parked.job_id, view.turn)]
    assert (await inspector.job("jobs", head.job_id)).turn is None


async def test_a_job_of_an_ordered_handler_waits_for_its_objects_turn(app: App, inspector: Inspector) -> None:
    head, parked = [await app.enqueue_job(follow, related=("order", "7")) for _ in range(2)]
    view = await inspector.job("jobs", parked.job_id)
    assert view.turn == Turn("order key", "order:7", (head.job_id,), 1)


async def test_a_job_before_a_limit_names_some_of_its_holders(app: App, inspector: Inspector) -> None:
    *running, parked = [await app.enqueue_job(send, "tenant:1") for _ in range(7)]
    turn = (await inspector.job("jobs", parked.job_id)).turn
    assert turn is not None
    assert (turn.kind, turn.name, turn.holder_count) == ("limit", "send:tenant:1", 6)
    assert len(turn.holders) == 3
    assert {*turn.holders} < {job.job_id for job in running}


async def test_a_job_that_holds_its_order_key_waits_for_the_limit_alone(app: App, inspector: Inspector) -> None:
    for _ in range(6):
        await app.enqueue_job(send, "tenant:1")
    parked = await app.enqueue_job(send, "tenant:1", order_key="channel:42")
    turn = (await inspector.job("jobs", parked.job_id)).turn
    assert turn is not None
    assert turn.kind == "limit"


async def test_a_holder_whose_id_is_no_text_can_be_shown(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    _, parked = [await app.enqueue_job(step, order_key="a") for _ in range(2)]
    await redis.zrem(f"{prefix}:jobs:job:order:a", "1")
    await redis.zadd(f"{prefix}:jobs:job:order:a", {b"\xff": 0})
    turn = (await inspector.job("jobs", parked.job_id)).turn
    assert turn is not None
    assert turn.holders == ("\ufffd",)


async def test_an_order_key_is_told_without_the_jobs_handler(app: App, settings: MakeSettings) -> None:
    _, parked = [await app.enqueue_job(step, order_key="a") for _ in range(2)]
    async with App(settings=settings()) as other:
        turn = (await Inspector(other).job("jobs", parked.job_id)).turn
    assert turn is not None
    assert turn.name == "a"


async def test_a_flows_parent_waits_for_its_children_and_not_for_its_turn(app: App, inspector: Inspector) -> None:
    root = await app.enqueue_flow(flow(step, children=[flow(step)]))
    view = await inspector.job("jobs", root.job_id)
    assert (view.state, view.turn) == ("waiting-children", None)


async def test_a_malformed_job_in_waiting_children_is_shown(inspector: Inspector, redis: Redis, prefix: str) -> None:
    await redis.hset(f"{prefix}:jobs:bad", mapping={"name": "step", "data": "{", "timestamp": "1"})
    await redis.zadd(f"{prefix}:jobs:waiting-children", {"bad": 1})
    view = await inspector.job("jobs", "bad")
    assert (view.state, view.turn, view.job) == ("waiting-children", None, None)


# Created by


async def test_the_creator_is_named_where_it_is_a_job_of_the_queue(app: App, inspector: Inspector) -> None:
    creator = await app.enqueue_job(step)
    by_job = await app.enqueue_job(step, created_by=creator.job_id)
    by_person = await app.enqueue_job(step, created_by="alice")
    assert (await inspector.job("jobs", by_job.job_id)).creator == creator.job_id
    assert (await inspector.job("jobs", by_person.job_id)).creator is None
