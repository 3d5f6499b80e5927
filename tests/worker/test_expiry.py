"""Jobs that expire: one that has not started by then never does, and ends failed with `Expired`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.clock import now_ms
from jobqueue.handler import Handler
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import add_raw, at_work, keys_of

LONG_AGO_MS = 1_600_000_000_000
BACKOFF_MS = 300


def counting(runs: list[int]) -> Handler[int]:
    async def count(ctx: JobContext, payload: int) -> None:
        runs.append(payload)

    return make_job(count, attempts=5)


def stored(expires_at_ms: int, *, payload: Any = 7, name: str = "count", options: str = "{}") -> dict[str, str]:
    """The hash of a job with an expiry, as any producer may write it."""
    data = {"type": "adhoc", "payload": payload, "expiresAt": expires_at_ms}
    return {"name": name, "data": json.dumps(data), "opts": options, "timestamp": "1"}


@pytest.mark.parametrize(
    "job",
    [stored(LONG_AGO_MS), stored(LONG_AGO_MS, payload="not a number"), stored(LONG_AGO_MS, name="nobody's")],
    ids=["that could run", "with an invalid payload", "of an unknown handler"],
)
async def test_an_expired_job_fails_once_as_expired(settings: MakeSettings, redis: Redis, job: dict[str, str]) -> None:
    runs: list[int] = []
    ours = settings()

    async with at_work(ours, counting(runs)) as site:
        await add_raw(redis, keys_of(ours), "late", job | {"opts": '{"attempts":5}'})

        assert await site.end_of("late") == ("failed", "Expired")
        assert runs == []
        assert (await site.job("late")).attempts_made == 1


async def test_a_job_that_waited_for_a_worker_longer_than_it_may_is_expired(settings: MakeSettings) -> None:
    runs: list[int] = []
    ours, handler = settings(), counting(runs)
    async with App(Registry([handler]), ours) as app:
        late = await app.enqueue_job(handler, 1, expires_in_ms=1)
        in_time = await app.enqueue_job(handler, 2, expires_in_ms=60_000)
    await asyncio.sleep(0.01)  # what is tested is that time has passed

    async with at_work(ours, handler) as site:
        assert await site.end_of(late.job_id) == ("failed", "Expired")
        assert (await site.end_of(in_time.job_id))[0] == "completed"
        assert runs == [2]


async def test_a_job_expires_while_it_waits_for_its_next_try(settings: MakeSettings, redis: Redis) -> None:
    tries: list[int] = []
    ours = settings()

    async def fails(ctx: JobContext, payload: int) -> None:
        tries.append(ctx.job.attempt)
        raise ValueError("no route")

    options = json.dumps({"attempts": 5, "backoff": {"type": "fixed", "delay": BACKOFF_MS}})

    async with at_work(ours, make_job(fails, name="count")) as site:
        await add_raw(redis, keys_of(ours), "once", stored(now_ms() + BACKOFF_MS, options=options))

        assert await site.end_of("once") == ("failed", "Expired")
        assert tries == [1]


async def test_a_job_that_started_in_time_is_not_stopped_by_its_expiry(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    started = asyncio.Event()
    expires_at_ms = now_ms() + 1_000

    async def outlasts(ctx: JobContext, payload: int) -> bool:
        started.set()
        await asyncio.sleep((expires_at_ms - now_ms()) / 1000 + 0.05)  # the run must last until after that time
        return ctx.signal.aborted

    async with at_work(ours, make_job(outlasts, name="count")) as site:
        await add_raw(redis, keys_of(ours), "long", stored(expires_at_ms))
        await asyncio.wait_for(started.wait(), 10)

        assert await site.end_of("long") == ("completed", "false")


async def test_an_expired_job_that_is_retried_by_hand_is_still_expired(settings: MakeSettings, redis: Redis) -> None:
    runs: list[int] = []
    ours = settings()

    async with at_work(ours, counting(runs)) as site:
        await add_raw(redis, keys_of(ours), "late", stored(LONG_AGO_MS))
        await site.end_of("late")
        await site.app.retry_job("late", queue=ours.jobs_queue)

        await eventually(lambda: site.count("job.failed") == 2)
        assert await site.end_of("late") == ("failed", "Expired")
        assert runs == []
