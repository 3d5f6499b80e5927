"""A flow is stored as a whole, in one step, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from jobqueue import (
    App,
    EnqueueError,
    InvalidOption,
    InvalidPayload,
    OutcomeUnknown,
    Registry,
    UnknownHandler,
    make_job,
    make_superseding_job,
)
from jobqueue.context import JobContext
from jobqueue.errors import DuplicateJob, RedisUnavailable
from jobqueue.flows import MAX_DEPTH, MAX_JOBS, EnqueuedFlow, Flow, flow
from tests.conftest import MakeSettings
from tests.flows.family import REGISTRY, echo, hash_of, state_of, stored_ids
from tests.support.eventually import eventually
from tests.support.proxy import proxied
from tests.support.redis_server import RedisServer


@make_job(duplicates="reject")
async def only_one(ctx: JobContext, payload: object) -> None: ...


@make_superseding_job(dedupe_key=lambda payload: f"doc:{payload}")
async def render(ctx: JobContext, payload: str) -> None: ...


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(Registry([*REGISTRY, only_one, render]), settings()) as app:
        yield app


def a_tree(**options: Any) -> Flow:
    """A root of two children, the second of which has one of its own."""
    return flow(echo, 0, children=[flow(echo, 1), flow(echo, 2, children=[flow(echo, 21)])], **options)


# What is stored


async def test_the_whole_tree_is_stored_and_only_its_leaves_may_run(app: App) -> None:
    stored = await app.enqueue_flow(a_tree())

    assert [(job.name, await state_of(app, job), job.created) for job in stored.walk()] == [
        ("echo", "waiting-children", True),
        ("echo", "wait", True),
        ("echo", "waiting-children", True),
        ("echo", "wait", True),
    ]


async def test_a_child_is_linked_to_its_parent_as_node_links_it(app: App, prefix: str) -> None:
    stored = await app.enqueue_flow(flow(echo, 0, children=[flow(echo, 1, on_failure="fail_parent")]))

    [child], parent_key = stored.children, f"{prefix}:jobs:{stored.job_id}"
    fields = await hash_of(app, child)
    assert (fields["parentKey"], fields["parent"]) == (
        parent_key,
        f'{{"id":"{stored.job_id}","queueKey":"{prefix}:jobs","fpof":true}}',
    )
    assert await app.client.call("SMEMBERS", f"{parent_key}:dependencies") == [f"{prefix}:jobs:{child.job_id}"]


async def test_jobs_without_an_id_get_one_that_says_where_they_stand(app: App) -> None:
    stored = await app.enqueue_flow(a_tree(job_id="order-7"))

    assert [job.job_id for job in stored.walk()] == ["order-7", "order-7.1", "order-7.2", "order-7.2.1"]


async def test_two_flows_without_an_id_have_nothing_in_common(app: App) -> None:
    first, second = await app.enqueue_flow(a_tree()), await app.enqueue_flow(a_tree())

    assert not {job.job_id for job in first.walk()} & {job.job_id for job in second.walk()}


async def test_each_job_goes_to_its_own_queue(app: App, redis: Redis, prefix: str) -> None:
    stored = await app.enqueue_flow(flow(echo, 0, children=[flow(echo, 1, queue="bulk")]))

    assert await stored_ids(redis, prefix) == {stored.job_id}
    assert await stored_ids(redis, prefix, "bulk") == {stored.children[0].job_id}


async def test_priority_and_delay_of_a_leaf_are_kept(app: App) -> None:
    leaves = [flow(echo, 1, priority=3), flow(echo, 2, delay_ms=60_000)]

    stored = await app.enqueue_flow(flow(echo, 0, children=leaves))

    assert [await state_of(app, leaf) for leaf in stored.children] == ["prioritized", "delayed"]


async def test_a_flow_of_one_job_is_a_job(app: App) -> None:
    stored = await app.enqueue_flow(flow("echo", 7))

    assert (await state_of(app, stored), stored.children) == ("wait", ())


async def test_a_thousand_jobs_are_stored_and_one_more_is_refused(app: App, redis: Redis, prefix: str) -> None:
    leaves = [flow(echo, number) for number in range(MAX_JOBS - 1)]

    await app.enqueue_flow(flow(echo, 0, children=leaves))
    with pytest.raises(InvalidOption, match=f"at most {MAX_JOBS} jobs"):
        await app.enqueue_flow(flow(echo, 0, children=[*leaves, flow(echo, 0)]))

    assert len(await stored_ids(redis, prefix)) == MAX_JOBS


async def test_the_deepest_tree_is_stored_and_a_deeper_one_is_refused(app: App, redis: Redis, prefix: str) -> None:
    deepest = flow(echo, 0)
    for _ in range(MAX_DEPTH - 1):
        deepest = flow(echo, 0, children=[deepest])

    await app.enqueue_flow(deepest)
    with pytest.raises(InvalidOption, match=f"{MAX_DEPTH} deep"):
        await app.enqueue_flow(flow(echo, 0, children=[deepest]))

    assert len(await stored_ids(redis, prefix)) == MAX_DEPTH


# What is claimed with it


async def test_a_superseding_leaf_takes_its_lane_in_the_same_step(app: App) -> None:
    older = await app.enqueue_job(render, "a")

    stored = await app.enqueue_flow(flow(echo, 0, children=[flow(render, "a")]))

    assert stored.children[0].superseded == older.job_id


async def test_a_superseding_parent_takes_its_lane_in_the_same_step_and_loses_it_to_a_newer_job(app: App) -> None:
    older = await app.enqueue_job(render, "a")

    stored = await app.enqueue_flow(flow(render, "a", children=[flow(echo, 1)]))
    newer = await app.enqueue_job(render, "a")

    assert (stored.superseded, newer.superseded) == (older.job_id, stored.job_id)
    assert await state_of(app, stored) == "waiting-children"


async def test_a_leaf_whose_order_key_is_taken_is_parked(app: App) -> None:
    await app.enqueue_job(echo, 1, order_key="channel:1")

    stored = await app.enqueue_flow(flow(echo, 0, children=[flow(echo, 2, order_key="channel:1")]))

    assert await state_of(app, stored.children[0]) == "waiting-children"


# Nothing at all


BAD_TREES: dict[str, tuple[Flow, type[EnqueueError], str]] = {
    "a payload deep inside": (
        flow(echo, 0, children=[flow(echo, 1), flow(echo, 2, children=[flow("add_up", "many")])]),
        InvalidPayload,
        r"\[2\.1\] payload of 'add_up'",
    ),
    "an unknown handler": (flow(echo, 0, children=[flow("nobody", 1)]), UnknownHandler, r"\[1\] .*'nobody'"),
    "an option of a leaf": (flow(echo, 0, children=[flow(echo, 1, priority=-1)]), InvalidOption, r"\[1\] priority"),
    "a word that is none of a failure's": (
        flow(echo, 0, children=[flow(echo, 1, on_failure=cast(Any, "explode"))]),
        InvalidOption,
        r"\[1\] on_failure: must be one of fail_parent, continue_parent, ignore, remove, not 'explode'",
    ),
    "a failure without a parent": (flow(echo, 0, on_failure="ignore"), InvalidOption, r"\[root\] on_failure"),
    "a point in time for a parent": (
        flow(echo, 0, run_at=datetime(2050, 1, 1, tzinfo=UTC), children=[flow(echo, 1)]),
        InvalidOption,
        r"\[root\] run_at: .* delay_ms counts from then",
    ),
    "a parent with an order key": (
        flow(echo, 0, children=[flow(echo, 1, order_key="a", children=[flow(echo, 2)])]),
        InvalidOption,
        r"\[1\] order_key",
    ),
    "a parent that rejects duplicates": (
        flow(only_one, 0, related=("order", "7"), children=[flow(echo, 1)]),
        InvalidOption,
        r"\[root\] duplicates",
    ),
    "one id for two jobs": (
        flow(echo, 0, children=[flow(echo, 1, job_id="a"), flow(echo, 2, job_id="a")]),
        InvalidOption,
        "'a' is the id of two jobs",
    ),
    "two jobs that reject each other": (
        flow(echo, 0, children=[flow(only_one, n, related=("order", "7")) for n in range(2)]),
        DuplicateJob,
        "only_one",
    ),
    "something that is no flow": (flow(echo, 0, children=cast(Any, [echo])), InvalidOption, r"\[1\] must be made by"),
    "more than a flow may hold": (
        flow(echo, 0, children=[flow(echo, "x" * 1_000_000) for _ in range(17)]),
        InvalidOption,
        "must not exceed 16000000 characters",
    ),
}


@pytest.mark.parametrize(("tree", "error", "says"), BAD_TREES.values(), ids=BAD_TREES.keys())
async def test_a_tree_with_one_wrong_job_stores_nothing_and_says_which(
    app: App, redis: Redis, prefix: str, tree: Flow, error: type[EnqueueError], says: str
) -> None:
    with pytest.raises(error, match=says):
        await app.enqueue_flow(tree)

    assert not await redis.keys(f"{prefix}:*")


async def test_a_child_whose_id_exists_stores_nothing(app: App, redis: Redis, prefix: str) -> None:
    await app.enqueue_job(echo, 0, job_id="taken")

    with pytest.raises(InvalidOption, match="'taken' exists already in queue 'jobs', so nothing was stored"):
        await app.enqueue_flow(flow(echo, 0, children=[flow(echo, 1), flow(echo, 2, job_id="taken")]))

    assert await stored_ids(redis, prefix) == {"taken"}


async def test_a_leaf_that_rejects_its_duplicate_stores_nothing(app: App, redis: Redis, prefix: str) -> None:
    older = await app.enqueue_job(only_one, 0, related=("order", "7"))

    with pytest.raises(DuplicateJob) as refused:
        await app.enqueue_flow(flow(echo, 0, children=[flow(echo, 1), flow(only_one, 2, related=("order", "7"))]))

    assert refused.value.job_id == older.job_id
    assert await stored_ids(redis, prefix) == {older.job_id}


async def test_the_same_flow_enqueued_again_is_stored_once(app: App, redis: Redis, prefix: str) -> None:
    first = await app.enqueue_flow(a_tree(job_id="order-7"))

    second = await app.enqueue_flow(a_tree(job_id="order-7"))

    assert [job.job_id for job in second.walk()] == [job.job_id for job in first.walk()]
    assert [job.created for job in second.walk()] == [False] * 4
    assert len(await stored_ids(redis, prefix)) == 4


# When something goes wrong on the way


async def test_scripts_that_were_flushed_leave_no_half_of_a_tree(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    async with own_redis.client() as redis, App(REGISTRY, settings(redis_url=own_redis.url)) as app:
        await app.enqueue_flow(a_tree())
        await redis.script_flush()

        stored = await app.enqueue_flow(a_tree())

        assert [await state_of(app, job) for job in stored.walk()] == [
            *("waiting-children", "wait", "waiting-children", "wait")
        ]


async def test_a_lost_answer_is_asked_for_again_and_the_flow_stored_once(
    settings: MakeSettings, redis: Redis, redis_url: str, prefix: str
) -> None:
    async with proxied(redis_url) as proxy, App(REGISTRY, settings(redis_url=proxy.url)) as app:
        await app.enqueue_flow(a_tree(job_id="warm"))
        proxy.cut_answer_of = lambda request: b"EVALSHA" in request and proxy.cuts == 0

        stored = await app.enqueue_flow(a_tree())

        assert proxy.cuts == 1
    ids = [job.job_id for job in stored.walk()]
    assert await stored_ids(redis, prefix) == {*ids, "warm", "warm.1", "warm.2", "warm.2.1"}


async def test_a_flow_whose_answer_never_comes_may_be_stored_or_not(settings: MakeSettings, redis_url: str) -> None:
    async with proxied(redis_url) as proxy, App(REGISTRY, settings(redis_url=proxy.url, redis_call_ms=300)) as app:
        await app.enqueue_flow(a_tree())
        proxy.cut_answer_of = lambda request: b"EVALSHA" in request

        with pytest.raises(OutcomeUnknown):
            await app.enqueue_flow(a_tree())


async def test_a_redis_that_is_killed_while_flows_arrive_keeps_whole_trees_only(
    settings: MakeSettings, own_redis: RedisServer, prefix: str
) -> None:
    # given: flows that arrive without a pause, from several callers
    told: list[EnqueuedFlow] = []
    tree = flow(echo, 0, children=[flow(echo, number, children=[flow(echo, number)]) for number in range(20)])

    async def enqueue_until_it_is_gone(app: App) -> None:
        while True:
            try:
                told.append(await app.enqueue_flow(tree))
            except (RedisUnavailable, OutcomeUnknown):
                return

    async with App(REGISTRY, settings(redis_url=own_redis.url, redis_call_ms=500)) as app:
        callers = [asyncio.create_task(enqueue_until_it_is_gone(app)) for _ in range(4)]

        # when
        await eventually(lambda: len(told) > 10)
        await asyncio.to_thread(own_redis.kill)
        await asyncio.gather(*callers)
    own_redis.start()

    # then
    async with own_redis.client() as redis:
        ids = await stored_ids(redis, prefix)
    roots = {job_id.partition(".")[0] for job_id in ids}
    assert {job.job_id for answer in told for job in answer.walk()} <= ids
    assert len(ids) == 41 * len(roots)
