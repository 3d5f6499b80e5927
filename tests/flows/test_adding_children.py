"""A job adds children while it runs, and waits for them."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import JsonValue
from redis.asyncio import Redis

from jobqueue import App, JobContext, JobFailed, Registry, make_job
from jobqueue.errors import JobNotFound, JobNotInState, WaitForChildren
from jobqueue.flows import flow
from tests.conftest import MakeSettings
from tests.flows.family import echo, fail
from tests.patterns.working import WAIT_S, Gate, working
from tests.worker.harness import end_of


@make_job
async def split(ctx: JobContext, payload: int) -> list[JsonValue]:
    """Adds so many children, and returns what they returned."""
    if len(await ctx.children()) == payload:
        return await ctx.children_results()
    for number in range(payload):
        await ctx.enqueue_child(echo, number, job_id=f"{ctx.job.id}-part-{number}")
    raise WaitForChildren


async def test_a_job_that_waits_for_the_children_that_it_added_runs_again_after_them(settings: MakeSettings) -> None:
    async with working(settings(), echo, split) as app:
        result = await app.enqueue_job(split, 12, job_id="whole")

        assert await result.wait(WAIT_S) == list(range(12))
        parent = await app.queue().job("whole")
    assert (parent.attempts_started, parent.attempts_made) == (2, 1)


async def test_a_job_that_waits_for_its_children_gives_its_place_under_a_limit_to_them(settings: MakeSettings) -> None:
    @make_job(concurrency=1)
    async def count_down(ctx: JobContext, payload: int) -> int:
        results = await ctx.children_results()
        if payload == 0 or results:
            return payload
        await ctx.enqueue_child(count_down, payload - 1)
        raise WaitForChildren

    async with working(settings(), count_down) as app:
        assert await (await app.enqueue_job(count_down, 3)).wait(WAIT_S) == 3


async def test_a_job_that_waits_for_its_children_keeps_its_place_in_the_order(settings: MakeSettings) -> None:
    ran: list[str] = []

    @make_job
    async def step(ctx: JobContext, payload: str) -> None:
        if payload == "first" and not await ctx.children():
            await ctx.enqueue_child(step, "child", delay_ms=100)
            raise WaitForChildren
        ran.append(payload)

    async with working(settings(), step) as app:
        await app.enqueue_job(step, "first", order_key="channel:1")
        second = await app.enqueue_job(step, "second", order_key="channel:1")
        await second.wait(WAIT_S)

    assert ran == ["child", "first", "second"]


async def test_a_child_without_an_id_comes_in_the_order_of_adding_and_names_its_creator(
    settings: MakeSettings,
) -> None:
    added: list[str] = []

    @make_job
    async def spread(ctx: JobContext) -> list[JsonValue]:
        if not await ctx.children():
            added.extend([(await ctx.enqueue_child(echo, number)).job_id for number in range(30)])
            raise WaitForChildren
        return await ctx.children_results()

    async with working(settings(), echo, spread) as app:
        result = await app.enqueue_job(spread)
        assert await result.wait(WAIT_S) == list(range(30))
        child = await app.queue().job(added[0])

    assert child.envelope.created_by == result.job_id


async def test_a_child_that_the_job_added_before_is_not_added_again(settings: MakeSettings) -> None:
    # given: a child that failed, to be ignored, and a parent that adds it in each of its tries
    created: list[bool] = []

    @make_job(attempts=2, backoff=10)
    async def stubborn(ctx: JobContext) -> str:
        created.append((await ctx.enqueue_child(fail, 0, job_id="child", on_failure="ignore")).created)
        if (await ctx.children()).failed:
            return "seen"
        raise WaitForChildren

    async with working(settings(), fail, stubborn) as app:
        result = await app.enqueue_job(stubborn)

        # then
        assert await result.wait(WAIT_S) == "seen"
    assert created == [True, False]


async def test_a_child_that_fails_its_waiting_parent_does_so(settings: MakeSettings, prefix: str) -> None:
    @make_job
    async def hopeful(ctx: JobContext) -> None:
        await ctx.enqueue_child(fail, 0, job_id="child", on_failure="fail_parent")
        raise WaitForChildren

    async with working(settings(), fail, hopeful) as app:
        result = await app.enqueue_job(hopeful)

        with pytest.raises(JobFailed, match=f"child {prefix}:jobs:child failed"):
            await result.wait(WAIT_S)


async def test_a_job_that_returns_while_a_child_is_still_to_run_fails(settings: MakeSettings) -> None:
    child = Gate()

    @make_job
    async def held(ctx: JobContext) -> None:
        await child.wait()

    @make_job
    async def hasty(ctx: JobContext) -> None:
        await ctx.enqueue_child(held)

    async with working(settings(), held, hasty) as app:
        result = await app.enqueue_job(hasty)

        with pytest.raises(JobFailed, match="its children are not all finished"):
            await result.wait(WAIT_S)
        child.opened.set()


async def test_a_parent_that_continues_after_a_failure_may_wait_for_its_other_children(settings: MakeSettings) -> None:
    other = Gate()
    seen: list[tuple[int, int]] = []

    @make_job
    async def held(ctx: JobContext) -> str:
        await other.wait()
        return "held"

    @make_job
    async def parent(ctx: JobContext) -> list[JsonValue]:
        children = await ctx.children()
        seen.append((len(children.completed), len(children.failed)))
        if len(children) < 2:
            other.opened.set()
            raise WaitForChildren
        return children.results

    async with working(settings(), fail, held, parent) as app:
        stored = await app.enqueue_flow(
            flow(parent, children=[flow(held), flow(fail, 0, on_failure="continue_parent")])
        )

        assert await stored.wait(WAIT_S) == ["held"]
    assert seen == [(0, 1), (1, 1)]


async def test_a_parent_that_needs_its_other_children_no_more_removes_them_and_returns(
    settings: MakeSettings,
) -> None:
    @make_job
    async def parent(ctx: JobContext) -> str:
        await ctx.remove_pending_children()
        return "enough"

    async with working(settings(), echo, fail, parent) as app:
        later = flow(echo, 0, delay_ms=600_000, children=[flow(echo, 1, delay_ms=600_000)])
        stored = await app.enqueue_flow(flow(parent, children=[later, flow(fail, 0, on_failure="continue_parent")]))

        assert await stored.wait(WAIT_S) == "enough"
        with pytest.raises(JobNotFound):
            await app.queue().job(stored.children[0].job_id)
        with pytest.raises(JobNotFound):
            await app.queue().job(stored.children[0].children[0].job_id)


async def test_a_child_with_its_parents_order_key_would_wait_for_ever_and_is_refused(settings: MakeSettings) -> None:
    @make_job(attempts=1)
    async def parent(ctx: JobContext) -> None:
        await ctx.enqueue_child(echo, 1, order_key="channel:1")

    async with working(settings(), echo, parent) as app:
        result = await app.enqueue_job(parent, order_key="channel:1")

        with pytest.raises(JobFailed, match="order_key: is the parent's own"):
            await result.wait(WAIT_S)


async def test_an_id_that_belongs_to_another_job_is_refused(settings: MakeSettings) -> None:
    @make_job(attempts=1)
    async def parent(ctx: JobContext) -> None:
        await ctx.enqueue_child(echo, 1, job_id="taken")

    async with working(settings(), echo, parent) as app:
        await (await app.enqueue_job(echo, 0, job_id="taken")).wait(WAIT_S)
        result = await app.enqueue_job(parent)

        with pytest.raises(JobFailed, match="'taken' exists already"):
            await result.wait(WAIT_S)


async def test_a_job_that_is_over_gets_no_child(settings: MakeSettings, redis: Redis) -> None:
    async with working(settings(), echo) as app:
        result = await app.enqueue_job(echo, 0)
        await result.wait(WAIT_S)
        parent = await app.queue().job(result.job_id)

        with pytest.raises(JobNotInState, match="finished"):
            await app.flows.add_child(parent, echo, 1, {})
        await redis.delete(app.queue().keys.job(parent.id))
        with pytest.raises(JobNotFound, match=parent.id):
            await app.flows.add_child(parent, echo, 1, {})


async def test_a_worker_that_is_stopped_between_two_children_loses_and_doubles_none(settings: MakeSettings) -> None:
    # given: a parent that has added one of its two children when its worker goes
    halfway = Gate()

    @make_job(grace_ms=0)
    async def parent(ctx: JobContext) -> list[JsonValue]:
        await ctx.enqueue_child(echo, 1, job_id="first")
        if not halfway.opened.is_set():
            await halfway.wait()
        await ctx.enqueue_child(echo, 2, job_id="second")
        results = await ctx.children_results()
        if len(results) < 2:
            raise WaitForChildren
        return results

    async with working(settings(worker_shutdown_ms=0), echo, parent) as app:
        stored = await app.enqueue_job(parent)
        await asyncio.wait_for(halfway.reached.wait(), WAIT_S)

    # when
    halfway.opened.set()
    async with working(settings(), echo, parent) as app:
        # then
        assert await end_of(app, stored.job_id) == ("completed", "[1,2]")
        assert {(await app.queue().job(child)).attempts_started for child in ("first", "second")} == {1}


async def test_a_job_that_waits_for_children_and_never_had_any_fails(settings: MakeSettings) -> None:
    """It ran ten times a second for ever, uncounted: a forgotten `if`."""
    tries: list[int] = []

    @make_job(attempts=2)
    async def parent(ctx: JobContext) -> None:
        tries.append(ctx.job.attempt)
        raise WaitForChildren

    async with working(settings(), parent) as app:
        with pytest.raises(JobFailed, match="waits for its children, but has none"):
            await (await app.enqueue_job(parent)).wait(WAIT_S)

    assert tries == [1, 2]


async def test_a_cancelled_parent_that_is_retried_waits_for_its_children_again(settings: MakeSettings) -> None:
    """It went to waiting, and ran before the children whose results it wanted."""
    async with App(Registry([echo, split]), settings()) as app:
        result = await app.enqueue_flow(flow(split, 1, children=[flow(echo, 7, delay_ms=60_000)]))
        await app.cancel_job(result.job_id)
        await app.retry_job(result.job_id)

        assert await app.queue().state(result.job_id) == "waiting-children"
