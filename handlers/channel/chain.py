"""Chain: a simulated blockchain. What is sent to it is confirmed some blocks later, and it does not always answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from handlers.channel.chances import Chances
from handlers.channel.models import ChainHead, ChainTransaction
from jobqueue import JobqueueError
from jobqueue.database import Database

MOST_BLOCKS: Final = 2


class Kind(StrEnum):
    """What a transaction does."""

    OPEN = "open"
    TOP_UP = "topUp"
    COOPERATIVE_CLOSE = "cooperativeClose"
    CLOSE_REQUEST = "closeRequest"
    UNCOOPERATIVE_CLOSE = "uncooperativeClose"


DEPOSITS: Final = (Kind.OPEN, Kind.TOP_UP)


class ChainUnavailable(JobqueueError):
    """The chain did not answer; what was sent may have arrived."""


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """A transaction that was confirmed, and that nobody was told of yet."""

    number: int
    kind: Kind
    channel_id: str
    amount: int


class Chain:
    """The hand of a service on the chain, and that of the chain itself: `confirm` makes the next block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self, seed: int) -> None:
        """Make the chain's first block, once."""
        async with self._database.transaction() as session:
            if await session.get(ChainHead, 1) is None:
                session.add(ChainHead(id=1, height=0, seed=seed))

    async def send(self, kind: Kind, channel_id: str, amount: int, *, key: str, attempt: int) -> None:
        """Send a transaction; under a key that was used before it is the one that was sent then.

        Raises: ChainUnavailable, and then it may have been sent. So whoever tries again does so with the same key.
        """
        async with self._database.transaction() as session:
            head = await session.get_one(ChainHead, 1)
            chances = Chances(head.seed)
            accident = chances.accident(kind, channel_id, attempt)
            if accident != "refused" and await _is_new(session, key):
                # Those of one channel are confirmed in the order in which they were sent.
                latest = select(func.max(ChainTransaction.due_block)).where(ChainTransaction.channel_id == channel_id)
                due = head.height + 1 + chances.blocks(MOST_BLOCKS, kind, channel_id)
                due = max(due, await session.scalar(latest) or 0)
                session.add(ChainTransaction(key=key, channel_id=channel_id, kind=kind, amount=amount, due_block=due))
        if accident is not None:
            raise ChainUnavailable(f"the chain did not answer ({kind})")

    async def confirm(self) -> int:
        """Make the next block, with what is due in it; returns its height."""
        sent = ChainTransaction
        async with self._database.transaction() as session:
            height = await session.scalar(
                update(ChainHead).values(height=ChainHead.height + 1).returning(ChainHead.height)
            )
            due = update(sent).where(sent.confirmed_block.is_(None), sent.due_block <= height)
            await session.execute(due.values(confirmed_block=height))
        return height or 0

    async def untold(self) -> Sequence[ChainEvent]:
        """The events that nobody was told of, oldest first."""
        sent = ChainTransaction
        asked = select(sent).where(sent.confirmed_block.is_not(None), sent.is_told.is_(False))
        async with self._database.transaction() as session:
            found = (await session.scalars(asked.order_by(sent.confirmed_block, sent.number))).all()
        return [ChainEvent(one.number, Kind(one.kind), one.channel_id, one.amount) for one in found]

    async def mark_told(self, event: ChainEvent) -> None:
        sent = ChainTransaction
        async with self._database.transaction() as session:
            await session.execute(update(sent).where(sent.number == event.number).values(is_told=True))

    async def deposited(self, channel_id: str, *, confirmed: bool) -> int:
        """What a channel has on the chain; where not `confirmed`, with what is on its way."""
        sent = ChainTransaction
        asked = select(func.sum(sent.amount)).where(sent.channel_id == channel_id, sent.kind.in_(DEPOSITS))
        if confirmed:
            asked = asked.where(sent.confirmed_block.is_not(None))
        async with self._database.transaction() as session:
            return await session.scalar(asked) or 0


async def _is_new(session: AsyncSession, key: str) -> bool:
    found = await session.scalar(select(ChainTransaction.number).where(ChainTransaction.key == key))
    return found is None
