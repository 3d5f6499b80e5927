"""Cleaning: jobs of a state that are older than some time go, the others stay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import (
    App,
    Enqueued,
    InvalidOption,
    JobContext,
    QueueVersionError,
    Registry,
    flow,
    make_job,
    make_superseding_job,
)
from jobqueue.cleaning import BATCH, Cleanable, clean
from jobqueue.clock import now_ms
from tests.board.support import activate, complete, fail
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, keys_of, serving

HOUR_MS = 3_600_000
UNFINISHED: tuple[Cleanable, ...] = ("waiting", "delayed", "prioritized", "active")


@make_job
async def echo(ctx: JobContext, payload: str) -> str:
    return payload


@make_superseding_job(dedupe_key=lambda payload: payload)
async def sync(ctx: JobContext, payload: str) -> str:
    return "synced"


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(Registry([echo, sync]), settings()) as app:
        yield app


async def a_job(app: App, state: Cleanable, age_ms: int) -> str:
    """A job in that state, as old as that."""
    at_ms = now_ms() - age_ms
    delay_ms, priority = (HOUR_MS if state == "delayed" else 0), (1 if state == "prioritized" else 0)
    enqueued = await app.enqueue_job(echo, state, delay_ms=delay_ms, priority=priority)
    match state:
        case "active":
            await activate(app, enqueued)
            await app.client.call("HSET", key(app, enqueued), "processedOn", at_ms)
        case "completed":
            await complete(app, enqueued, "1", at_ms)
        case "failed":
            await fail(app, enqueued, "no", at_ms=at_ms)
        case _:
            await grow_old(app, enqueued, at_ms)
    return enqueued.job_id


async def grow_old(app: App, enqueued: Enqueued, at_ms: int) -> None:
    await app.client.call("HSET", key(app, enqueued), "timestamp", at_ms)


def key(app: App, enqueued: Enqueued) -> str:
    return app.queue().keys.job(enqueued.job_id)


async def crowd(app: App, count: int, **options: Any) -> None:
    """So many young jobs."""
    await app.enqueue_jobs([(echo, "young")] * count, **options)


@pytest.mark.parametrize("state", [*UNFINISHED, "completed", "failed"])
async def test_a_job_that_is_older_goes_and_a_younger_one_stays(app: App, state: Cleanable) -> None:
    old, young = await a_job(app, state, 2 * HOUR_MS), await a_job(app, state, HOUR_MS // 2)

    assert await clean(app.queue(), state, HOUR_MS) == 1

    assert await app.queue().state(old) == "unknown"
    assert await app.queue().state(young) == state
    assert not await app.client.call("EXISTS", app.queue().keys.job(old))


@pytest.mark.parametrize("state", [*UNFINISHED, "completed", "failed"])
async def test_without_an_age_all_jobs_of_the_state_go_and_no_other(app: App, state: Cleanable) -> None:
    others: list[Cleanable] = [other for other in (*UNFINISHED, "completed", "failed") if other != state]
    kept = [await a_job(app, other, HOUR_MS) for other in others]
    await a_job(app, state, 1)
    await a_job(app, state, HOUR_MS)

    assert await clean(app.queue(), state) == 2

    assert [await app.queue().state(job_id) for job_id in kept] == others


@pytest.mark.parametrize("state", ["waiting", "delayed", "prioritized"])
async def test_an_old_job_behind_a_crowd_that_stays_is_found(app: App, state: Cleanable) -> None:
    """Node looks at the first ten thousand and stops where it could not remove all of those."""
    options = {"waiting": {}, "delayed": {"delay_ms": 1_000}, "prioritized": {"priority": 1}}
    await crowd(app, 2 * BATCH + 1, **options[state])
    old = await a_job(app, state, 2 * HOUR_MS)
    await crowd(app, 10, **options[state])

    assert await clean(app.queue(), state, HOUR_MS) == 1

    assert await app.queue().state(old) == "unknown"
    counts = {"waiting": "LLEN", "delayed": "ZCARD", "prioritized": "ZCARD"}
    word = "wait" if state == "waiting" else state
    assert await app.client.call(counts[state], app.queue().keys.of(word)) == 2 * BATCH + 11


async def test_the_jobs_that_stay_keep_their_order(app: App) -> None:
    ids = [await a_job(app, "waiting", HOUR_MS * 2 * (number % 2)) for number in range(9)]

    assert await clean(app.queue(), "waiting", HOUR_MS) == 4

    assert await app.client.call("LRANGE", app.queue().keys.of("wait"), 0, -1) == ids[::2][::-1]


async def test_a_limit_takes_the_oldest_first(app: App) -> None:
    ids = [await a_job(app, "completed", HOUR_MS - number) for number in range(5)]

    assert await clean(app.queue(), "completed", limit=2) == 2

    assert [await app.queue().state(job_id) for job_id in ids] == ["unknown"] * 2 + ["completed"] * 3


async def test_a_limit_is_reached_past_jobs_that_stay(app: App) -> None:
    """Jobs put off, in the order of their turns: the first three stay, of the old ones behind them two are to go."""
    for _ in range(3):
        await a_job(app, "delayed", 0)
    old = [await a_job(app, "delayed", 2 * HOUR_MS) for _ in range(3)]

    assert await clean(app.queue(), "delayed", HOUR_MS, limit=2) == 2

    assert [await app.queue().state(job_id) for job_id in old] == ["unknown", "unknown", "delayed"]


async def test_an_active_job_whose_lock_lives_stays(app: App) -> None:
    job_id = await a_job(app, "active", 2 * HOUR_MS)
    await app.client.call("SET", app.queue().keys.job_lock(job_id), "token", "PX", 60_000)

    assert await clean(app.queue(), "active", HOUR_MS) == 0

    assert await app.queue().state(job_id) == "active"


async def test_no_job_is_older_than_a_generation(app: App) -> None:
    """BullMQ's script compares times as text, and that of thirty years ago has a digit less and begins with a nine."""
    job_id = await a_job(app, "waiting", HOUR_MS)

    assert await clean(app.queue(), "waiting", 30 * 365 * 24 * HOUR_MS) == 0

    assert await app.queue().state(job_id) == "waiting"


