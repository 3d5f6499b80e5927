"""Table: the rows that drive the schedulers, as they are stored and as they are read."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from pydantic import JsonValue
from sqlalchemy import JSON, BigInteger, CheckConstraint, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobqueue.database import UtcDateTime, new_metadata
from jobqueue.encoding import encode_json
from jobqueue.errors import UnreadableCronJob

MAX_TEXT: Final = 200
MAX_PATTERN: Final = 500
MAX_DESCRIPTION: Final = 2_000
MAX_LAST_JOB_ID: Final = 500

Overlap: TypeAlias = Literal["skip", "queue", "allow"]
"""What becomes of a slot's job while an earlier one of its row is unfinished."""
Misfire: TypeAlias = Literal["run_once", "skip"]
"""What becomes of slots that came while no worker was there: one run for all of them, or none."""
Source: TypeAlias = Literal["admin", "code"]
"""Who rules over the row: people, or the code of a service."""
LastStatus: TypeAlias = Literal["active", "completed", "failed", "skipped", "superseded", "removed"]


class CronBase(DeclarativeBase):
    metadata = new_metadata()


class CronJobRow(CronBase):
    """One cron job. Invariant: `job_id`, which is the scheduler's id, and `name` belong to one row each."""

    __tablename__ = "cron_job"
    __table_args__ = (
        UniqueConstraint("job_id"),
        UniqueConstraint("name"),
        CheckConstraint("overlap IN ('skip', 'queue', 'allow')", name="overlap"),
        CheckConstraint("misfire IN ('run_once', 'skip')", name="misfire"),
        CheckConstraint("source IN ('admin', 'code')", name="source"),
        CheckConstraint("max_attempts >= 1", name="max_attempts"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(MAX_TEXT))
    name: Mapped[str] = mapped_column(String(MAX_TEXT))
    description: Mapped[str | None] = mapped_column(Text)
    pattern: Mapped[str] = mapped_column(String(MAX_PATTERN))
    timezone: Mapped[str] = mapped_column(String(MAX_TEXT), server_default="UTC")
    handler: Mapped[str] = mapped_column(String(MAX_TEXT))
    payload: Mapped[JsonValue] = mapped_column(JSON, nullable=False)
    priority: Mapped[int] = mapped_column(server_default=text("0"))
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    max_attempts: Mapped[int] = mapped_column(server_default=text("3"))
    backoff_ms: Mapped[int] = mapped_column(BigInteger, server_default=text("5000"))
    overlap: Mapped[str] = mapped_column(String(10), server_default="skip")
    misfire: Mapped[str] = mapped_column(String(10), server_default="run_once")
    source: Mapped[str] = mapped_column(String(10), server_default="admin")
    created_by: Mapped[str | None] = mapped_column(String(MAX_TEXT))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime())
    last_run_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    last_status: Mapped[str | None] = mapped_column(String(20))
    last_job_id: Mapped[str | None] = mapped_column(String(MAX_LAST_JOB_ID))
    last_completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime())


class CronSeed(CronBase):
    """A row that was put into the table once, so that it is not put there again after somebody has removed it."""

    __tablename__ = "cron_seed"

    handler: Mapped[str] = mapped_column(String(MAX_TEXT), primary_key=True)
    seeded_at: Mapped[datetime] = mapped_column(UtcDateTime())


class CronQueue(CronBase):
    """A queue in which schedulers of ours may stand, though no handler has its jobs there any more."""

    __tablename__ = "cron_queue"

    name: Mapped[str] = mapped_column(String(MAX_TEXT), primary_key=True)


@dataclass(frozen=True, slots=True)
class CronJob:
    """A row as it was read.

    Units: `backoff_ms` is the first pause after a failed try; it doubles. The times are aware, in UTC.
    """

    id: str
    job_id: str
    name: str
    description: str | None
    pattern: str
    timezone: str
    handler: str
    payload: JsonValue
    priority: int
    enabled: bool
    max_attempts: int
    backoff_ms: int
    overlap: Overlap
    misfire: Misfire
    source: Source
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    last_run_at: datetime | None = None
    last_status: LastStatus | None = None
    last_job_id: str | None = None
    last_completed_at: datetime | None = None


_COLUMNS: Final = tuple(field.name for field in fields(CronJob))


def record_of(row: CronJobRow) -> CronJob:
    """Raises: UnreadableCronJob for a payload that JSON cannot hold (half a surrogate pair, as PostgreSQL takes it)."""
    values: dict[str, Any] = {name: getattr(row, name) for name in _COLUMNS}
    try:
        encode_json(row.payload)
    except ValueError as error:
        raise UnreadableCronJob(row.id, f"payload: {error}") from error
    return CronJob(**values)
