"""Stale rows: which rows of a table are too old, and their deletion.

Names come from a payload, so only tables and columns that the database has are used; every value is bound.
"""

from __future__ import annotations

import decimal
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple, TypeAlias

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Delete,
    MetaData,
    Select,
    Table,
    and_,
    delete,
    func,
    inspect,
    literal,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.types import NullType

from jobqueue import JobqueueError
from jobqueue.database import Database

BATCH: Final = 1_000
TIME_COLUMNS: Final = ("created_at", "createdAt")
PROTECTED: Final = frozenset({"alembic_version", "cron_job", "cron_seed", "job_outbox", "webhook_subscription"})
"""Tables of ours in which an old row is no stale one: rules, jobs that are still to be sent, what was migrated."""

_COMPARABLE: Final = (bool, int, float, str, decimal.Decimal, uuid.UUID)
_DATE_LIKE: Final = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"
_BAD_VALUE: Final = "22"  # SQLSTATE class "data exception"

Scalar: TypeAlias = str | int | float | bool
Filters: TypeAlias = Mapping[str, Scalar | Sequence[Scalar] | None]
Key: TypeAlias = tuple[object, ...]


class CannotClean(JobqueueError):
    """The table cannot be cleaned in this way, and another try would change nothing."""


@dataclass(frozen=True, slots=True)
class StaleRows:
    """The rows of a table that a condition is true of."""

    table: Table
    condition: ColumnElement[bool]

    @property
    def key_columns(self) -> list[ColumnElement[Any]]:
        """The primary key, its values as the driver gives and takes them: they are only handed back."""
        return [type_coerce(column, NullType()) for column in self.table.primary_key.columns]


class Batch(NamedTuple):
    """How many rows were deleted, and the key of the last one that was looked at."""

    deleted: int
    last: Key


async def find_table(database: Database, name: str) -> Table:
    """The table of that name as the database has it.

    Raises: CannotClean where there is none, it is protected, or no primary key tells its rows apart.
    """
    async with database.transaction() as session:
        table = await (await session.connection()).run_sync(_reflect, name)
    if not table.primary_key.columns:
        raise CannotClean(f"table: {name!r} has no primary key, so that its rows cannot be deleted batch by batch")
    return table


def stale_rows(
    table: Table, time_column: str | None, before: datetime, filters: Filters, *, is_sqlite: bool
) -> StaleRows:
    """The rows whose time lies before `before` (UTC) and whose columns equal the filters. Raises: CannotClean."""
    equal = [_equals(_column(table, name, "filters"), wanted) for name, wanted in filters.items()]
    return StaleRows(table, and_(*equal, _is_older(_time_column(table, time_column), before, is_sqlite=is_sqlite)))


async def delete_next(database: Database, rows: StaleRows, after: Key | None, most: int = BATCH) -> Batch | None:
    """Delete the next rows, by key, in one transaction; None where none is left. `after` is the last batch's `last`.

    So a whole table is walked through once, whatever its indexes are, and a row that cannot be had now is passed over.
    Raises: CannotClean where other rows refer to them, or a filter's value does not fit its column;
    DatabaseUnavailable.
    """
    try:
        async with database.transaction() as session:
            connection = await session.connection()
            keys = [tuple(key) for key in await connection.execute(_next_keys(rows, after, most))]
            if not keys:
                return None
            deleted = await connection.execute(_deletion(rows, keys))
            return Batch(deleted.rowcount, keys[-1])
    except IntegrityError as error:
        raise CannotClean(f"table: other rows refer to those of {rows.table.name!r}: {_first_line(error)}") from error
    except OverflowError as error:
        raise CannotClean(f"filters: a number is too large for its column: {error}") from error
    except DBAPIError as error:
        if not _is_bad_value(error):
            raise
        raise CannotClean(f"filters: a value does not fit its column: {_first_line(error)}") from error


