"""Billing: verifyBilling, which is enqueued over and over and adds no second top-up to a channel that has one."""

from __future__ import annotations

from typing import Final, TypedDict

from sqlalchemy import select, update

from handlers.channel.models import Channel
from handlers.channel.states import State
from handlers.channel.topping_up import LOW, pre_channel_top_up
from handlers.channel.turns import ChannelJob, about
from jobqueue import DuplicateJob, JobContext, Keep, make_job
from jobqueue.database import Database

BILLING: Final = ("billing", "all channels")
"""What each of these jobs is about, so that there is one at a time."""


class Billed(TypedDict):
    """Which channels were topped up, and which were low but had a top-up on its way already."""

    topped_up: list[str]
    refused: list[str]


@make_job(name="verifyBilling", duplicates="reject", attempts=1, timeout_ms=5_000, keep_completed=Keep(count=100))
async def verify_billing(ctx: JobContext) -> Billed:
    """Meter what the active channels use, and top those up that have little left."""
    used = update(Channel).where(Channel.state == State.ACTIVE, Channel.used < Channel.deposit)
    low = select(Channel.id).where(Channel.state == State.ACTIVE, Channel.deposit - Channel.used <= LOW)
    async with ctx.resources[Database].transaction() as session:
        await session.execute(used.values(used=Channel.used + 1))
        found = (await session.scalars(low.order_by(Channel.id))).all()
    billed = Billed(topped_up=[], refused=[])
    for channel_id in found:
        try:
            await ctx.enqueue_job(pre_channel_top_up, ChannelJob(channel_id=channel_id), related=about(channel_id))
        except DuplicateJob as duplicate:
            ctx.log(f"{channel_id}: {duplicate.job_id} is on its way")
            billed["refused"].append(channel_id)
        else:
            billed["topped_up"].append(channel_id)
    return billed
