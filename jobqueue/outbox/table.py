"""Table: the jobs on their way to Redis, as they are stored."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobqueue.database import UtcDateTime, new_metadata
from jobqueue.job import MAX_ID_LENGTH

MAX_NAME: Final = 200
MAX_ERROR: Final = 500
CHANNEL: Final = "job_outbox"
"""Where PostgreSQL tells of new rows, when their transaction commits."""

Origin: TypeAlias = Literal["transaction", "overflow"]
"""Why a job is in the table: it was enqueued in a transaction, or its queue was full."""


class OutboxBase(DeclarativeBase):
    metadata = new_metadata()


class OutboxRow(OutboxBase):
    """One job on its way. It is removed when Redis has the job.

    Invariants: `id` is the order; `key` is never used twice, not even by another table of this name. `data` is the JSON
    of the job's data, `job` that of the rest (see `rows`). A row with `set_aside_at` is tried no more, one with
    `next_try_at` not before.
    """

    __tablename__ = "job_outbox"
    __table_args__ = (
        Index(None, "prefix", "queue", "set_aside_at", "id"),
        CheckConstraint("origin IN ('transaction', 'overflow')", name="origin"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    key: Mapped[str] = mapped_column(String(36))
    prefix: Mapped[str] = mapped_column(String(MAX_NAME))
    queue: Mapped[str] = mapped_column(String(MAX_NAME))
    name: Mapped[str] = mapped_column(String(MAX_NAME))
    job_id: Mapped[str] = mapped_column(String(MAX_ID_LENGTH))
    data: Mapped[str] = mapped_column(Text)
    job: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    last_error: Mapped[str | None] = mapped_column(String(MAX_ERROR))
    set_aside_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
