"""Throughput, latency and age as the inspector tells them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, make_job
from jobqueue.inspector import Inspector
from jobqueue.keys import QueueKeys
from jobqueue.packing import pack
from jobqueue.statistics import (
    COMPLETED,
    FAILED,
    HOUR,
    MINUTE,
    OTHERS,
    QUARTER,
    RAN,
    RELATIVE_ERROR,
    RESOLUTIONS,
    RETRIED,
    TEN_MINUTES,
    WAITED,
    WHOLE_QUEUE,
    Resolution,
    bucket_of,
    flat,
)
from tests.conftest import MakeSettings
from tests.worker.harness import ask, at_work

HOUR_MS = HOUR.step_ms
DAY_MS = 24 * HOUR_MS


async def now_ms(redis: Redis) -> int:
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


def keys_of(app: App) -> QueueKeys:
    return app.queue().keys


async def keep(app: App, redis: Redis, resolution: Resolution, at_ms: int, **counts: Mapping[int, int]) -> None:
    """Put figures where workers keep them, by handler; `whole` is the queue."""
    key = keys_of(app).statistics(resolution.word, at_ms // resolution.step_ms)
    for name, of_name in counts.items():
        await ask(redis, "HSET", key, WHOLE_QUEUE if name == "whole" else name, pack(flat(of_name)))


async def test_a_queue_without_figures_has_every_point_and_nothing_in_them(app: App, redis: Redis) -> None:
    statistics = await Inspector(app).statistics("jobs", "hour")

    before_ms = await now_ms(redis)
    assert statistics.step_ms == 60_000
    assert [point.at_ms % 60_000 for point in statistics.points] == [0] * 60
    first_ms = statistics.points[0].at_ms
    assert [point.at_ms - first_ms for point in statistics.points] == [60_000 * step for step in range(60)]
    assert before_ms - 120_000 < statistics.points[-1].at_ms <= before_ms
    assert {replace(point, at_ms=0) for point in (*statistics.points, statistics.total)} == {
        replace(statistics.total, at_ms=0)
    }
    assert statistics.total.completed == 0
    assert statistics.total.run_p50_ms is None


@pytest.mark.parametrize(
    ("span", "steps", "step_ms"), [("hour", 60, 60_000), ("day", 24, HOUR_MS), ("week", 168, HOUR_MS)]
)
async def test_each_span_has_its_steps(
    app: App, span: Literal["hour", "day", "week"], steps: int, step_ms: int
) -> None:
    statistics = await Inspector(app).statistics("jobs", span)

    assert (len(statistics.points), statistics.step_ms) == (steps, step_ms)


async def test_the_points_of_a_span_have_their_own_figures_and_the_total_has_all(app: App, redis: Redis) -> None:
    now = await now_ms(redis)
    fast, slow = {RAN + bucket_of(10): 90, COMPLETED: 90}, {RAN + bucket_of(1_000): 10, FAILED: 10, RETRIED: 5}
    await keep(app, redis, HOUR, now - 5 * HOUR_MS, whole=fast, work=fast)
    await keep(app, redis, HOUR, now - 2 * HOUR_MS, whole=slow, work=slow, other={COMPLETED: 1_000})
    await keep(app, redis, HOUR, now - 25 * HOUR_MS, whole={COMPLETED: 77})

    statistics = await Inspector(app).statistics("jobs", "day", "work")

    early, late = statistics.points[-6], statistics.points[-3]
    assert (early.completed, early.failed, early.retried) == (90, 0, 0)
    assert (late.completed, late.failed, late.retried) == (0, 10, 5)
    assert early.run_p95_ms == pytest.approx(10, rel=RELATIVE_ERROR)
    assert statistics.total.run_p50_ms == pytest.approx(10, rel=RELATIVE_ERROR)
    assert statistics.total.run_p95_ms == pytest.approx(1_000, rel=RELATIVE_ERROR)
    assert (statistics.total.completed, statistics.total.failed, statistics.total.retried) == (90, 10, 5)
    assert statistics.total.wait_p50_ms is None


async def test_each_handler_has_a_point_and_the_whole_queue_is_none_of_them(app: App, redis: Redis) -> None:
    now = await now_ms(redis)
    for back in range(3):
        counts = {COMPLETED: 1, WAITED + bucket_of(50): 1}
        await keep(app, redis, QUARTER, now - back * DAY_MS, whole=counts, work=counts, mail={FAILED: 2})
    await keep(app, redis, QUARTER, now - 8 * DAY_MS, work={COMPLETED: 99})

    handlers = await Inspector(app).handler_statistics("jobs", "week")

    assert list(handlers) == ["mail", "work"]
    assert (handlers["work"].completed, handlers["mail"].failed) == (3, 6)
    assert handlers["work"].wait_p95_ms == pytest.approx(50, rel=RELATIVE_ERROR)


async def test_of_many_handlers_the_busiest_or_the_named_ones_are_told(app: App, redis: Redis) -> None:
    now, inspector = await now_ms(redis), Inspector(app)
    for back in range(2):
        at_ms = now - back * MINUTE.step_ms * 10
        await keep(app, redis, TEN_MINUTES, at_ms, a={COMPLETED: 1}, b={FAILED: 5}, c={RETRIED: 9, COMPLETED: 2})

    everybody = await inspector.handler_statistics("jobs", "hour")
    busiest = await inspector.handler_statistics("jobs", "hour", most=2)
    named = await inspector.handler_statistics("jobs", "hour", names=["a", "never seen", "c"])

    assert list(everybody) == ["b", "c", "a"]
    assert busiest == {name: everybody[name] for name in ("b", "c")}
    assert named == {name: everybody[name] for name in ("c", "a")}
    assert await inspector.handler_statistics("jobs", "hour", names=[]) == {}


async def test_keys_of_another_type_count_nothing(app: App, redis: Redis) -> None:
    now = await now_ms(redis)
    for resolution in RESOLUTIONS:
        await ask(redis, "SET", keys_of(app).statistics(resolution.word, now // resolution.step_ms), "x")
    inspector = Inspector(app)
    assert (await inspector.statistics("jobs", "hour")).total.completed == 0
    assert await inspector.handler_statistics("jobs", "hour") == {}
    assert await inspector.handler_statistics("jobs", "hour", names=["a"]) == {}


@pytest.mark.parametrize("span", ["hour", "day", "week"])
async def test_the_figures_of_all_handlers_are_of_the_same_time_as_those_of_the_queue(
    app: App, redis: Redis, span: Literal["hour", "day", "week"]
) -> None:
    # given a job in the last minute, two in the one before, and so on, for nine days
    now = await now_ms(redis)
    for resolution in RESOLUTIONS:
        ended: defaultdict[int, int] = defaultdict(int)
        for ago in range(min(9 * DAY_MS, 2 * resolution.keep_ms) // MINUTE.step_ms):
            ended[(now - ago * MINUTE.step_ms) // resolution.step_ms] += ago + 1
        for slot, count in ended.items():
            counts = {COMPLETED: count}
            await keep(app, redis, resolution, slot * resolution.step_ms, whole=counts, work=counts)
    inspector = Inspector(app)

    # when
    before = await inspector.statistics("jobs", span)
    handlers = await inspector.handler_statistics("jobs", span)
    after = await inspector.statistics("jobs", span)

    # then
    same = before if handlers["work"].at_ms == before.total.at_ms else after  # a new minute may have begun
    assert handlers == {"work": same.total}


async def test_what_workers_of_ours_ran_is_told_at_once_when_they_have_stopped(
    settings: MakeSettings, redis: Redis
) -> None:
    async def work(ctx: JobContext) -> None: ...

    handler, ours = make_job(work), settings()
    async with at_work(ours, handler) as site:
        for job in await site.app.enqueue_jobs([(handler, None)] * 4):
            await site.end_of(job.job_id)
        await site.worker.stop()

        inspector = Inspector(site.app)
        for span in ("hour", "day", "week"):
            assert (await inspector.statistics("jobs", span)).total.completed == 4
            assert (await inspector.statistics("jobs", span, "work")).total.completed == 4
            assert (await inspector.handler_statistics("jobs", span))["work"].completed == 4


@pytest.mark.parametrize("name", [OTHERS, "<script>", "x" * 5_000, "", "a\udcffb", "größe"])
async def test_a_handler_of_any_name_may_be_asked_for(app: App, name: str) -> None:
    assert (await Inspector(app).statistics("jobs", "hour", name)).total.completed == 0


async def test_figures_that_cannot_be_read_count_nothing(app: App, redis: Redis) -> None:
    now = await now_ms(redis)
    for resolution in RESOLUTIONS:
        key = keys_of(app).statistics(resolution.word, now // resolution.step_ms)
        await ask(redis, "HSET", key, WHOLE_QUEUE, "no msgpack", b"\xff\xfe", b"\x93\x00")

    inspector = Inspector(app)

    assert (await inspector.statistics("jobs", "hour")).total.completed == 0
    assert list(await inspector.handler_statistics("jobs", "hour")) == ["\ufffd\ufffd"]


# BullMQ's metrics


async def test_what_node_s_workers_count_is_told_where_it_is_more(app: App, redis: Redis) -> None:
    now = await now_ms(redis)
    key = keys_of(app).metrics("completed")
    await ask(redis, "HSET", key, "count", 100, "prevTS", now, "prevCount", 93)
    await ask(redis, "RPUSH", f"{key}:data", 5, 0, 9)
    await keep(app, redis, MINUTE, now - 60_000, whole={COMPLETED: 8, RAN + bucket_of(7): 8})

    statistics = await Inspector(app).statistics("jobs", "hour")

    assert [point.completed for point in statistics.points[-5:]] == [0, 9, 0, 8, 7]
    assert statistics.total.completed == 24
    assert statistics.points[-2].run_p50_ms == pytest.approx(7, rel=RELATIVE_ERROR)


async def test_node_s_minutes_are_summed_up_for_hours(app: App, redis: Redis) -> None:
    now = await now_ms(redis)
    key = keys_of(app).metrics("failed")
    await ask(redis, "HSET", key, "count", 500, "prevTS", now - now % HOUR_MS, "prevCount", 500)
    await ask(redis, "RPUSH", f"{key}:data", *([2] * 120))

    statistics = await Inspector(app).statistics("jobs", "day")

    assert [point.failed for point in statistics.points[-4:]] == [0, 120, 120, 0]


@pytest.mark.parametrize("wrong", ["", "x", "1e400", "nan", "-5"])
async def test_metrics_that_are_no_numbers_count_nothing(app: App, redis: Redis, wrong: str) -> None:
    key = keys_of(app).metrics("completed")
    await ask(redis, "HSET", key, "count", wrong, "prevTS", wrong, "prevCount", wrong)
    await ask(redis, "RPUSH", f"{key}:data", wrong)

    assert (await Inspector(app).statistics("jobs", "hour")).total.completed == 0


# Age


async def test_the_oldest_job_of_each_handler_is_told_wherever_it_waits(app: App, redis: Redis) -> None:
    keys, now = keys_of(app), await now_ms(redis)
    old, older = now - 60_000, now - 90_000

    async def add(job_id: str, **fields: str | int) -> None:
        await ask(redis, "HSET", keys.job(job_id), *(part for pair in fields.items() for part in pair))

    await add("1", name="a", timestamp=old, opts="{}")
    await add("2", name="a", timestamp=older, opts="{}")
    await add("3", name="b", timestamp=old, opts="{}", priority=3)
    await add("4", name="c", timestamp=older, opts="{}")
    await add("5", name="d", timestamp=older, opts="{}")
    await ask(redis, "LPUSH", keys.of("wait"), "2", "1", "gone")
    await ask(redis, "ZADD", keys.of("prioritized"), 3 * 2**32, "3")
    await ask(redis, "ZADD", keys.of("delayed"), (old - 7) * 4096 + 5, "4", (now + 60_000) * 4096, "5")

    assert await Inspector(app).oldest_waiting("jobs") == {"a": older, "b": old, "c": old - 7}


@pytest.mark.parametrize(
    ("fields", "after_ms"),
    [
        ({"opts": '{"delay":30000}'}, 30_000),
        ({"opts": '{"delay":"x"}'}, 0),
        ({"opts": '{"delay":'}, 0),
        ({"opts": '{"backoff":{"type":"fixed","delay":5000}}'}, 0),
        ({"opts": '{"backoff":{"type":"fixed","delay":5000}}', "processedOn": 20_000, "atm": 1}, 25_000),
        ({"opts": '{"backoff":{"type":"exponential","delay":5000}}', "processedOn": 20_000, "atm": 3}, 40_000),
        ({"opts": '{"backoff":5000}', "processedOn": 20_000, "atm": 1}, 20_000),
    ],
)
async def test_a_job_waits_from_when_it_was_due(
    app: App, redis: Redis, fields: Mapping[str, str | int], after_ms: int
) -> None:
    keys, enqueued_at_ms = keys_of(app), await now_ms(redis) - 100_000
    known: dict[str, str | int] = {"name": "a", "timestamp": enqueued_at_ms, **fields}
    if "processedOn" in known:
        known["processedOn"] = enqueued_at_ms + int(known["processedOn"])
    await ask(redis, "HSET", keys.job("1"), *(part for pair in known.items() for part in pair))
    await ask(redis, "LPUSH", keys.of("wait"), "1")

    assert await Inspector(app).oldest_waiting("jobs") == {"a": enqueued_at_ms + after_ms}


@pytest.mark.parametrize("stamp", ["-inf", "inf", "nan", "1e300", "-1e300", "x"])
async def test_a_job_whose_time_is_none_has_no_age(app: App, redis: Redis, stamp: str) -> None:
    keys, at_ms = keys_of(app), await now_ms(redis) - 60_000
    for field in ("timestamp", "processedOn"):
        await ask(redis, "HSET", keys.job(field), "name", "a", "timestamp", stamp, field, stamp)
    await ask(redis, "HSET", keys.job("good"), "name", "b", "timestamp", at_ms)
    await ask(redis, "LPUSH", keys.of("wait"), "timestamp", "processedOn", "good")

    assert await Inspector(app).oldest_waiting("jobs") == {"b": at_ms}


async def test_a_key_that_is_no_job_s_has_no_age(app: App, redis: Redis) -> None:
    keys, at_ms = keys_of(app), await now_ms(redis) - 60_000
    await ask(redis, "SET", keys.job("text"), "x")
    await ask(redis, "RPUSH", keys.job("list"), "x")
    await ask(redis, "HSET", keys.job("good"), "name", "b", "timestamp", at_ms)
    await ask(redis, "LPUSH", keys.of("wait"), "text", "good")
    await ask(redis, "ZADD", keys.of("prioritized"), 1, "list")
    await ask(redis, "ZADD", keys.of("delayed"), at_ms * 4096, "text")

    assert await Inspector(app).oldest_waiting("jobs") == {"b": at_ms}


async def test_a_queue_in_which_nothing_waits_has_no_age(app: App) -> None:
    assert await Inspector(app).oldest_waiting("jobs") == {}
