"""Disputing: one side closes alone, and the other one has a while to object: preUncooperativeCloseRequest,
afterUncooperativeCloseRequest, preUncooperativeClose and afterUncooperativeClose.
"""

from __future__ import annotations

from typing import Final

from handlers.channel.accounts import AccountJob, account_update_balances
from handlers.channel.chain import Kind
from handlers.channel.turns import OF_A_CHANNEL, ChannelEvent, ChannelJob, turn_of
from jobqueue import JobContext, exponential, fixed, make_job

CHALLENGE_MS: Final = 400


@make_job(name="preUncooperativeCloseRequest", attempts=6, backoff=exponential(40), duplicates="reject", **OF_A_CHANNEL)
async def pre_uncooperative_close_request(ctx: JobContext, payload: ChannelJob) -> None:
    """Tell the chain what is owed, without the provider."""
    async with turn_of(ctx, payload) as turn:
        await turn.move()
        await turn.send(Kind.CLOSE_REQUEST, turn.channel.used)


@make_job(name="afterUncooperativeCloseRequest", attempts=5, backoff=fixed(50), **OF_A_CHANNEL)
async def after_uncooperative_close_request(ctx: JobContext, payload: ChannelEvent) -> None:
    """The chain knows: from now on the provider may object. What comes after that is enqueued now, and starts late."""
    async with turn_of(ctx, payload) as turn:
        await turn.move()
        await turn.follow_with(pre_uncooperative_close, ChannelJob(channel_id=turn.channel.id))


@make_job(
    name="preUncooperativeClose",
    first_delay_ms=CHALLENGE_MS,
    attempts=6,
    backoff=exponential(40),
    duplicates="reject",
    **OF_A_CHANNEL,
)
async def pre_uncooperative_close(ctx: JobContext, payload: ChannelJob) -> None:
    """Nobody has objected: let the chain pay. The first delay is the time that the provider has."""
    async with turn_of(ctx, payload) as turn:
        await turn.move()
        await turn.send(Kind.UNCOOPERATIVE_CLOSE, turn.channel.used)


@make_job(name="afterUncooperativeClose", attempts=5, backoff=fixed(50), **OF_A_CHANNEL)
async def after_uncooperative_close(ctx: JobContext, payload: ChannelEvent) -> None:
    """The chain has paid."""
    async with turn_of(ctx, payload) as turn:
        deposit = await turn.chain.deposited(turn.channel.id, confirmed=True)
        await turn.move(deposit=deposit, paid=payload.amount, returned=deposit - payload.amount)
        await ctx.enqueue_job(account_update_balances, AccountJob(account=turn.channel.account))
