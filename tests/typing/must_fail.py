"""Enqueueing gone wrong: both checkers refuse exactly the lines that say so."""

from __future__ import annotations

from pydantic import BaseModel

from jobqueue import (
    App,
    Backoff,
    Discard,
    JobContext,
    Keep,
    Registry,
    Resources,
    Snooze,
    Worker,
    cancel_job,
    cancel_jobs,
    cron_job,
    enqueue_flow,
    enqueue_job,
    exponential,
    flow,
    limit,
    make_job,
    make_singleton_job,
    make_superseding_job,
    register_cron_jobs,
    retry_job,
    scheduler,
    set_default_app,
)
from jobqueue.asgi import jobs, lifespan
from jobqueue.testing import Jobs, run_inline


class SyncData(BaseModel):
    resource_id: str


class Other(BaseModel):
    resource_id: str


async def send_function(ctx: JobContext, payload: SyncData) -> None: ...


async def takes_three(ctx: JobContext, payload: SyncData, more: str) -> None: ...


async def takes_no_context(payload: SyncData) -> None: ...


send = make_job(send_function)


@make_job
async def tidy(ctx: JobContext) -> None: ...


async def enqueue_wrongly(app: App, ctx: JobContext) -> None:
    await enqueue_job(send, Other(resource_id="r1"))  # refused
    await enqueue_job(send, {"resource_id": "r1"})  # refused
    await enqueue_job(send)  # refused
    await enqueue_job(send, None)  # refused
    await enqueue_job(tidy, SyncData(resource_id="r1"))  # refused
    await enqueue_job(send_function, SyncData(resource_id="r1"))  # refused
    await enqueue_job(send, SyncData(resource_id="r1"), retries=3)  # refused
    await enqueue_job(send, SyncData(resource_id="r1"), delay_ms="5")  # refused
    await enqueue_job(send, SyncData(resource_id="r1"), run_at="2030-01-01")  # refused
    await enqueue_job("send", {"resource_id": "r1"}, job_id=5)  # refused
    await enqueue_job(tidy, order_key=42)  # refused
    await enqueue_job(tidy, related="order:7")  # refused
    await enqueue_job(tidy, related=("order", 7))  # refused
    await enqueue_job(tidy, expires_in_ms="5")  # refused
    await app.enqueue_job(send, 5)  # refused
    await ctx.enqueue_job(send, "r1")  # refused
    await ctx.enqueue_job(tidy, 5)  # refused
    ctx.log(5)  # refused


async def run_wrongly(app: App, ctx: JobContext) -> None:
    flow(send, Other(resource_id="r1"))  # refused
    flow(tidy, children=[send])  # refused
    flow(send, SyncData(resource_id="r1"), on_failure="stop")  # refused
    flow(send, SyncData(resource_id="r1"), session=app)  # refused
    await enqueue_flow(send)  # refused
    await ctx.enqueue_child(send, 5)  # refused
    await ctx.enqueue_child(send, SyncData(resource_id="r1"), on_failure="stop")  # refused
    await cancel_job(5)  # refused
    await cancel_jobs("order")  # refused
    await cancel_jobs(related="order:7")  # refused
    await retry_job("1", delay_ms=5)  # refused
    app.subscribe(handler=send_function)  # refused
    app.subscribe(related=("order", 7))  # refused
    cron_job("nightly", "0 3 * * *", send, Other(resource_id="r1"))  # refused
    cron_job("nightly", "0 3 * * *", send, overlap="drop")  # refused
    cron_job("nightly", "0 3 * * *", send, enabled=False)  # refused
    cron_job("nightly", send)  # refused
    await register_cron_jobs([send])  # refused
    await scheduler.add(send, "0 3 * * *", Other(resource_id="r1"))  # refused
    await jobs(app)  # refused


async def try_wrongly(kit: Jobs) -> None:
    await run_inline(send, Other(resource_id="r1"))  # refused
    await run_inline(send_function, SyncData(resource_id="r1"))  # refused
    await run_inline(tidy, tries=2)  # refused
    await kit.assert_enqueued(send, 5)  # refused
    await kit.assert_enqueued(send, delay_s=5)  # refused
    await kit.drain(until="idle")  # refused


App([send])  # refused
Worker(Registry())  # refused
set_default_app(Registry())  # refused
lifespan(Registry())  # refused
lifespan(worker=5)  # refused
lifespan(resources=[Resources()])  # refused
Keep("1 day")  # refused
Keep(days=1)  # refused
Backoff(kind="linear", delay_ms=5)  # refused
exponential("5")  # refused
make_job(takes_three)  # refused
make_job(takes_no_context)  # refused
make_job(send_function, attempts="3")  # refused
make_job(send_function, retries=3)  # refused
make_job(send_function, unrecoverable=(5,))  # refused
make_job(send_function, concurrency="3")  # refused
make_job(send_function, concurrency=limit("3"))  # refused
make_job(send_function, concurrency=limit(3, by=None))  # refused
make_job(send_function, rate_limit=10)  # refused
make_job(send_function, rate_limit=(10, 1_000, 5))  # refused
make_job(send_function, duplicates="drop")  # refused
make_job(send_function, ack="late")  # refused
make_job(send_function, run_in="thread")  # refused
make_job("send")  # refused
make_singleton_job(send_function, on_busy="drop")  # refused
make_singleton_job(send_function, key="r1")  # refused
make_superseding_job(send_function)  # refused
make_superseding_job(send_function, dedupe_key="r1")  # refused
Registry([send_function])  # refused
Registry().add(send_function)  # refused
Snooze()  # refused
Snooze("5")  # refused
Discard()  # refused
