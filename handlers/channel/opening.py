"""Opening: from a wish to a channel that is used: preChannelCreate, channelWithdraw, afterChannelCreate, endpointCreate
and serviceActivate.
"""

from __future__ import annotations

from typing import Final

from handlers.channel.accounts import AccountJob, account_update_balances
from handlers.channel.chain import Kind
from handlers.channel.provider import ENDPOINT_ATTEMPTS
from handlers.channel.turns import OF_A_CHANNEL, ChannelEvent, ChannelJob, turn_of
from jobqueue import JobContext, exponential, fixed, limit, make_job

DEPOSIT: Final = 6


class EndpointJob(ChannelJob):
    """The provider is in the payload, since a limit counts by what the payload says."""

    provider: str


@make_job(
    name="preChannelCreate",
    first_delay_ms=250,
    attempts=4,
    backoff=fixed(50),
    duplicates="reject",
    **OF_A_CHANNEL,
)
async def pre_channel_create(ctx: JobContext, payload: ChannelJob) -> None:
    """Send the deposit. The first delay is there for second thoughts: until then a withdrawal costs nothing.

    The channel is moved before the deposit is sent. So a channel that is pending has sent nothing, whatever crashed.
    """
    async with turn_of(ctx, payload) as turn:
        await turn.move()
        await turn.send(Kind.OPEN, DEPOSIT)


@make_job(name="channelWithdraw", duplicates="reject", **OF_A_CHANNEL)
async def channel_withdraw(ctx: JobContext, payload: ChannelJob) -> None:
    """Give the channel up. Fails where the deposit is on its way."""
    async with turn_of(ctx, payload) as turn:
        await turn.move()


@make_job(name="afterChannelCreate", attempts=5, backoff=fixed(50), **OF_A_CHANNEL)
async def after_channel_create(ctx: JobContext, payload: ChannelEvent) -> None:
    """The deposit was confirmed."""
    async with turn_of(ctx, payload) as turn:
        await turn.move(deposit=payload.amount)
        endpoint = EndpointJob(channel_id=turn.channel.id, provider=turn.channel.provider)
        await turn.follow_with(endpoint_create, endpoint)
        await ctx.enqueue_job(account_update_balances, AccountJob(account=turn.channel.account))


@make_job(
    name="endpointCreate",
    attempts=ENDPOINT_ATTEMPTS,
    backoff=exponential(40, jitter=0.2),
    concurrency=limit(2, by=lambda payload: payload.provider),
    **OF_A_CHANNEL,
)
async def endpoint_create(ctx: JobContext, payload: EndpointJob) -> None:
    """Ask the provider where its service is: never more than two at a time ask the same one."""
    async with turn_of(ctx, payload) as turn:
        endpoint = await turn.provider.endpoint(turn.channel.id, turn.attempt)
        await turn.move(endpoint=endpoint)
        await turn.follow_with(service_activate, ChannelJob(channel_id=turn.channel.id))


@make_job(name="serviceActivate", attempts=3, backoff=fixed(50), **OF_A_CHANNEL)
async def service_activate(ctx: JobContext, payload: ChannelJob) -> None:
    """Begin to use the channel."""
    async with turn_of(ctx, payload) as turn:
        await turn.provider.tell(turn.channel.id, "start")
        await turn.move()
