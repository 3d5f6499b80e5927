"""Rows: making and changing those of the table, inside a transaction."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

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
    """A transaction that saves one row. Raises: DuplicateCronJob where another row has its `job_id` or `name`."""
    names = _Names("", "")
    try:
        async with database.transaction() as session:
            yield session
            for row in (*session.new, *session.dirty):
                if isinstance(row, CronJobRow):
                    names = _Names(row.job_id, row.name)
            await session.flush()
    except IntegrityError as error:
        raise _duplicate(names, str(error.orig)) or error from error


class _Names(NamedTuple):
    """What the database keeps unique, as it was to be saved."""

    job_id: str
    name: str


def _duplicate(names: _Names, why: str) -> DuplicateCronJob | None:
    """What the database says names the constraint (PostgreSQL) or the column (SQLite).

    Not looked for in the table: the other row may be gone by then. Who gave no `job_id` is told of his name.
    """
    if "cron_job_job_id" in why or "cron_job.job_id" in why:
        return DuplicateCronJob("job_id" if names.job_id != names.name else "name", names.job_id)
    if "cron_job_name" in why or "cron_job.name" in why:
        return DuplicateCronJob("name", names.name)
    return None


def _now() -> datetime:
    return datetime.fromtimestamp(now_ms() / 1000, UTC)
