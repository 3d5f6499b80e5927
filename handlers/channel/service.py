"""Service: preServiceSuspend, preServiceUnsuspend and preServiceTerminate, which people ask for."""

from __future__ import annotations

from handlers.channel.closing import pre_cooperative_close
from handlers.channel.turns import OF_A_CHANNEL, ChannelJob, turn_of
from jobqueue import JobContext, fixed, make_job


@make_job(name="preServiceSuspend", attempts=3, backoff=fixed(50), duplicates="reject", **OF_A_CHANNEL)
async def pre_service_suspend(ctx: JobContext, payload: ChannelJob) -> None:
    """Use the channel no more for a while."""
    async with turn_of(ctx, payload) as turn:
        await turn.provider.tell(turn.channel.id, "pause")
        await turn.move()


@make_job(name="preServiceUnsuspend", attempts=3, backoff=fixed(50), duplicates="reject", **OF_A_CHANNEL)
async def pre_service_unsuspend(ctx: JobContext, payload: ChannelJob) -> None:
    """Use it again."""
    async with turn_of(ctx, payload) as turn:
        await turn.provider.tell(turn.channel.id, "go on")
        await turn.move()


@make_job(name="preServiceTerminate", attempts=5, backoff=fixed(50), duplicates="reject", **OF_A_CHANNEL)
async def pre_service_terminate(ctx: JobContext, payload: ChannelJob) -> None:
    """Use it never again, and go on to close it.

    Whoever asked for this has cancelled all other jobs of the channel, and one of these may have been about to write
    down a deposit. So what was deposited is asked of the chain.
    """
    async with turn_of(ctx, payload) as turn:
        await turn.provider.tell(turn.channel.id, "stop")
        await turn.move(deposit=await turn.chain.deposited(turn.channel.id, confirmed=True))
        await turn.follow_with(pre_cooperative_close, ChannelJob(channel_id=turn.channel.id))
