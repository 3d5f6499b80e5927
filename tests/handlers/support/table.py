"""A table of a service, with rows of every age, and the columns that a person may filter on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import DateTime, Numeric, String, Text, Uuid, func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from handlers.clean_stale_data import StaleDataCleaned, clean_stale_data
from jobqueue import JobContext
from jobqueue.database import Database, UtcDateTime, new_metadata


class ServiceBase(DeclarativeBase):
    metadata = new_metadata()


class Visit(ServiceBase):
    """Rows that grow stale. `noted_at` has no zone."""

    __tablename__ = "visit"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    noted_at: Mapped[datetime] = mapped_column(DateTime())
    day: Mapped[date]
    page: Mapped[str] = mapped_column(Text)
    is_robot: Mapped[bool]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    visitor: Mapped[UUID | None] = mapped_column(Uuid())
    note: Mapped[str | None] = mapped_column(String(20))


class Reading(ServiceBase):
    """Rows whose key has several parts, of types that the two databases keep differently."""

    __tablename__ = "reading"

    sensor: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime(), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


async def create_tables(database: Database) -> None:
    async with database.transaction() as session:
        await (await session.connection()).run_sync(ServiceBase.metadata.create_all)


async def add_visits(database: Database, ages_in_days: Iterable[float], **columns: object) -> None:
    """One row for each age; what `columns` do not say is the same in all."""
    now = datetime.now(UTC)
    same: dict[str, object] = {"page": "/", "is_robot": False, "price": Decimal("1.50"), "visitor": None, "note": None}
    rows = [
        same | columns | {"created_at": at, "noted_at": at.replace(tzinfo=None), "day": at.date()}
        for at in (now - timedelta(days=age) for age in ages_in_days)
    ]
    async with database.transaction() as session:
        await session.execute(insert(Visit), rows)


async def add_readings(database: Database, count: int, age_in_days: float) -> None:
    """Readings of some sensors, whose keys have parts in common."""
    at = datetime.now(UTC) - timedelta(days=age_in_days)
    rows = [
        {
            "sensor": UUID(int=number % 3),
            "at": at - timedelta(seconds=number // 6),
            "kind": f"k{number % 2}",
            "created_at": at,
        }
        for number in range(count)
    ]
    async with database.transaction() as session:
        await session.execute(insert(Reading), rows)


async def count_readings(database: Database) -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(Reading)) or 0


async def ages_left(database: Database) -> list[int]:
    """The ages of the rows that are left, in whole days, youngest first."""
    now = datetime.now(UTC)
    async with database.transaction() as session:
        moments = await session.scalars(select(Visit.created_at).order_by(Visit.created_at.desc()))
        return [round((now - moment) / timedelta(days=1)) for moment in moments]


async def count_visits(database: Database) -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(Visit)) or 0


async def clean_with(context: JobContext, payload: dict[str, object]) -> StaleDataCleaned:
    """Run `cleanStaleData` with a payload as it comes from JSON."""
    result: StaleDataCleaned = await clean_stale_data.function(context, clean_stale_data.validate(payload))
    return result
