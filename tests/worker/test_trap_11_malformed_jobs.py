"""Trap 11: bad JSON in a job made an endless loop of stalls; a job without a hash ran as "None" and completed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import add_raw, ask, at_work, keys_of, position

GOOD: Mapping[str, str | bytes] = {"name": "work", "data": "{}", "opts": '{"attempts":3}', "timestamp": "1700000000000"}

MALFORMED: dict[str, tuple[Mapping[str, str | bytes], str]] = {
    "data is no JSON": ({"data": "{oops"}, "malformed job: field 'data'"),
    "data is cut off": ({"data": '{"type":"adhoc","payload":{"a":'}, "malformed job: field 'data'"),
    "data is not UTF-8": ({"data": b'{"a":"\xff\xfe"}'}, "malformed job: field 'data'"),
    "data is nested 10,000 deep": ({"data": "[" * 10_000 + "]" * 10_000}, "malformed job: field 'data'"),
    "data is NaN": ({"data": "NaN"}, "malformed job: field 'data'"),
    "options are no JSON": ({"opts": "{oops"}, "malformed job: field 'opts'"),
    "options are a list": ({"opts": "[1]"}, "malformed job: field 'opts' must be an object"),
    "options are not UTF-8": ({"opts": b'{"a":"\xff"}'}, "malformed job: field 'opts'"),
    "timestamp is no number": ({"timestamp": "yesterday"}, "malformed job: field 'timestamp'"),
    "timestamp is infinite": ({"timestamp": "1e999"}, "malformed job: field 'timestamp'"),
    "timestamp is too large to be exact": ({"timestamp": "1e30"}, "malformed job: field 'timestamp'"),
    "priority is no number": ({"priority": "high"}, "malformed job: field 'priority'"),
    "attempts made is no number": ({"atm": "x"}, "malformed job: field 'atm'"),
    "progress is no JSON": ({"progress": "{half"}, "malformed job: field 'progress'"),
    "the name is empty": ({"name": ""}, "malformed job: .* no field 'name'"),
    "the name is not UTF-8": ({"name": b"\xff\xfe"}, "unknown handler"),
    "retention is no number": ({"opts": '{"attempts":1,"removeOnComplete":"soon","removeOnFail":"soon"}'}, ".*"),
    "repeat is no object": ({"rjk": "nightly", "opts": '{"repeat":"daily","attempts":1}'}, ".*"),
    "backoff is beyond all numbers": (
        {"data": "no", "opts": '{"backoff":{"type":"fixed","delay":1e308}}'},
        "malformed",
    ),
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_malformed_job_ends_once_and_the_worker_goes_on(
    settings: MakeSettings, redis: Redis, kind: str
) -> None:
    """In the `bullmq` package an error of decoding left the job active until it stalled, was claimed again, and
    stalled again, for ever: each round cost the worker one of its places for the time of a lock.
    """
    changes, reason = MALFORMED[kind]
    runs: list[str] = []

    async def work(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        return "done"

    handler = make_job(work)
    ours = settings(worker_concurrency=1)
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        await add_raw(redis, keys, "bad", {**GOOD, **changes})
        good = await site.app.enqueue_job(handler)

        assert await good.wait(10) == "done"
        assert await position(redis, keys, "bad") in ("failed", "completed")
        assert runs.count("bad") <= 1
        if reason != ".*":
            assert re.match(reason, await ask(redis, "HGET", keys.job("bad"), "failedReason"))
            assert "bad" not in runs
        assert await ask(redis, "LLEN", keys.of("active")) == 0
        assert not await ask(redis, "EXISTS", keys.job_lock("bad"))


async def test_a_job_without_a_name_is_quarantined(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    keys = keys_of(ours)

    async with at_work(ours):
        await add_raw(redis, keys, "nameless", {"data": "{}", "opts": "{}", "timestamp": "1"})

        await eventually_in(redis, keys.of("failed"), "nameless")
        reason = await ask(redis, "HGET", keys.job("nameless"), "failedReason")
        assert "no field 'name'" in reason


async def test_an_id_without_a_job_is_taken_out_of_active(settings: MakeSettings, redis: Redis) -> None:
    """In the `bullmq` package such an id ran with the name None and was recorded as completed."""
    runs: list[str] = []

    async def work(ctx: JobContext) -> None:
        runs.append(ctx.job.id)

    handler = make_job(work)
    ours = settings(worker_concurrency=1)
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        await add_raw(redis, keys, "ghost", {})
        good = await site.app.enqueue_job(handler)
        await good.wait(10)

        assert await position(redis, keys, "ghost") == "nowhere"
        assert not await ask(redis, "EXISTS", keys.job("ghost"))
        assert runs == [good.job_id]
        told = [event.detail for event in site.told if event.job_id == "ghost"]
        assert told == ["the id was in the queue, its job was not: taken out"]


async def test_a_job_whose_id_is_not_utf_8_runs_once_like_any_other(settings: MakeSettings, redis: Redis) -> None:
    runs: list[str] = []

    async def work(ctx: JobContext) -> None:
        runs.append(ctx.job.id)

    handler = make_job(work)
    ours = settings(worker_concurrency=1, worker_lock_ms=1_000, worker_stalled_ms=100)
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        await add_raw(redis, keys, b"\xff\xfe", GOOD)
        good = await site.app.enqueue_job(handler)
        await good.wait(10)

        async def both_have_ended() -> bool:
            return int(await ask(redis, "ZCARD", keys.of("completed"))) == 2

        await eventually(both_have_ended)
        assert len(runs) == 2


async def test_a_quarantined_job_can_be_retried_once_it_is_mended(settings: MakeSettings, redis: Redis) -> None:
    async def work(ctx: JobContext) -> str:
        return "done"

    handler = make_job(work)
    ours = settings()
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        await add_raw(redis, keys, "bad", {**GOOD, "data": "{oops"})
        assert (await site.end_of("bad"))[0] == "failed"

        await ask(redis, "HSET", keys.job("bad"), "data", json.dumps({"a": 1}))
        await ask(redis, "ZREM", keys.of("failed"), "bad")
        await add_raw(redis, keys, "bad", {"atm": "0"})

        assert await site.end_of("bad") == ("completed", '"done"')


async def eventually_in(redis: Redis, key: str, job_id: str) -> None:
    async def is_there() -> bool:
        return await ask(redis, "ZSCORE", key, job_id) is not None

    await eventually(is_there)
