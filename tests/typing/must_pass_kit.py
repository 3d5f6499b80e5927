"""The tests of a service, and what looks at it: traces, figures, events. Both checkers take every line."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_type

from pydantic import BaseModel

from jobqueue import App, JobContext, Registry, Resources, make_job
from jobqueue.events import Event
from jobqueue.otel import instrument
from jobqueue.prometheus import exposed, observe
from jobqueue.testing import (
    Drained,
    DrainTimeout,
    EnqueuedJob,
    HandClock,
    InlineRun,
    JobRun,
    Jobs,
    KitError,
    private_redis,
    run_inline,
)


class Order(BaseModel):
    number: int


class Prices:
    pass


@make_job
async def pack(ctx: JobContext, payload: Order) -> int:
    return payload.number


@make_job
async def tidy(ctx: JobContext) -> None: ...


registry = Registry([pack, tidy])


async def test_one_handler() -> None:
    assert await run_inline(pack, Order(number=7), resources=Resources(Prices())) == 7
    await run_inline(tidy, attempt=2)
    run = InlineRun(pack, Order(number=7), registry=registry)
    run.abort("the customer left")
    await run.finish()
    assert_type(run.enqueued[0], EnqueuedJob)


async def test_a_service(jobs: Jobs) -> None:
    assert_type(jobs.app, App)
    assert_type(jobs.clock, HandClock)
    assert_type(await jobs.assert_enqueued(pack, Order(number=7), count=1), EnqueuedJob)
    await jobs.assert_enqueued("pack", {"number": 7}, delay_ms=5)
    await jobs.assert_not_enqueued(tidy, run_at=jobs.clock.now() + timedelta(days=3))
    assert_type(jobs.clock.move(minutes=5), datetime)
    try:
        drained = await jobs.drain(with_failures=True, timeout_s=5)
    except DrainTimeout:
        return
    assert_type(drained, Drained)
    assert_type(drained.of(pack).completed, tuple[JobRun, ...])


async def test_with_a_redis_of_its_own() -> None:
    with private_redis() as url:
        async with Jobs(registry, redis_url=url, settings={"jobs_queue": "orders"}) as jobs:
            try:
                assert_type(await jobs.enqueued(pack), tuple[EnqueuedJob, ...])
            except KitError as error:
                assert_type(str(error), str)


def look_at(app: App) -> bytes:
    stop_tracing, stop_counting = instrument(app), observe(app)
    app.events.subscribe(hear)
    stop_tracing()
    stop_counting()
    return exposed()


def hear(event: Event) -> None:
    assert_type(event.job_id, str | None)
