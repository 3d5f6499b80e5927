"""Topping up: preChannelTopUp and afterChannelTopUp, while the channel is used."""

from __future__ import annotations

from typing import Final

from handlers.channel.accounts import AccountJob, account_update_balances
from handlers.channel.chain import Kind
from handlers.channel.models import Channel
from handlers.channel.states import State
from handlers.channel.turns import OF_A_CHANNEL, ChannelEvent, ChannelJob, turn_of
from jobqueue import JobContext, exponential, fixed, make_job
from jobqueue.database import Database

LOW: Final = 2
TOP_UP: Final = 4


@make_job(name="preChannelTopUp", attempts=6, backoff=exponential(40, jitter=0.5), duplicates="reject", **OF_A_CHANNEL)
async def pre_channel_top_up(ctx: JobContext, payload: ChannelJob) -> str:
    """Deposit more, if it is still wanted.

    The check is safe because no other job of the channel runs now: what it finds does not change under its hands.
    """
    async with turn_of(ctx, payload) as turn:
        if turn.channel.state != State.ACTIVE:
            return f"not wanted: it is {turn.channel.state}"
        sent = await turn.chain.deposited(turn.channel.id, confirmed=False)
        if sent - turn.channel.used > LOW:
            return "not wanted: enough is on its way"
        await turn.move()
        await turn.send(Kind.TOP_UP, TOP_UP)
        return f"{TOP_UP} sent"


@make_job(name="afterChannelTopUp", attempts=5, backoff=fixed(50), **OF_A_CHANNEL)
async def after_channel_top_up(ctx: JobContext, payload: ChannelEvent) -> int:
    """A deposit was confirmed: a fact in whatever state the channel is, so no arrow of the diagram.

    It asks the chain for the sum and does not add to it: run twice, it writes the same.
    """
    async with turn_of(ctx, payload) as turn:
        deposit = await turn.chain.deposited(turn.channel.id, confirmed=True)
        async with ctx.resources[Database].transaction() as session:
            (await session.get_one(Channel, turn.channel.id)).deposit = deposit
        await ctx.enqueue_job(account_update_balances, AccountJob(account=turn.channel.account))
        return deposit
