"""Channels put into a state, and waiting for what becomes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sqlalchemy import select

from handlers.channel.models import Channel
from handlers.channel.stage import Stage
from handlers.channel.states import State
from handlers.channel.turns import about
from jobqueue import JobOutcome, Subscription
from tests.handlers.channel.conftest import ACCOUNT
from tests.support.eventually import eventually

CHANNEL = "ch-1"


async def add_channel(stage: Stage, state: State, *, provider: str = "prompt", deposit: int = 0, used: int = 0) -> None:
    """A channel as it is in the middle of its life, without a past."""
    channel = Channel(
        id=CHANNEL, account=ACCOUNT, provider=provider, state=state, deposit=deposit, used=used, paid=0, returned=0
    )
    async with stage.desk.database.transaction() as session:
        session.add(channel)


async def the_channel(stage: Stage) -> Channel:
    async with stage.desk.database.transaction() as session:
        return (await session.scalars(select(Channel))).one()


async def until_state(stage: Stage, state: State) -> None:
    async def is_reached() -> bool:
        return await stage.desk.state(CHANNEL) == state

    await eventually(is_reached)


def listening(stage: Stage) -> Subscription:
    """What happens to the jobs of the channel."""
    return stage.app.subscribe(related=about(CHANNEL))


async def first_of(outcomes: AsyncIterator[JobOutcome], name: str, *states: str) -> JobOutcome:
    """The next outcome of a job of this name that is one of the states."""
    async for outcome in outcomes:
        if outcome.name == name and outcome.state in states:
            return outcome
    raise AssertionError("a subscription does not end")
