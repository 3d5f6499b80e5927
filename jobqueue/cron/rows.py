"""Rows: making and changing those of the table, inside a transaction."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import flag_modified

from jobqueue.clock import now_ms
from jobqueue.cron.checking import CronFields
from jobqueue.cron.table import CronJobRow, Source
from jobqueue.database import Database, new_id
from jobqueue.encoding import encode_json
from jobqueue.errors import DuplicateCronJob


def new_row(values: CronFields, source: Source, created_by: str | None) -> CronJobRow:
    """A row that is not in the table yet; `values` are all fields, checked."""
    moment = _now()
    times = {"created_at": moment, "updated_at": moment}
    return CronJobRow(id=new_id(), **values, source=source, created_by=created_by, **times)


def change(row: CronJobRow, changes: CronFields) -> bool:
    """Put the fields into the row that differ; False where none does, and then the row is as it was."""
    wanted = cast(Mapping[str, Any], changes)
    different = {name: value for name, value in wanted.items() if not _is_same(getattr(row, name), value)}
    for name, value in different.items():
        setattr(row, name, value)
        flag_modified(row, name)
    if different:
        row.updated_at = _now()
    return bool(different)


def _is_same(one: Any, other: Any) -> bool:
    """To Python 1 and true are equal, to JSON they are not."""
    return encode_json(one) == encode_json(other)


@asynccontextmanager
async def saving(database: Database) -> AsyncGenerator[AsyncSession]:
    """A transaction that saves rows. Raises: DuplicateCronJob where another row has their `job_id` or `name`."""
    saved: list[_Names] = []
    try:
        async with database.transaction() as session:
            yield session
            rows = [row for row in (*session.new, *session.dirty) if isinstance(row, CronJobRow)]
            saved = [_Names(row.id, row.job_id, row.name) for row in rows]
            await session.flush()
    except IntegrityError:
        async with database.transaction() as session:
            for names in saved:
                await _raise_if_taken(session, names)
        raise


class _Names(NamedTuple):
    """What the database keeps unique, as it was to be saved."""

    id: str
    job_id: str
    name: str


async def _raise_if_taken(session: AsyncSession, names: _Names) -> None:
    others = select(CronJobRow.id).where(CronJobRow.id != names.id)
    for column, value in ((CronJobRow.name, names.name), (CronJobRow.job_id, names.job_id)):
        if await session.scalar(others.where(column == value)):
            raise DuplicateCronJob(column.key, value)


def _now() -> datetime:
    return datetime.fromtimestamp(now_ms() / 1000, UTC)
