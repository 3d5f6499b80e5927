"""Reading: rows as records. One that cannot be read does not keep the others from being read."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from jobqueue.cron.table import CronJob, CronJobRow, record_of
from jobqueue.database import Database
from jobqueue.errors import CronJobNotFound, UnreadableCronJob

_BY_NAME = select(CronJobRow).order_by(CronJobRow.name)


class Rows(NamedTuple):
    """Rows by name, and why others could not be read, by `job_id`."""

    readable: tuple[CronJob, ...]
    unreadable: Mapping[str, str]


async def read_rows(database: Database, chosen: Select[Any] = _BY_NAME) -> Rows:
    """All rows of the table, or those that are chosen. Raises: DatabaseUnavailable."""
    try:
        async with database.transaction() as session:
            with telling("of the table"):
                return Rows(tuple(map(record_of, await session.scalars(chosen))), {})
    except UnreadableCronJob:
        return await _read_one_by_one(database, chosen)


async def read_page(database: Database, offset: int, limit: int) -> tuple[Rows, int]:
    """Some of the rows, and how many there are in all. Raises: DatabaseUnavailable."""
    async with database.transaction() as session:
        total = await session.scalar(select(func.count()).select_from(CronJobRow))
    return await read_rows(database, _BY_NAME.offset(offset).limit(limit)), total or 0


async def read_row(database: Database, cron_job_id: str) -> CronJob:
    """One row. Raises: CronJobNotFound; UnreadableCronJob; DatabaseUnavailable."""
    async with database.transaction() as session:
        with telling(cron_job_id):
            return record_of(found(await session.get(CronJobRow, cron_job_id), cron_job_id))


async def lock_row(session: AsyncSession, cron_job_id: str) -> CronJobRow:
    """One row that nobody else changes until the transaction ends; to be called first in it.

    Raises: CronJobNotFound; UnreadableCronJob.
    """
    if session.get_bind().dialect.name == "sqlite":
        await session.execute(text("BEGIN IMMEDIATE"))
    with telling(cron_job_id):
        return found(await session.get(CronJobRow, cron_job_id, with_for_update=True), cron_job_id)


def found(row: CronJobRow | None, which: str) -> CronJobRow:
    """Raises: CronJobNotFound."""
    if row is None:
        raise CronJobNotFound(which)
    return row


@contextmanager
def telling(which: str) -> Generator[None]:
    """Around the reading of rows. Raises: UnreadableCronJob where a column holds what it should not.

    SQL can put anything there, and each database and driver has errors of its own for what it cannot read.
    """
    try:
        yield
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise UnreadableCronJob(which, reason) from error


async def _read_one_by_one(database: Database, chosen: Select[Any]) -> Rows:
    async with database.transaction() as session:
        names = (await session.execute(chosen.with_only_columns(CronJobRow.id, CronJobRow.job_id))).all()
    readable: list[CronJob] = []
    unreadable: dict[str, str] = {}
    for cron_job_id, job_id in names:
        try:
            readable.append(await read_row(database, cron_job_id))
        except CronJobNotFound:
            continue  # it was removed meanwhile
        except UnreadableCronJob as error:
            unreadable[job_id] = str(error)
    return Rows(tuple(readable), unreadable)
