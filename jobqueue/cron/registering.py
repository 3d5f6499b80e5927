"""Registering: the rows of a service's list of cron jobs, made equal to the list."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Select, and_, or_, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from jobqueue.cron.checking import CronFields
from jobqueue.cron.definitions import place_of
from jobqueue.cron.reading import read_rows, telling
from jobqueue.cron.rows import change, new_row
from jobqueue.cron.table import CronJob, CronJobRow, record_of
from jobqueue.database import Database, new_id
from jobqueue.errors import DatabaseUnavailable, InvalidCronJob, UnreadableCronJob

_log = logging.getLogger("jobqueue.cron")

_TRIES: Final = 5
_COLLISIONS: Final = ("40001", "40P01")
"""SQLSTATE: two transactions were in each other's way, and this one was chosen to be undone."""
_LOCKS: Final = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": f"SELECT pg_advisory_xact_lock({0x63726F6E})",  # "cron"
}


async def write_list(database: Database, listed: Mapping[str, CronFields], owner: str) -> tuple[CronJob, ...]:
    """Make the rows of code that `owner` made equal to the list, all of them or none; those of the list, in its order.

    Shape: `listed` has all fields of each row by its name, which is its `job_id`, too. A row that says the same is not
    touched. What people decide, whether it is enabled, is left as it is.
    Concurrency: any number of processes may, with the same list too.
    Raises: InvalidCronJob where a row of somebody else has a name that is listed, and for a row that cannot be read;
    DatabaseUnavailable.
    """
    for _ in range(_TRIES):
        try:
            async with database.transaction() as session:
                return await _write(session, listed, owner)
        except UnreadableCronJob as error:
            rows = await read_rows(database, _concerned(listed, owner))
            raise InvalidCronJob(dict(rows.unreadable) or {error.which: error.reason}) from error
        except DBAPIError as error:
            if not _has_collided(error):
                raise
    raise DatabaseUnavailable(database.address, f"{_TRIES} times in a row somebody else has changed the same cron jobs")


def _has_collided(error: DBAPIError) -> bool:
    """True where somebody has saved or locked rows like ours since ours were read; looking again is the cure."""
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in _COLLISIONS


async def _write(session: AsyncSession, listed: Mapping[str, CronFields], owner: str) -> tuple[CronJob, ...]:
    found = await _lock_rows(session, listed, owner)
    _check_owner(found, listed, owner)
    rows = {row.job_id: row for row in found}
    for row in found:
        if row.job_id not in listed:
            await session.delete(row)
            _log.info("cron job %s is no longer listed, and is removed", row.name)
        elif row.name != row.job_id:
            # What is listed has its name as its job_id. Somebody has renamed the row, maybe to what another is called.
            row.name = new_id()
    # Before others take their names: the database looks at each statement.
    await session.flush()
    for name, fields in listed.items():
        if name in rows:
            change(rows[name], _without_enabled(fields))
        else:
            rows[name] = new_row(fields, "code", owner)
            session.add(rows[name])
    await session.flush()
    return tuple(record_of(rows[name]) for name in listed)


async def _lock_rows(session: AsyncSession, names: Collection[str], owner: str) -> Sequence[CronJobRow]:
    """The owner's rows and those in the way of the list, which nobody else changes until the transaction ends.

    One list is written at a time: rows that the one before has made would not be seen otherwise.
    """
    await session.execute(text(_LOCKS[session.get_bind().dialect.name]))
    with telling("of the list"):
        rows = list(await session.scalars(_concerned(names, owner).with_for_update()))
        for row in rows:
            record_of(row)
        return rows


def _concerned(names: Collection[str], owner: str) -> Select[CronJobRow]:
    own = and_(CronJobRow.source == "code", CronJobRow.created_by == owner)
    taken = or_(CronJobRow.job_id.in_(names), CronJobRow.name.in_(names))
    return select(CronJobRow).where(or_(own, taken)).order_by(CronJobRow.id)


def _check_owner(found: Sequence[CronJobRow], names: Iterable[str], owner: str) -> None:
    """Raises: InvalidCronJob, naming the entries whose name is that of a row which is not theirs to change."""
    positions = {name: position for position, name in enumerate(names)}
    wrong: dict[str, str] = {}
    for row in found:
        if row.source == "code" and row.created_by == owner:
            continue
        for field, value in (("job_id", row.job_id), ("name", row.name)):
            if value in positions:
                made_by = f"made by {row.created_by}, " if row.created_by else ""
                wrong[f"{place_of(positions[value], value)}.name"] = (
                    f"is the {field} of a cron job that was not registered here (source {row.source}, "
                    f"{made_by}id {row.id}); give one of them another name"
                )
    if wrong:
        raise InvalidCronJob(wrong)


def _without_enabled(fields: CronFields) -> CronFields:
    kept = fields.copy()
    kept.pop("enabled", None)
    return kept
