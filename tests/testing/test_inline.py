"""Inline: a handler is run by the test, its payload and its result through JSON, with a context to look at."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from jobqueue import (
    Child,
    Children,
    CronContext,
    Discard,
    InvalidOption,
    InvalidPayload,
    JobCancelled,
    JobContext,
    JobFailed,
    PayloadTooLarge,
    Retry,
    Settings,
    Snooze,
    UnknownHandler,
    WaitForChildren,
    make_job,
    make_singleton_job,
)
from jobqueue.testing import InlineRun, KitError, run_inline
from tests.testing import shop
from tests.testing.shop import Order, later, order, post, report, send_mail, sync_order, total


async def test_the_payload_is_validated_and_went_through_json() -> None:
    @make_job(name="types")
    async def types(ctx: JobContext, payload: dict[str, object]) -> list[str]:
        return [type(value).__name__ for value in payload.values()]

    assert await run_inline(types, {"moment": datetime.now(UTC), "pair": (1, 2)}) == ["str", "list"]
    assert await run_inline(send_mail, order("7")) == "mail about 7"
    with pytest.raises(InvalidPayload, match=r"'sendMail' is not valid: payload\.orderId"):
        await run_inline(send_mail, Order.model_construct())
    with pytest.raises(PayloadTooLarge):
        await run_inline(send_mail, order("7"), settings=Settings.load(jobs_max_payload_bytes=10))


async def test_the_result_is_what_json_gives_back_and_is_refused_where_it_would_be() -> None:
    @dataclass
    class Total:
        cents: int
        at: datetime

    @make_job(name="sum")
    async def add(ctx: JobContext, payload: str) -> object:
        return Total(7, datetime(2026, 1, 1, tzinfo=UTC)) if payload == "total" else object()

    assert await run_inline(add, "total") == {"cents": 7, "at": "2026-01-01T00:00:00Z"}
    with pytest.raises(JobFailed, match="the result cannot be stored as JSON"):
        await run_inline(add, "object")
    with pytest.raises(JobFailed, match=r"the result is \d+ bytes, the limit is 3"):
        await run_inline(add, "total", settings=Settings.load(jobs_max_result_bytes=3))


async def test_what_the_handler_raises_is_raised_to_the_test() -> None:
    with pytest.raises(LookupError, match="there is no order lost"):
        await run_inline(send_mail, order("lost"))
    with pytest.raises(Snooze):
        await run_inline(later)
    with pytest.raises(WaitForChildren):
        await run_inline(total)

    @make_job(name="end", attempts=2)
    async def end(ctx: JobContext) -> None:
        raise Retry(10) if ctx.job.attempt < ctx.job.attempts else Discard("too often")

    with pytest.raises(Retry):
        await run_inline(end)
    with pytest.raises(Discard):
        await run_inline(end, attempt=2)
    with pytest.raises(ValueError, match="the first try is number 1, not 0"):
        await run_inline(end, attempt=0)


async def test_what_it_logs_reports_and_enqueues_can_be_read() -> None:
    @make_job(name="busy")
    async def busy(ctx: JobContext) -> list[bool]:
        ctx.log("begun")
        ctx.progress({"done": 1})
        first = await ctx.enqueue_job(send_mail, order("1"), delay_ms=1000, job_id="once")
        second = await ctx.enqueue_job("sendMail", {"orderId": "1"}, job_id="once")
        await ctx.enqueue_child(send_mail, order("2"), on_failure="ignore")
        return [first.created, second.created]

    run = InlineRun(busy, registry=shop.registry)

    assert await run.finish() == [True, False]
    assert run.log_lines == ("begun",)
    assert run.progress == ({"done": 1},)
    assert [(job.name, job.job_id, job.state, job.delay_ms, job.created_by) for job in run.enqueued] == [
        ("sendMail", "once", "delayed", 1000, "inline"),
        ("sendMail", "2", "waiting", 0, "inline"),
    ]
    with pytest.raises(KitError, match="this run is over; make another one"):
        await run.finish()


async def test_what_it_enqueues_is_checked_as_in_production() -> None:
    @make_job(name="wrong")
    async def wrong(ctx: JobContext, payload: str) -> None:
        if payload == "name":
            await ctx.enqueue_job("sendMial")
        elif payload == "option":
            await ctx.enqueue_job(send_mail, order("1"), delay_ms=-1)
        else:
            ctx.progress(object())

    with pytest.raises(UnknownHandler, match="sendMial"):
        await run_inline(wrong, "name")
    with pytest.raises(InvalidOption, match="delay_ms"):
        await run_inline(wrong, "option")
    with pytest.raises(ValueError, match="object"):
        await run_inline(wrong, "progress")


async def test_the_test_can_tell_it_to_stop_before_and_while_it_is_at_work() -> None:
    early = InlineRun(sync_order, order("1"))
    early.abort("superseded by job 2", cause="superseded")
    with pytest.raises(JobCancelled, match="superseded by job 2"):
        await early.finish()

    @make_job(name="patient")
    async def patient(ctx: JobContext) -> str | None:
        await ctx.signal.wait()
        return ctx.signal.reason

    run = InlineRun(patient)
    working = asyncio.ensure_future(run.finish())
    run.abort("the test has seen enough")
    run.abort("too late")
    assert await working == "the test has seen enough"


async def test_it_is_handed_what_the_test_says() -> None:
    @make_singleton_job(name="told")
    async def told(ctx: JobContext) -> list[object]:
        assert ctx.cron is not None
        return [ctx.cron.expression, ctx.cron.last_completed_at, await ctx.children_results(), ctx.job.attempt]

    children = Children([Child("1", "jobs", "sendMail", "completed", "sent")])
    assert await run_inline(told, cron=CronContext("0 3 * * *", None), children=children, attempt=3) == [
        "0 3 * * *",
        None,
        ["sent"],
        3,
    ]
    resources = shop.resources()
    await run_inline(post, order("7"), resources=resources)
    assert resources[shop.Mailbox].sent == ["7"]
    with pytest.raises(LookupError, match="no resource of type Mailbox; the lifespan opened: nothing"):
        await run_inline(post, order("7"))


async def test_the_fence_of_a_singleton_grows() -> None:
    assert await run_inline(report) < await run_inline(report)
