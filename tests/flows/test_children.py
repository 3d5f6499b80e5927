"""What a running job sees of its children, and how it adds some."""

from __future__ import annotations

import pytest
from pydantic import JsonValue
from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from jobqueue.children import Child, Children
from jobqueue.context import Resources
from jobqueue.flows import Flow, flow
from jobqueue.handler import Handler
from tests.conftest import MakeSettings
from tests.flows.family import NO_ROUTE, add_up, echo, fail
from tests.handlers.support.contexts import new_context, new_job
from tests.patterns.working import WAIT_S, working


def looking() -> tuple[list[Children], Handler[object]]:
    """A parent that notes what it sees of its children."""
    seen: list[Children] = []

    @make_job
    async def look(ctx: JobContext, payload: object) -> list[JsonValue]:
        seen.append(await ctx.children())
        return await ctx.children_results()

    return seen, look


async def test_the_results_come_in_the_order_in_which_the_children_were_given(settings: MakeSettings) -> None:
    # given: ids in no order, and the first to end is the last given
    ids = ["m", None, "a", None, "z"] * 3
    leaves: list[Flow] = []
    for number, name in enumerate(ids):
        leaf = flow(echo, number, delay_ms=60 - 4 * number)
        leaves.append(leaf if name is None else flow(echo, number, delay_ms=60 - 4 * number, job_id=f"{name}{number}"))
    _, look = looking()

    # when
    async with working(settings(), echo, look) as app:
        stored = await app.enqueue_flow(flow(look, None, children=leaves))

        # then
        assert await stored.wait(WAIT_S) == list(range(len(ids)))


async def test_a_child_is_seen_with_its_id_queue_handler_and_result(settings: MakeSettings) -> None:
    seen, look = looking()

    @make_job(queue="bulk")
    async def count(ctx: JobContext, payload: list[int]) -> dict[str, int]:
        return {"rows": len(payload)}

    async with working(settings(), echo, look, count) as app:
        stored = await app.enqueue_flow(flow(look, None, children=[flow(count, [1, 2]), flow(echo, "b")]))
        await stored.wait(WAIT_S)

    [children] = seen
    assert list(children) == [
        Child(f"{stored.job_id}.1", "bulk", "count", "completed", {"rows": 2}),
        Child(f"{stored.job_id}.2", "jobs", "echo", "completed", "b"),
    ]
    assert children.of(count).results == [{"rows": 2}]
    assert children.of("echo").results == ["b"]


async def test_an_ignored_failure_is_seen_with_its_reason_and_a_removed_one_is_not(settings: MakeSettings) -> None:
    seen, look = looking()
    leaves = [flow(fail, 0, on_failure="ignore"), flow(echo, 1), flow(fail, 2, on_failure="remove")]

    async with working(settings(), echo, fail, look) as app:
        stored = await app.enqueue_flow(flow(look, None, children=leaves))
        assert await stored.wait(WAIT_S) == [1]

    [children] = seen
    assert [(child.job_id, child.state, child.failed_reason) for child in children] == [
        (f"{stored.job_id}.1", "failed", NO_ROUTE),
        (f"{stored.job_id}.2", "completed", None),
    ]
    assert [child.job_id for child in children.failed] == [f"{stored.job_id}.1"]


async def test_a_grandchild_is_its_parents_business(settings: MakeSettings) -> None:
    tree = flow(add_up, 1, children=[flow(add_up, 20, children=[flow(add_up, 300), flow(add_up, 4000)])])

    async with working(settings(), add_up) as app:
        assert await (await app.enqueue_flow(tree)).wait(WAIT_S) == 4321


async def test_a_child_that_is_not_kept_is_seen_without_its_name(settings: MakeSettings, redis: Redis) -> None:
    # given: the parent starts when its only child has been removed
    seen, look = looking()
    async with working(settings(), echo, look) as app:
        stored = await app.enqueue_flow(flow(look, None, delay_ms=300, children=[flow(echo, "kept nowhere")]))
        [child] = stored.children
        await child.wait(WAIT_S)
        await redis.delete(app.queue().keys.job(child.job_id))
        await stored.wait(WAIT_S)

    assert seen == [(Child(child.job_id, "jobs", None, "completed", "kept nowhere"),)]


async def test_many_children_are_read_in_pages(settings: MakeSettings) -> None:
    _, look = looking()
    numbers = list(range(999))

    async with working(settings(worker_concurrency=50), echo, look) as app:
        stored = await app.enqueue_flow(flow(look, None, children=[flow(echo, number) for number in numbers]))

        assert await stored.wait(WAIT_S) == numbers


async def test_a_job_without_children_sees_none(settings: MakeSettings) -> None:
    seen, look = looking()

    async with working(settings(), look) as app:
        await (await app.enqueue_job(look, None)).wait(WAIT_S)

    assert seen == [()]


async def test_a_context_without_an_app_says_so() -> None:
    ctx = new_context(new_job(), Resources())

    with pytest.raises(RuntimeError, match="without an app"):
        await ctx.children()
