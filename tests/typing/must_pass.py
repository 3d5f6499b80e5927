"""Enqueueing as it is meant: both checkers take every line of this file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_type

from pydantic import BaseModel

from jobqueue import (
    App,
    Discard,
    Enqueued,
    EnqueuedJobs,
    Handler,
    JobContext,
    Registry,
    Related,
    Retry,
    Snooze,
    WaitForChildren,
    enqueue_job,
    enqueue_jobs,
    exponential,
    limit,
    make_job,
    make_singleton_job,
    make_superseding_job,
    makeJob,
)
from jobqueue.policy import RateLimit


class SyncData(BaseModel):
    resource_id: str


@dataclass
class Point:
    x: int


@make_job
async def send(ctx: JobContext, payload: SyncData) -> int:
    return len(payload.resource_id)


@make_job(name="other", attempts=5, backoff=exponential(10, jitter=0.5), unrecoverable=(KeyError, ValueError))
async def with_options(ctx: JobContext, payload: SyncData) -> None: ...


@make_job()
def in_a_thread(ctx: JobContext, payload: Point) -> None: ...


@make_job
async def tidy(ctx: JobContext) -> None: ...


@make_job(queue="bulk")
async def tidy_with_options(ctx: JobContext) -> None: ...


@make_singleton_job(on_busy="wait", key=lambda payload: payload.resource_id)
async def one_at_a_time(ctx: JobContext, payload: SyncData) -> None: ...


@make_superseding_job(dedupe_key=lambda payload: f"sync:{payload.resource_id}")
async def sync(ctx: JobContext, payload: SyncData) -> None: ...


@make_job(concurrency=limit(3, by=lambda payload: payload.resource_id), rate_limit=(10, 1_000), ordered=True)
async def bounded(ctx: JobContext, payload: SyncData) -> None: ...


@make_job(concurrency=3, rate_limit=RateLimit(10, 1_000), duplicates="reject", ack="manual", run_in="process")
async def by_hand(ctx: JobContext) -> None: ...


@make_superseding_job(dedupe_key=lambda payload: payload.resource_id, duplicates="reject", concurrency=limit(2))
async def oldest_stays(ctx: JobContext, payload: SyncData) -> None: ...


async def plain(ctx: JobContext, payload: list[int]) -> None: ...


called = make_job(plain, name="called", timeout_ms=5)
superseding_call = make_superseding_job(plain, dedupe_key=lambda numbers: str(numbers[0]))
singleton_call = make_singleton_job(plain, key=lambda numbers: str(numbers[0]))

assert_type(send, Handler[SyncData])
assert_type(with_options, Handler[SyncData])
assert_type(in_a_thread, Handler[Point])
assert_type(tidy, Handler[None])
assert_type(tidy_with_options, Handler[None])
assert_type(one_at_a_time, Handler[SyncData])
assert_type(sync, Handler[SyncData])
assert_type(bounded, Handler[SyncData])
assert_type(by_hand, Handler[None])
assert_type(oldest_stays, Handler[SyncData])
assert_type(called, Handler[list[int]])
assert_type(superseding_call, Handler[list[int]])
assert_type(singleton_call, Handler[list[int]])
assert_type(makeJob(plain), Handler[list[int]])

registry = Registry([send, tidy, sync])
assert_type(registry.add(bounded), str)
registry.remove(registry.add(by_hand))


async def enqueue_everything(app: App) -> None:
    assert_type(await enqueue_job(send, SyncData(resource_id="r1")), Enqueued)
    await enqueue_job(tidy)
    await enqueue_job(tidy, None)
    await enqueue_job(tidy, delay_ms=5)
    await enqueue_job("send", {"resource_id": "r1"}, delay_ms=5)
    await enqueue_job("tidy", priority=3)
    await enqueue_job(called, [1, 2], run_at=datetime(2030, 1, 1, tzinfo=UTC), attempts=2, backoff=50)
    await app.enqueue_job(in_a_thread, Point(1), job_id="p-1", queue="bulk", timeout_ms=5)
    await enqueue_job(tidy, order_key="channel:42", related=("order", "7"), created_by="ada", expires_in_ms=5)
    await enqueue_job("tidy", related=Related(type="order", id="7"))
    assert_type(await enqueue_jobs([(send, SyncData(resource_id="r1")), ("tidy", None)], attempts=2), EnqueuedJobs)
    result: Any = await (await app.enqueue_job(send, SyncData(resource_id="r1"))).wait(5)
    assert result


async def ends_its_try(ctx: JobContext, payload: int) -> None:
    match payload:
        case 0:
            raise Retry
        case 1:
            raise Retry(delay_ms=5)
        case 2:
            raise Snooze(5)
        case 3:
            raise Discard("gone")
        case _:
            raise WaitForChildren


async def inside(ctx: JobContext) -> None:
    await ctx.enqueue_job(send, SyncData(resource_id="r1"), delay_ms=5)
    await ctx.enqueue_job(tidy)
    ctx.log("line")
    ctx.progress({"done": 1})
    if ctx.signal.aborted:
        assert_type(ctx.signal.reason, str | None)