def _next_keys(rows: StaleRows, after: Key | None, most: int) -> Select[Any]:
    """Two cleanings that waited for each other's rows would end in a deadlock, so rows that are locked are left out.

    (SQLite, which lets one write at a time, has no words for that.)
    """
    columns = rows.key_columns
    is_next = [] if after is None else [tuple_(*columns) > tuple_(*(literal(part, NullType()) for part in after))]
    are_there = [column.is_not(None) for column in columns]  # which SQLite does not demand of a primary key
    keys = select(*columns).where(rows.condition, *are_there, *is_next)
    return keys.order_by(*columns).limit(most).with_for_update(skip_locked=True)


def _deletion(rows: StaleRows, keys: Sequence[Key]) -> Delete:
    """The condition once more: in SQLite a row may have been made young since its key was read."""
    return delete(rows.table).where(tuple_(*rows.key_columns).in_(keys), rows.condition)


def _reflect(connection: Connection, name: str) -> Table:
    known = inspect(connection).get_table_names()
    if name not in known:
        raise CannotClean(f"table: there is no table {name!r}")
    if name.lower() in PROTECTED:
        raise CannotClean(f"table: {name!r} holds no data that grows stale, so that it is not cleaned")
    return Table(name, MetaData(), autoload_with=connection, resolve_fks=False)


def _column(table: Table, name: str, field: str) -> Column[Any]:
    column = table.columns.get(name)
    if column is None:
        raise CannotClean(
            f"{field}: table {table.name!r} has no column {name!r}; it has {_listed(table.columns.keys())}"
        )
    return column


def _time_column(table: Table, name: str | None) -> Column[Any]:
    if name is None:
        name = next((known for known in TIME_COLUMNS if known in table.columns), None)
    if name is None:
        raise CannotClean(f"timeColumn: must be given, since {table.name!r} has neither {' nor '.join(TIME_COLUMNS)}")
    column = _column(table, name, "timeColumn")
    if not isinstance(column.type, DateTime | Date):
        raise CannotClean(f"timeColumn: {name!r} must be a date or a date with time, not {column.type}")
    return column


def _is_older(column: Column[Any], before: datetime, *, is_sqlite: bool) -> ColumnElement[bool]:
    """Where a column keeps no zone its times are taken for UTC; a date is old when that whole day is."""
    moment = _moment_for(column, before)
    return _is_text_older(column, moment) if is_sqlite else column < moment


def _moment_for(column: Column[Any], before: datetime) -> date:
    if isinstance(column.type, DateTime):
        return before if column.type.timezone else before.replace(tzinfo=None)
    return before.date()


def _is_text_older(written: ColumnElement[Any], moment: date) -> ColumnElement[bool]:
    """SQLite compares what somebody wrote, of whatever type: a number is less than every text, and "" than every date.

    So only what looks like a date can be old, and moments are compared, not letters: "2026-01-01T00:30:00+02:00" counts
    for what it is.
    """
    looks_like_a_date = func.glob(_DATE_LIKE, written) == 1
    return and_(looks_like_a_date, func.julianday(written) < func.julianday(moment.isoformat()))


def _equals(column: Column[Any], wanted: Scalar | Sequence[Scalar] | None) -> ColumnElement[bool]:
    if wanted is None:
        return column.is_(None)
    if isinstance(wanted, str | int | float):
        return column == _value_for(column, wanted)
    return column.in_([_value_for(column, one) for one in wanted])


def _value_for(column: Column[Any], wanted: Scalar) -> object:
    """The value as the column's own type, so that the database compares like with like. Raises: CannotClean."""
    field = f"filters.{column.name}"
    try:
        kind = column.type.python_type
    except NotImplementedError:
        kind = None
    if kind not in _COMPARABLE:
        raise CannotClean(f"{field}: a column of type {column.type!r} cannot be filtered on")
    try:
        return TypeAdapter[object](kind).validate_python(wanted)
    except ValidationError as error:
        raise CannotClean(f"{field}: {error.errors(include_url=False)[0]['msg']}, not {wanted!r:.100}") from error


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _is_bad_value(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return isinstance(state, str) and state.startswith(_BAD_VALUE)


def _first_line(error: DBAPIError) -> str:
    """What the database says, without the statement and its values."""
    return str(error.orig).partition("\n")[0]
