"""A try of a channel's job, on both databases."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple

import pytest

from handlers.channel.chain import Chain, ChainUnavailable, Kind
from handlers.channel.chances import Chances
from handlers.channel.models import Account, Channel, make_tables
from handlers.channel.states import NotAllowed, State
from handlers.channel.turns import ChannelJob, turn_of
from jobqueue import JobContext, Resources
from jobqueue.database import open_database
from tests.handlers.support.contexts import new_context, new_job

SEED = 1


class World(NamedTuple):
    """A channel that is active, and the chain."""

    resources: Resources
    chain: Chain
    channel: ChannelJob

    def context(self, job_id: str, name: str) -> JobContext:
        return new_context(new_job(job_id)._replace(name=name), self.resources)


@pytest.fixture
async def world(database_url: str) -> AsyncGenerator[World]:
    async with open_database(database_url) as database:
        await make_tables(database.engine)
        chain = Chain(database)
        await chain.start(SEED)
        async with database.transaction() as session:
            session.add(Account(id="ada", locked=0))
            await session.flush()
            session.add(Channel(id="ch-1", account="ada", provider="prompt", state=State.ACTIVE))
        yield World(Resources(database, chain), chain, ChannelJob(channel_id="ch-1"))


async def test_a_job_that_is_run_twice_moves_its_channel_once(world: World) -> None:
    for _ in range(2):
        async with turn_of(world.context("7", "preServiceSuspend"), world.channel) as turn:
            await turn.move()

    async with turn_of(world.context("8", "preServiceUnsuspend"), world.channel) as turn:
        assert turn.channel.state == State.SUSPENDED
        assert turn.attempt == 1


async def test_a_job_that_comes_too_late_moves_nothing(world: World) -> None:
    async with turn_of(world.context("7", "preCooperativeClose"), world.channel) as turn:
        with pytest.raises(NotAllowed, match="preCooperativeClose is not for a channel that is active"):
            await turn.move()


async def test_what_is_sent_again_because_the_answer_was_lost_is_sent_once(world: World) -> None:
    kind, key = Kind.TOP_UP, "7"
    lost = next(number for number in range(1, 1000) if Chances(SEED).accident(kind, "ch-1", number) == "answer lost")
    heard = next(number for number in range(1, 1000) if Chances(SEED).accident(kind, "ch-1", number) is None)

    with pytest.raises(ChainUnavailable):
        await world.chain.send(kind, "ch-1", 4, key=key, attempt=lost)
    await world.chain.send(kind, "ch-1", 4, key=key, attempt=heard)

    assert await world.chain.deposited("ch-1", confirmed=False) == 4


async def test_transactions_of_a_channel_are_confirmed_in_the_order_in_which_they_were_sent(world: World) -> None:
    kinds = (Kind.OPEN, Kind.TOP_UP, Kind.COOPERATIVE_CLOSE)
    for kind in kinds:
        heard = next(number for number in range(1, 1000) if Chances(SEED).accident(kind, "ch-1", number) is None)
        await world.chain.send(kind, "ch-1", 1, key=kind, attempt=heard)

    for _ in range(5):
        await world.chain.confirm()

    assert [event.kind for event in await world.chain.untold()] == list(kinds)
