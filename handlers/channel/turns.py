"""Turns: one try of a job of a channel. What all the handlers share: the channel, its next state, and a witness."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypedDict, TypeVar, Unpack, cast

from pydantic import BaseModel
from sqlalchemy import CursorResult, func, select, update

from handlers.channel.chain import Chain, Kind
from handlers.channel.models import Channel, Sighting, Step
from handlers.channel.provider import PROVIDERS, Provider
from handlers.channel.states import NotAllowed, State, after
from jobqueue import Handler, JobContext, JobqueueError
from jobqueue.database import Database

P = TypeVar("P", bound="ChannelJob")


class ChannelJob(BaseModel):
    """The payload of a job about a channel."""

    channel_id: str


class ChannelEvent(ChannelJob):
    """The payload of a job that the chain has caused."""

    amount: int


class Facts(TypedDict, total=False):
    """What may become known of a channel when it moves."""

    endpoint: str
    deposit: int
    paid: int
    returned: int


class OfAChannel(TypedDict):
    """The options that all the handlers of a channel share."""

    ordered: bool
    grace_ms: int
    timeout_ms: int
    unrecoverable: tuple[type[BaseException], ...]


OF_A_CHANNEL: Final = OfAChannel(ordered=True, grace_ms=200, timeout_ms=5_000, unrecoverable=(NotAllowed,))
"""What holds for every job of a channel: its jobs run one after another, and one that the diagram does not allow is not
tried again. Each handler adds its own limits.
"""


def about(channel_id: str) -> tuple[str, str]:
    """The object that a job is about: `related=about(channel_id)`."""
    return ("channel", channel_id)


class MovedMeanwhile(JobqueueError):
    """Somebody else moved the channel: two jobs of it ran at once."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A try of a job, and the channel as it was when the try began.

    `attempt` counts the tries of the job over its whole life, also those before a person had it run again.
    """

    ctx: JobContext
    channel: Channel
    attempt: int

    @property
    def provider(self) -> Provider:
        return PROVIDERS[self.channel.provider]

    @property
    def chain(self) -> Chain:
        return self.ctx.resources[Chain]

    async def move(self, **facts: Unpack[Facts]) -> None:
        """Take the channel along the arrow of this job, with what became known by it.

        In one transaction with the note that this job did it: run again, after a crash or because what came after
        this failed, it finds its note and goes on behind it.
        Raises: NotAllowed; MovedMeanwhile.
        """
        job, channel = self.ctx.job, self.channel
        async with self.ctx.resources[Database].transaction() as session:
            if await session.scalar(select(Step.number).where(Step.job_id == job.id)) is not None:
                return
            at = State(channel.state)
            to = after(at, job.name)
            unmoved = update(Channel).where(Channel.id == channel.id, Channel.state == at)
            moved = cast("CursorResult[object]", await session.execute(unmoved.values(state=to, **facts)))
            if moved.rowcount != 1:
                raise MovedMeanwhile(f"{channel.id} is {at} no more")
            session.add(Step(job_id=job.id, channel_id=channel.id, at=at, by=job.name, to=to))

    async def send(self, kind: Kind, amount: int) -> None:
        """Send a transaction to the chain: one for this job, however often it is run. Raises: ChainUnavailable."""
        await self.chain.send(kind, self.channel.id, amount, key=self.ctx.job.id, attempt=self.attempt)

    async def follow_with(self, handler: Handler[P], payload: P) -> None:
        """Enqueue the channel's next job, once, however often this one is run."""
        job_id = f"{self.ctx.job.id}-{handler.name}"
        await self.ctx.enqueue_job(handler, payload, related=about(self.channel.id), job_id=job_id)


@asynccontextmanager
async def turn_of(ctx: JobContext, payload: ChannelJob) -> AsyncGenerator[Turn]:
    """The turn of a job, for the length of the block; that it began and ended is noted for the proof."""
    try:
        await _note(ctx, payload, "began")  # inside: it may be written, and then interrupted
        async with ctx.resources[Database].transaction() as session:
            channel = await session.get_one(Channel, payload.channel_id)
            tries = select(func.count()).where(Sighting.job_id == ctx.job.id, Sighting.what == "began")
            attempt = await session.scalar(tries)
        yield Turn(ctx, channel, attempt or 1)
    finally:
        await _note(ctx, payload, "ended")


async def _note(ctx: JobContext, payload: ChannelJob, what: Literal["began", "ended"]) -> None:
    job, enqueued_at_ms = ctx.job, ctx.job.enqueued_at_ms
    seen = Sighting(
        channel_id=payload.channel_id, job_id=job.id, name=job.name, enqueued_at_ms=enqueued_at_ms, what=what
    )
    async with ctx.resources[Database].transaction() as session:
        session.add(seen)
