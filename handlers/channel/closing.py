"""Closing: both sides agree on what is owed: preCooperativeClose and afterCooperativeClose."""

from __future__ import annotations

from handlers.channel.accounts import AccountJob, account_update_balances
from handlers.channel.chain import Kind
from handlers.channel.turns import OF_A_CHANNEL, ChannelEvent, ChannelJob, turn_of
from jobqueue import JobContext, fixed, make_job


@make_job(name="preCooperativeClose", attempts=3, backoff=fixed(100), duplicates="reject", **OF_A_CHANNEL)
async def pre_cooperative_close(ctx: JobContext, payload: ChannelJob) -> None:
    """Have the provider sign what it is paid, and send that to the chain.

    The channel is moved after the signature: without one it stays terminated, and a person decides what to do.
    """
    async with turn_of(ctx, payload) as turn:
        await turn.provider.sign(turn.channel.id, turn.channel.used)
        await turn.move()
        await turn.send(Kind.COOPERATIVE_CLOSE, turn.channel.used)


@make_job(name="afterCooperativeClose", attempts=5, backoff=fixed(50), **OF_A_CHANNEL)
async def after_cooperative_close(ctx: JobContext, payload: ChannelEvent) -> None:
    """The chain has paid."""
    async with turn_of(ctx, payload) as turn:
        deposit = await turn.chain.deposited(turn.channel.id, confirmed=True)
        await turn.move(deposit=deposit, paid=payload.amount, returned=deposit - payload.amount)
        await ctx.enqueue_job(account_update_balances, AccountJob(account=turn.channel.account))
