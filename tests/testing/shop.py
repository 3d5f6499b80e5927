"""A small service to be tested: its payloads, its handlers, its registry."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from jobqueue import (
    JobContext,
    Registry,
    Resources,
    Snooze,
    WaitForChildren,
    enqueue_job,
    fixed,
    make_job,
    make_singleton_job,
    make_superseding_job,
)


class Order(BaseModel):
    """What most jobs of the shop are about."""

    model_config = ConfigDict(populate_by_name=True)

    order_id: str = Field(alias="orderId")
    placed_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


def order(order_id: str) -> Order:
    return Order(orderId=order_id)


@dataclass(frozen=True)
class Mailbox:
    """A resource: where mails go."""

    sent: list[str]


@make_job(name="sendMail", backoff=fixed(60_000))
async def send_mail(ctx: JobContext, payload: Order) -> str:
    if payload.order_id == "lost":
        raise LookupError("there is no order lost")
    ctx.log(f"to the customer of {payload.order_id}")
    return f"mail about {payload.order_id}"


@make_job(name="placeOrder")
async def place_order(ctx: JobContext, payload: Order) -> None:
    """Enqueues by its context, by the module's function, and once for later."""
    await ctx.enqueue_job(send_mail, payload)
    await enqueue_job("sendMail", {"orderId": f"{payload.order_id}-copy"})
    await ctx.enqueue_job(send_mail, payload, delay_ms=300_000)


@make_job(name="hang", grace_ms=0)
async def hang(ctx: JobContext) -> None:
    await asyncio.Event().wait()


@make_job(name="again")
async def again(ctx: JobContext) -> None:
    await ctx.enqueue_job("again")


@make_job(name="later")
async def later(ctx: JobContext) -> None:
    raise Snooze(1)


@make_superseding_job(name="syncOrder", dedupe_key=lambda payload: payload.order_id)
async def sync_order(ctx: JobContext, payload: Order) -> None:
    ctx.raise_if_cancelled()


@make_singleton_job(name="report", seeded_cron="0 3 * * *")
async def report(ctx: JobContext) -> int | None:
    return ctx.fence


@make_job(name="post")
def post(ctx: JobContext, payload: Order) -> None:
    """A `def` handler, with a resource."""
    ctx.resources[Mailbox].sent.append(payload.order_id)


@make_job(name="total")
async def total(ctx: JobContext) -> list[object]:
    children = await ctx.children()
    if children:
        return [child.result for child in children]
    await ctx.enqueue_child(send_mail, order("1"), on_failure="ignore")
    raise WaitForChildren


@make_job(name="undecided")
async def undecided(ctx: JobContext) -> None:
    """Has a child, and then puts itself off again and again."""
    if not await ctx.children():
        await ctx.enqueue_child(send_mail, order("1"), on_failure="ignore")
        raise WaitForChildren
    raise Snooze(50)


registry = Registry([send_mail, place_order, hang, again, later, sync_order, report, post, total, undecided])
registry_without_cron = Registry([send_mail, place_order, hang, again, later, sync_order, post, total, undecided])


def resources() -> Resources:
    return Resources(Mailbox([]))
