"""A flow runs from its leaves to its root, and what a child's failure means to its parent."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from jobqueue import JobContext, JobFailed, make_job, make_singleton_job
from jobqueue.flows import flow
from jobqueue.handler import Handler
from tests.conftest import MakeSettings
from tests.flows.family import NO_ROUTE, add_up, echo, fail, state_of
from tests.patterns.working import WAIT_S, Gate, working


def noting() -> tuple[list[object], Handler[object]]:
    """A handler that returns what it was given, and the list of what it has run."""
    ran: list[object] = []

    @make_job
    async def note(ctx: JobContext, payload: object) -> object:
        ran.append(payload)
        return payload

    return ran, note


async def test_each_job_runs_after_all_of_its_children(settings: MakeSettings) -> None:
    ran, note = noting()
    tree = flow(
        note, "root", children=[flow(note, "a"), flow(note, "b", children=[flow(note, "b1"), flow(note, "b2")])]
    )

    async with working(settings(), note) as app:
        stored = await app.enqueue_flow(tree)
        result = await stored.wait(WAIT_S)

    assert result == "root"
    assert sorted(map(str, ran)) == ["a", "b", "b1", "b2", "root"]
    assert ran[-1] == "root"
    assert set(ran[: ran.index("b")]) >= {"b1", "b2"}


async def test_children_in_another_queue_release_their_parent(settings: MakeSettings) -> None:
    ran, note = noting()

    @make_job(queue="bulk")
    async def aside(ctx: JobContext, payload: object) -> None:
        ran.append(payload)

    async with working(settings(), note, aside) as app:
        stored = await app.enqueue_flow(flow(note, "parent", children=[flow(aside, "child")]))
        await stored.wait(WAIT_S)

    assert ran == ["child", "parent"]


async def test_the_delay_of_a_parent_counts_from_the_end_of_its_children(settings: MakeSettings) -> None:
    async with working(settings(), echo) as app:
        stored = await app.enqueue_flow(flow(echo, 0, delay_ms=200, children=[flow(echo, 1)]))
        await stored.wait(WAIT_S)

        parent, child = [await app.queue().job(job.job_id) for job in stored.walk()]
    assert parent.processed_at_ms is not None
    assert child.finished_at_ms is not None
    assert parent.processed_at_ms - child.finished_at_ms >= 200


async def test_a_parent_under_a_limit_of_one_lets_its_children_of_the_same_handler_run(settings: MakeSettings) -> None:
    @make_job(concurrency=1)
    async def limited(ctx: JobContext, payload: object) -> object:
        return payload

    async with working(settings(), limited) as app:
        stored = await app.enqueue_flow(flow(limited, "parent", children=[flow(limited, n) for n in range(3)]))

        assert await stored.wait(WAIT_S) == "parent"


async def test_a_singleton_waits_for_children_of_its_own_name(settings: MakeSettings) -> None:
    @make_singleton_job(on_busy="wait")
    async def alone(ctx: JobContext, payload: object) -> object:
        return payload

    async with working(settings(), alone) as app:
        stored = await app.enqueue_flow(flow(alone, "parent", children=[flow(alone, "child")]))

        assert await stored.wait(WAIT_S) == "parent"


async def test_ordered_leaves_run_one_after_another_and_then_the_parent(settings: MakeSettings) -> None:
    running: list[object] = []
    ran: list[object] = []

    @make_job
    async def one_by_one(ctx: JobContext, payload: object) -> None:
        running.append(payload)
        await asyncio.sleep(0.02)  # long enough for another one to start, if it could
        assert running == [payload]
        running.remove(payload)
        ran.append(payload)

    leaves = [flow(one_by_one, number, order_key="channel:1") for number in range(4)]
    async with working(settings(), one_by_one) as app:
        stored = await app.enqueue_flow(flow(one_by_one, "parent", children=leaves))
        await stored.wait(WAIT_S)

    assert ran == [0, 1, 2, 3, "parent"]


# A child that fails


async def test_a_parent_waits_for_a_failed_child_until_that_is_retried(settings: MakeSettings) -> None:
    route = Gate()

    @make_job(attempts=1)
    async def call(ctx: JobContext, payload: object) -> str:
        if not route.opened.is_set():
            raise RuntimeError(NO_ROUTE)
        return "called"

    async with working(settings(), echo, call) as app:
        # given
        stored = await app.enqueue_flow(flow(echo, "parent", children=[flow(call, 1)]))
        with pytest.raises(JobFailed, match=NO_ROUTE):
            await stored.children[0].wait(WAIT_S)
        assert await state_of(app, stored) == "waiting-children"

        # when
        route.opened.set()
        await app.retry_job(stored.children[0].job_id)

        # then
        assert await stored.wait(WAIT_S) == "parent"


async def test_a_failure_that_fails_the_parent_goes_up_as_far_as_it_is_told_to(
    settings: MakeSettings, prefix: str
) -> None:
    ran, note = noting()
    bottom = flow(fail, 0, on_failure="fail_parent")
    middle = flow(note, "middle", on_failure="fail_parent", children=[bottom, flow(note, "beside")])
    top = flow(note, "top", children=[middle])

    async with working(settings(), note, fail) as app:
        stored = await app.enqueue_flow(top)
        with pytest.raises(JobFailed) as told:
            await stored.wait(WAIT_S)
        with pytest.raises(JobFailed) as told_in_the_middle:
            await stored.children[0].wait(WAIT_S)

    [middle_job] = stored.children
    assert str(told.value) == f"child {prefix}:jobs:{middle_job.job_id} failed"
    assert str(told_in_the_middle.value) == f"child {prefix}:jobs:{middle_job.children[0].job_id} failed"
    assert "middle" not in ran
    assert "top" not in ran


async def test_a_parent_that_a_child_has_failed_runs_when_both_were_retried_the_child_first(
    settings: MakeSettings,
) -> None:
    route = Gate()

    @make_job(attempts=1)
    async def call(ctx: JobContext, payload: object) -> str:
        if not route.opened.is_set():
            raise RuntimeError(NO_ROUTE)
        return "called"

    async with working(settings(), add_up, call) as app:
        # given
        stored = await app.enqueue_flow(flow(add_up, 1, children=[flow(call, 1, on_failure="fail_parent")]))
        with pytest.raises(JobFailed, match=r"child .* failed"):
            await stored.wait(WAIT_S)

        # when
        route.opened.set()
        await app.retry_job(stored.children[0].job_id)
        await stored.children[0].wait(WAIT_S)
        await app.retry_job(stored.job_id)

        # then
        assert await stored.wait(WAIT_S) == 1


@pytest.mark.parametrize("on_failure", ["ignore", "remove"])
async def test_a_failure_that_is_ignored_or_removed_lets_the_parent_run_after_the_others(
    settings: MakeSettings, on_failure: Literal["ignore", "remove"]
) -> None:
    other = Gate()

    @make_job
    async def held(ctx: JobContext) -> None:
        await other.wait()

    async with working(settings(), echo, fail, held) as app:
        # given
        stored = await app.enqueue_flow(
            flow(echo, "parent", children=[flow(fail, 0, on_failure=on_failure), flow(held)])
        )
        with pytest.raises(JobFailed, match=NO_ROUTE):
            await stored.children[0].wait(WAIT_S)
        assert await state_of(app, stored) == "waiting-children"

        # when
        other.opened.set()

        # then
        assert await stored.wait(WAIT_S) == "parent"


async def test_a_child_that_is_cancelled_has_failed(settings: MakeSettings) -> None:
    async with working(settings(), echo) as app:
        later = flow(echo, 0, delay_ms=600_000, on_failure="ignore")
        stored = await app.enqueue_flow(flow(echo, "parent", children=[later]))

        await app.cancel_job(stored.children[0].job_id, "nobody wants it")

        assert await stored.wait(WAIT_S) == "parent"


async def test_a_parent_that_continues_after_a_failure_runs_before_its_other_children_have_ended(
    settings: MakeSettings,
) -> None:
    other, parent_ran = Gate(), asyncio.Event()

    @make_job
    async def held(ctx: JobContext) -> None:
        await other.wait()

    @make_job(attempts=1)
    async def parent(ctx: JobContext) -> None:
        parent_ran.set()

    async with working(settings(), parent, fail, held) as app:
        await app.enqueue_flow(flow(parent, children=[flow(held), flow(fail, 0, on_failure="continue_parent")]))

        await asyncio.wait_for(parent_ran.wait(), WAIT_S)

        assert other.reached.is_set()
        other.opened.set()