async def test_a_queue_without_such_jobs_is_left_without_a_trace(app: App, redis: Redis, prefix: str) -> None:
    states: tuple[Cleanable, ...] = (*UNFINISHED, "paused", "completed", "failed")
    assert [await clean(app.queue("nobodys"), state) for state in states] == [0] * 7

    assert await keys_of(redis, prefix) == set()


async def test_nothing_of_ours_is_left_beside_what_a_cleaning_leaves(app: App, redis: Redis, prefix: str) -> None:
    await a_job(app, "waiting", 1)
    await a_job(app, "delayed", 1)

    await clean(app.queue(), "waiting")
    await clean(app.queue(), "delayed")

    assert await keys_of(redis, prefix) == {"jobs:id", "jobs:meta", "jobs:events", "jobs:marker"}


async def test_who_listens_is_told_after_each_batch(app: App) -> None:
    await crowd(app, 2 * BATCH + 5)
    told: list[int] = []

    await clean(app.queue(), "waiting", on_cleaned=told.append, now_ms=now_ms() + 1)

    assert told == [BATCH, 2 * BATCH, 2 * BATCH + 5]


async def test_what_a_listener_raises_ends_the_cleaning(app: App) -> None:
    await crowd(app, 2 * BATCH)

    def stop(removed: int) -> None:
        raise InterruptedError(f"after {removed}")

    with pytest.raises(InterruptedError, match="after 1000"):
        await clean(app.queue(), "waiting", on_cleaned=stop, now_ms=now_ms() + 1)

    assert await app.client.call("LLEN", app.queue().keys.of("wait")) == BATCH


async def test_a_paused_queue_keeps_its_jobs_in_waiting_and_there_they_are_cleaned(app: App) -> None:
    await a_job(app, "waiting", HOUR_MS)
    await app.client.call("HSET", app.queue().keys.of("meta"), "paused", 1)

    assert await clean(app.queue(), "paused") == 0
    assert await clean(app.queue(), "waiting") == 1


async def test_a_queue_of_bullmq_5_is_not_touched(app: App) -> None:
    job_id = await a_job(app, "completed", HOUR_MS)
    await app.client.call("RPUSH", app.queue().keys.of("paused"), "5")

    with pytest.raises(QueueVersionError):
        await clean(app.queue(), "completed")

    assert await app.queue().state(job_id) == "completed"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"state": "waiting-children"}, "state"),
        ({"state": "wait"}, "state"),
        ({"older_than_ms": -1}, "older_than_ms"),
        ({"older_than_ms": 1.5}, "older_than_ms"),
        ({"older_than_ms": 2**53}, "older_than_ms"),
        ({"limit": 0}, "limit"),
        ({"limit": True}, "limit"),
    ],
)
async def test_what_cannot_be_cleaned_is_refused_by_its_name(app: App, wrong: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {"state": "waiting"} | wrong
    with pytest.raises(InvalidOption) as refusal:
        await clean(app.queue(), **given)

    assert refusal.value.field == field


async def test_the_next_of_an_order_key_goes_on_when_its_holder_was_cleaned(app: App) -> None:
    """No script of ours runs for the holder that goes, so the repair lets the parked job pass."""
    await app.enqueue_job(echo, "first", order_key="k")
    second = await app.enqueue_job(echo, "second", order_key="k")

    assert await clean(app.queue(), "waiting", now_ms=now_ms() + 1) == 1
    assert await app.queue().state(second.job_id) == "waiting-children"

    async with serving(app):
        assert await second.wait(WAIT_S) == "second"


async def test_a_lane_is_free_when_its_holder_was_cleaned(app: App) -> None:
    held = await app.enqueue_job(sync, "lane", delay_ms=HOUR_MS)
    await clean(app.queue(), "delayed", now_ms=now_ms() + 1)

    assert (await app.enqueue_job(sync, "lane")).superseded is None
    assert await app.queue().state(held.job_id) == "unknown"


async def test_a_failed_job_stays_while_its_parent_waits_until_it_is_retried(app: App) -> None:
    """Node removes the parent with it, a job that has not even run."""
    parent = await app.enqueue_flow(flow(echo, "parent", children=[flow(echo, "child")]))
    (child,) = parent.children
    await fail(app, child, "no", at_ms=now_ms() - 2 * HOUR_MS)
    other = await a_job(app, "failed", 2 * HOUR_MS)

    assert await clean(app.queue(), "failed", HOUR_MS) == 1

    assert await app.queue().state(other) == "unknown"
    assert await app.queue().state(child.job_id) == "failed"
    assert await app.queue().state(parent.job_id) == "waiting-children"


async def test_a_parent_goes_with_the_last_job_that_it_waits_for(app: App) -> None:
    """As in Node: nothing would ever wake it again."""
    parent = await app.enqueue_flow(flow(echo, "parent", children=[flow(echo, "child")]))

    assert await clean(app.queue(), "waiting", now_ms=now_ms() + 1) == 1

    assert await app.queue().state(parent.job_id) == "unknown"
