"""Each job of a flow is checked as an enqueued job is: the marked lines are refused, the others taken."""

from __future__ import annotations

from typing import assert_type

from jobqueue import App, Enqueued, JobContext, make_job
from jobqueue.children import Children
from jobqueue.flows import EnqueuedFlow, Flow, flow


@make_job
async def count(ctx: JobContext, payload: list[int]) -> int:
    return len(payload)


@make_job
async def tidy(ctx: JobContext) -> None: ...


async def as_it_is_meant(app: App, ctx: JobContext) -> None:
    tree = flow(count, [1], delay_ms=5, children=[flow(tidy, on_failure="ignore"), flow("count", [2], attempts=1)])
    assert_type(tree, Flow)
    assert_type(await app.enqueue_flow(tree), EnqueuedFlow)
    assert_type((await app.enqueue_flow(tree)).children[0].job_id, str)
    assert_type(await ctx.enqueue_child(count, [1], job_id="a", on_failure="remove"), Enqueued)
    assert_type(await ctx.children(), Children)


async def gone_wrong(app: App, ctx: JobContext) -> None:
    flow(count, "many")  # refused
    flow(count)  # refused
    flow(tidy, 5)  # refused
    flow(count, [1], children=[count])  # refused
    flow(count, [1], on_failure="explode")  # refused
    flow(count, [1], retries=3)  # refused
    await app.enqueue_flow(count)  # refused
    await ctx.enqueue_child(count, "many")  # refused
    await ctx.enqueue_child(tidy, on_failure=True)  # refused
