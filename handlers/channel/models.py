"""Models: the tables of the example, in a database of its own, which the command makes.

The chain's two tables stand for what is elsewhere in earnest; the service would ask it over the network.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobqueue.database import new_metadata

MAX_ID = 255
MAX_NAME = 40


class ChannelBase(DeclarativeBase):
    metadata = new_metadata()


class Account(ChannelBase):
    """Whose money is in the channels. `locked` is what its channels hold now."""

    __tablename__ = "account"

    id: Mapped[str] = mapped_column(String(MAX_NAME), primary_key=True)
    locked: Mapped[int]


class Channel(ChannelBase):
    """A payment channel between an account of ours and a provider.

    Invariant: once it is closed or settled, `deposit` is `paid` (to the provider) and `returned` (to the account).
    """

    __tablename__ = "channel"

    id: Mapped[str] = mapped_column(String(MAX_NAME), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("account.id"))
    provider: Mapped[str] = mapped_column(String(MAX_NAME))
    state: Mapped[str] = mapped_column(String(MAX_NAME))
    endpoint: Mapped[str | None] = mapped_column(String(MAX_ID))
    deposit: Mapped[int] = mapped_column(default=0)
    used: Mapped[int] = mapped_column(default=0)
    paid: Mapped[int] = mapped_column(default=0)
    returned: Mapped[int] = mapped_column(default=0)


class Step(ChannelBase):
    """That a job moved a channel. A job moves it once, however often it is run: its id is the key."""

    __tablename__ = "channel_step"
    __table_args__ = (Index(None, "channel_id"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(String(MAX_ID), unique=True)
    channel_id: Mapped[str] = mapped_column(ForeignKey("channel.id"))
    at: Mapped[str] = mapped_column(String(MAX_NAME))
    by: Mapped[str] = mapped_column(String(MAX_NAME))
    to: Mapped[str] = mapped_column(String(MAX_NAME))


class Sighting(ChannelBase):
    """What a witness saw: a try of a job that began, or ended. Only the proof reads it.

    Units: `enqueued_at_ms` epoch milliseconds.
    """

    __tablename__ = "channel_sighting"
    __table_args__ = (Index(None, "job_id"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    channel_id: Mapped[str] = mapped_column(ForeignKey("channel.id"))
    job_id: Mapped[str] = mapped_column(String(MAX_ID))
    name: Mapped[str] = mapped_column(String(MAX_NAME))
    enqueued_at_ms: Mapped[int] = mapped_column(BigInteger)
    what: Mapped[str] = mapped_column(String(MAX_NAME))


class ChainHead(ChannelBase):
    """One row: how many blocks the simulated chain has, and what its accidents are drawn from."""

    __tablename__ = "chain_head"

    id: Mapped[int] = mapped_column(primary_key=True)
    height: Mapped[int]
    seed: Mapped[int]


class ChainTransaction(ChannelBase):
    """What was sent to the chain, once for each `key`. It is confirmed in a later block; then the monitor tells it."""

    __tablename__ = "chain_transaction"
    __table_args__ = (Index(None, "channel_id"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(MAX_ID), unique=True)
    channel_id: Mapped[str] = mapped_column(String(MAX_NAME))
    kind: Mapped[str] = mapped_column(String(MAX_NAME))
    amount: Mapped[int]
    due_block: Mapped[int]
    confirmed_block: Mapped[int | None]
    is_told: Mapped[bool] = mapped_column(default=False)


async def make_tables(engine: AsyncEngine) -> None:
    """Twice is fine."""
    async with engine.begin() as connection:
        await connection.run_sync(ChannelBase.metadata.create_all)
