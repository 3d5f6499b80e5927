"""Outbox jobs: what is enqueued in transactions, and the table that says which of them have committed."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobqueue import JobContext, Registry, make_job
from jobqueue.database import new_metadata
from scripts.chaos.ledger import Ledger


class TruthBase(DeclarativeBase):
    metadata = new_metadata()


class Truth(TruthBase):
    """What a transaction did beside enqueueing a job: it is there if and only if that has committed."""

    __tablename__ = "truth"

    job_id: Mapped[str] = mapped_column(primary_key=True)
    writer: Mapped[int]
    number: Mapped[int]


class Written(BaseModel):
    """The job's place among those of its writer."""

    writer: int
    number: int


@make_job(name="written")
async def written(ctx: JobContext, payload: Written) -> None:
    ledger = Ledger.of_environment()
    ledger.start(ctx, f"{payload.writer}-{payload.number}")
    ledger.end(ctx, "completed")


registry = Registry([written])
