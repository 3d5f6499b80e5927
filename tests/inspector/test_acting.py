"""Acting on one job: promoted, removed, retried, cancelled; and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, Registry, limit, make_job, make_singleton_job
from jobqueue.app import App
from jobqueue.clock import now_ms
from jobqueue.errors import (
    InvalidOption,
    JobActive,
    JobError,
    JobFinished,
    JobNotFound,
    JobNotInState,
    JobqueueError,
    QueueVersionError,
)
from jobqueue.flows import flow
from jobqueue.inspector import Inspector, Operator
from tests.board.support import activate, complete, fail, heartbeat
from tests.conftest import MakeSettings
from tests.inspector.support import SOMEBODY


@make_job(concurrency=limit(1))
async def one_by_one(ctx: JobContext) -> None: ...


@make_singleton_job
async def alone(ctx: JobContext) -> None: ...


@pytest.fixture
async def bound(settings: MakeSettings) -> AsyncIterator[App]:
    """An app whose handlers have a limit and a lock."""
    async with App(Registry([one_by_one, alone]), settings()) as app:
        yield app


# Promote


async def test_a_delayed_job_that_is_promoted_waits_to_run_and_wakes_a_worker(app: App, operator: Operator) -> None:
    job = await app.enqueue_job(heartbeat, delay_ms=60_000)

    await operator.promote("jobs", job.job_id)

    assert await app.queue().state(job.job_id) == "waiting"
    assert await app.client.call("ZSCORE", app.queue().keys.of("marker"), "0") is not None


async def test_a_promoted_job_keeps_its_priority(app: App, operator: Operator) -> None:
    job = await app.enqueue_job(heartbeat, delay_ms=60_000, priority=4)
    await operator.promote("jobs", job.job_id)
    assert await app.queue().state(job.job_id) == "prioritized"


async def test_a_job_that_is_not_delayed_is_not_promoted_and_the_error_tells_why(app: App, operator: Operator) -> None:
    waiting, running, done, failed = [await app.enqueue_job(heartbeat) for _ in range(4)]
    await activate(app, running)
    await complete(app, done, "1")
    await fail(app, failed, "no")
    kinds = ((waiting, JobNotInState), (running, JobActive), (done, JobFinished), (failed, JobFinished))
    for job, kind in kinds:
        with pytest.raises(JobNotInState, match="not delayed") as caught:
            await operator.promote("jobs", job.job_id)
        assert type(caught.value) is kind
    with pytest.raises(JobNotFound):
        await operator.promote("jobs", "nope")


# Remove


@pytest.mark.parametrize("state", ["waiting", "delayed", "prioritized", "completed", "failed"])
async def test_a_job_is_removed_from_any_state_with_all_its_keys(
    app: App, operator: Operator, redis: Redis, prefix: str, state: str
) -> None:
    delay_ms, priority = (60_000 if state == "delayed" else 0), (1 if state == "prioritized" else 0)
    job = await app.enqueue_job(heartbeat, delay_ms=delay_ms, priority=priority)
    await app.queue().add_log(job.job_id, "line", 10)
    if state == "completed":
        await complete(app, job, "1")
    if state == "failed":
        await fail(app, job, "no")

    await operator.remove("jobs", job.job_id)

    assert await redis.keys(f"{prefix}:jobs:{job.job_id}*") == []
    assert await app.queue().state(job.job_id) == "unknown"


async def test_an_active_job_is_not_removed_even_when_its_lock_has_expired(app: App, operator: Operator) -> None:
    job = await app.enqueue_job(heartbeat)
    await activate(app, job)
    with pytest.raises(JobActive, match="cancel it first"):
        await operator.remove("jobs", job.job_id)
    assert await app.queue().state(job.job_id) == "active"


async def test_what_is_not_a_job_is_not_removed(app: App, operator: Operator, redis: Redis, prefix: str) -> None:
    """The shipped script deletes whatever key of the queue it is given."""
    await app.queue().write_meta()
    await app.enqueue_job("syncData", {"resource_id": "r"})
    before = set(await redis.keys(f"{prefix}:jobs:*"))
    for job_id in (
        "meta",
        "wait",
        "id",
        "",
        "nope",
        "job:lane:syncData:r",
        "1:lock",
        "a\r\nb",
        "x" * 100_000,
        "\udcff",
    ):
        with pytest.raises(JobNotFound):
            await operator.remove("jobs", job_id)
    assert set(await redis.keys(f"{prefix}:jobs:*")) - before == {f"{prefix}:jobs:job:audit:log"}


async def test_an_id_that_cannot_be_sent_is_refused(operator: Operator, app: App) -> None:
    await app.queue().write_meta()
    for act in (operator.remove, operator.promote, operator.retry, operator.cancel):
        with pytest.raises(InvalidOption, match="job_id"):
            await act("jobs", "a\ud800b")


async def test_a_job_whose_id_is_no_text_or_has_colons_and_line_feeds_is_removed(
    app: App, operator: Operator, redis: Redis, prefix: str
) -> None:
    for raw in (b"\xff\xfe", b"a:b:c", b"a\nb", b"x" * 100_000):
        await redis.hset(f"{prefix}:jobs:".encode() + raw, mapping={"name": "n", "data": "{}", "timestamp": "1"})
        await redis.lpush(f"{prefix}:jobs:wait", raw)
        await operator.remove("jobs", raw.decode("utf-8", "surrogateescape"))
    assert await redis.llen(f"{prefix}:jobs:wait") == 0
    assert await redis.keys(f"{prefix}:jobs:[ax\xff]*") == []


async def test_the_next_job_of_a_job_scheduler_is_not_removed_by_itself(
    app: App, operator: Operator, redis: Redis, prefix: str
) -> None:
    job_id = f"repeat:daily:{now_ms() + 60_000}"
    await redis.hset(f"{prefix}:jobs:{job_id}", mapping={"name": "heartbeat", "timestamp": "1", "rjk": "daily"})
    await redis.zadd(f"{prefix}:jobs:repeat", {"daily": int(job_id.rpartition(":")[2])})
    await redis.zadd(f"{prefix}:jobs:delayed", {job_id: 1})
    with pytest.raises(JobNotInState, match="job scheduler") as caught:
        await operator.remove("jobs", job_id)
    assert caught.value.actual == "scheduled"
    assert await redis.exists(f"{prefix}:jobs:{job_id}") == 1


async def test_a_parent_is_removed_with_its_children_but_not_while_one_of_them_runs(
    app: App, operator: Operator, redis: Redis, prefix: str
) -> None:
    # given
    root = await app.enqueue_flow(flow(heartbeat, children=[flow(heartbeat), flow(heartbeat)]))
    child = root.children[0].job_id
    await app.client.call("SET", app.queue().keys.job_lock(child), "token")

    # then
    with pytest.raises(JobActive, match="child"):
        await operator.remove("jobs", root.job_id)
    assert await app.queue().state(root.job_id) == "waiting-children"

    # when
    await app.client.call("DEL", app.queue().keys.job_lock(child))
    await operator.remove("jobs", root.job_id)

    # then
    for job_id in (root.job_id, *(one.job_id for one in root.children)):
        assert await redis.exists(f"{prefix}:jobs:{job_id}") == 0
    assert await redis.llen(f"{prefix}:jobs:wait") == 0


async def test_of_two_who_remove_a_job_at_once_one_is_told_that_there_is_none(app: App, operator: Operator) -> None:
    job = await app.enqueue_job(heartbeat)
    both = [operator.remove("jobs", job.job_id) for _ in range(2)]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["JobNotFound", "NoneType"]


# What a removed job held


async def test_the_next_of_an_order_key_goes_on_at_once_when_its_holder_is_removed(
    app: App, operator: Operator
) -> None:
    first, second, third = [await app.enqueue_job(heartbeat, order_key="k") for _ in range(3)]
    await operator.remove("jobs", first.job_id)
    states = [await app.queue().state(job.job_id) for job in (second, third)]
    assert states == ["waiting", "waiting-children"]


async def test_a_parked_job_that_is_removed_is_passed_over(app: App, operator: Operator) -> None:
    first, second, third = [await app.enqueue_job(heartbeat, order_key="k") for _ in range(3)]
    await operator.remove("jobs", second.job_id)
    await operator.remove("jobs", first.job_id)
    assert await app.queue().state(third.job_id) == "waiting"


async def test_a_removed_holder_leaves_its_lane_and_the_list_of_its_object(
    app: App, operator: Operator, redis: Redis, prefix: str
) -> None:
    job = await app.enqueue_job("syncData", {"resource_id": "r"}, related=("order", "7"))
    assert await redis.keys(f"{prefix}:jobs:job:lane:*")
    await operator.remove("jobs", job.job_id)
    assert await redis.keys(f"{prefix}:jobs:job:lane:*") == []
    assert await redis.keys(f"{prefix}:jobs:job:related:*") == []


async def test_the_next_before_a_limit_goes_on_at_once_when_a_holder_is_removed(
    bound: App, redis: Redis, prefix: str
) -> None:
    first, second = [await bound.enqueue_job(one_by_one) for _ in range(2)]
    assert await bound.queue().state(second.job_id) == "waiting-children"
    await Inspector(bound).acting_as(SOMEBODY).remove("jobs", first.job_id)
    assert await bound.queue().state(second.job_id) == "waiting"


async def test_a_removed_singleton_whose_worker_died_leaves_its_lock(bound: App, redis: Redis, prefix: str) -> None:
    """It is back in the queue, and nobody else may run until it does, or its lock expires."""
    job, other = [await bound.enqueue_job(alone) for _ in range(2)]
    lock = bound.queue().keys.singleton_lock("alone")
    for holder, is_left in ((other, 1), (job, 0)):
        await redis.hset(lock, mapping={"job": job.job_id, "token": "of a dead worker", "fence": "1"})
        await Inspector(bound).acting_as(SOMEBODY).remove("jobs", holder.job_id)
        assert await redis.exists(lock) == is_left


async def test_a_promoted_holder_of_an_order_key_keeps_it(app: App, operator: Operator) -> None:
    first = await app.enqueue_job(heartbeat, order_key="k", delay_ms=60_000)
    second = await app.enqueue_job(heartbeat, order_key="k")
    await operator.promote("jobs", first.job_id)
    assert await app.queue().state(first.job_id) == "waiting"
    assert await app.queue().state(second.job_id) == "waiting-children"
    with pytest.raises(JobNotInState, match="waiting-children, not delayed"):
        await operator.promote("jobs", second.job_id)


# Queues


async def test_a_queue_that_nobody_has_is_refused_and_gets_no_keys(
    operator: Operator, redis: Redis, prefix: str
) -> None:
    for act in (operator.retry, operator.cancel, operator.promote, operator.remove):
        with pytest.raises(JobNotFound):
            await act("nope", "1")
    for on_queue in (operator.pause, operator.resume, operator.drain, operator.retry_failed, operator.promote_delayed):
        with pytest.raises(InvalidOption, match="there is no queue 'nope'"):
            await on_queue("nope")
    with pytest.raises(InvalidOption, match="there is no queue"):
        await operator.clean("nope", "failed", 0)
    assert await redis.keys(f"{prefix}:nope:*") == []


async def test_a_name_that_no_queue_can_have_is_refused(operator: Operator) -> None:
    for name in ("a:b", "", "a\r\nb", "x" * 201, "{a}"):
        with pytest.raises((InvalidOption, JobError)):
            await operator.remove(name, "1")


async def test_a_queue_of_bullmq_5_is_not_touched(app: App, operator: Operator, redis: Redis, prefix: str) -> None:
    await app.enqueue_job(heartbeat)
    await redis.hset(f"{prefix}:jobs:meta", "version", "bullmq:5.41.0")
    before = {key: await redis.dump(key) for key in await redis.keys(f"{prefix}:*")}
    acts = (
        operator.retry("jobs", "1"),
        operator.remove("jobs", "1"),
        operator.promote("jobs", "1"),
        operator.cancel("jobs", "1"),
        operator.pause("jobs"),
        operator.drain("jobs"),
        operator.clean("jobs", "waiting", 0),
        operator.retry_failed("jobs"),
        operator.apply("jobs", "remove", ["1"]),
        operator.enqueue("heartbeat", None, {}),
        operator.enqueue_again("jobs", "1", None, {}),
    )
    for act in acts:
        with pytest.raises(QueueVersionError):
            await act
    assert {key: await redis.dump(key) for key in await redis.keys(f"{prefix}:*")} == before


# Redis away


async def test_an_act_whose_entry_cannot_be_written_is_not_made(app: App, operator: Operator, redis: Redis) -> None:
    job = await app.enqueue_job(heartbeat)
    await redis.set(app.queue().keys.audit(), "somebody else's")
    with pytest.raises(JobqueueError, match="WRONGTYPE"):
        await operator.remove("jobs", job.job_id)
    assert await app.queue().state(job.job_id) == "waiting"


async def test_acting_shows_in_the_inspector(app: App, inspector: Inspector, operator: Operator) -> None:
    job = await app.enqueue_job(heartbeat)
    await operator.pause("jobs")
    await operator.cancel("jobs", job.job_id, "not wanted")
    view = await inspector.job("jobs", job.job_id)
    assert (view.state, view.cancelled, (await inspector.queue("jobs")).paused) == ("failed", True, True)
