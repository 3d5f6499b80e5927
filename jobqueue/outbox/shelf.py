"""Shelf: what a screen may see of the table, and do to rows that are set aside. No call reads more than it shows."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Delete,
    Select,
    Subquery,
    Update,
    case,
    delete,
    func,
    literal,
    null,
    select,
    tuple_,
    update,
)

from jobqueue.database import Database, UtcDateTime
from jobqueue.errors import InvalidOption, RowNotFound, RowNotSetAside
from jobqueue.outbox.skimming import queues_of
from jobqueue.outbox.table import OutboxRow

MOST_COUNTED: Final = 10_000
LEAST_COUNTED: Final = 1_000
"""How far the rows of a queue are counted; so far where there are more than a few queues."""
_FEW_QUEUES: Final = 3
MOST_ROWS: Final = 100
MAX_LISTED: Final = 20_000
"""Characters of data and job that a list reads of each row; a larger one has to be looked at by itself."""
_BATCH: Final = 500
_LARGEST_ID: Final = 2**63 - 1
_PLACE = re.compile(r"(?:([0-9]{1,18})-)?([0-9]{1,19})", re.ASCII)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)

RowState: TypeAlias = Literal["waiting", "set_aside"]
RowAct: TypeAlias = Literal["retry", "remove"]

_IS_SET_ASIDE: Final = OutboxRow.set_aside_at.is_not(None)
_WAITS: Final = OutboxRow.set_aside_at.is_(None)


@dataclass(frozen=True, slots=True)
class Shelved:
    """How many rows of a queue there are, by state; as many as `counted_to` mean so many or more.

    `oldest_at` is when the first of those that wait was written.
    """

    queue: str
    waiting: int
    set_aside: int
    counted_to: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class ShelfRow:
    """A row as it is stored. In a list `data` and `job` are None where they are larger than MAX_LISTED."""

    id: int
    queue: str
    name: str
    job_id: str
    origin: str
    created_at: datetime
    attempts: int
    next_try_at: datetime | None
    last_error: str | None
    set_aside_at: datetime | None
    data: str | None
    job: str | None

    @property
    def state(self) -> RowState:
        return "waiting" if self.set_aside_at is None else "set_aside"


@dataclass(frozen=True, slots=True)
class ShelfPage:
    """Some rows of a queue: those that wait in the order in which they go, those set aside the latest first.

    `next` is what to ask for as `after` to see those that follow; None at the end.
    """

    rows: tuple[ShelfRow, ...]
    next: str | None


_TEXTS: Final = ("data", "job")
_WHOLE = tuple(getattr(OutboxRow, field.name) for field in fields(ShelfRow))
_LISTED = tuple(
    case((func.length(column) <= MAX_LISTED, column), else_=null()) if column.key in _TEXTS else column
    for column in _WHOLE
)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The rows of one prefix; those of others are never seen, nor touched.

    Raises, from every method: DatabaseUnavailable, also where there is no table.
    """

    database: Database
    prefix: str

    async def queues(self) -> tuple[Shelved, ...]:
        """The first MOST_QUEUES queues that have rows, by name; of many queues the rows are counted less far."""
        queues = queues_of(self.prefix)
        async with self.database.transaction() as session:
            there = await session.scalar(select(func.count()).select_from(queues)) or 0
            counted_to = LEAST_COUNTED if there > _FEW_QUEUES else MOST_COUNTED
            waiting, set_aside = (self._count(queues, state, counted_to) for state in (_WAITS, _IS_SET_ASIDE))
            chosen = select(queues.c.queue, waiting, set_aside, literal(counted_to), self._oldest(queues))
            return tuple(Shelved(*row) for row in await session.execute(chosen))

    async def set_aside(self) -> tuple[tuple[str, int], ...]:
        """The queues that have rows which are set aside, with their number up to LEAST_COUNTED."""
        queues = queues_of(self.prefix)
        chosen = select(queues.c.queue, self._count(queues, _IS_SET_ASIDE, LEAST_COUNTED))
        async with self.database.transaction() as session:
            return tuple((queue, count) for queue, count in await session.execute(chosen) if count)

    async def page(self, queue: str, state: RowState, after: str | None = None, limit: int = 50) -> ShelfPage:
        """Some rows of a queue. `limit` is clamped to 1..MOST_ROWS. Raises: InvalidOption for an `after` of no page."""
        limit = min(max(limit, 1), MOST_ROWS)
        chosen = self._in_order(select(*_LISTED), queue, state, after).limit(limit + 1)
        async with self.database.transaction() as session:
            rows = [ShelfRow(*row) for row in await session.execute(chosen)]
        shown = tuple(rows[:limit])
        return ShelfPage(shown, _place_of(shown[-1]) if len(rows) > limit else None)

    async def row(self, row_id: int) -> ShelfRow:
        """Raises: RowNotFound."""
        chosen = select(*_WHOLE).where(OutboxRow.id == row_id, OutboxRow.prefix == self.prefix)
        async with self.database.transaction() as session:
            row = (await session.execute(chosen)).one_or_none() if 0 < row_id <= _LARGEST_ID else None
        if row is None:
            raise RowNotFound(row_id)
        return ShelfRow(*row)

    async def treat(self, act: RowAct, row_id: int) -> None:
        """Do it to one row, if it is set aside: a row that waits may be on its way to Redis at this moment.

        Raises: RowNotFound; RowNotSetAside.
        """
        await self.row(row_id)
        chosen = _statement(act).where(OutboxRow.id == row_id, OutboxRow.prefix == self.prefix, _IS_SET_ASIDE)
        if not await self._changed(chosen):
            await self.row(row_id)
            raise RowNotSetAside(row_id)

    async def last_set_aside(self, queue: str) -> datetime | None:
        """When the latest of a queue's rows was set aside: an act on all of them ends there."""
        chosen = select(func.max(OutboxRow.set_aside_at)).where(self._is_of(queue), _IS_SET_ASIDE)
        async with self.database.transaction() as session:
            return await session.scalar(chosen)

    async def treat_some(self, act: RowAct, queue: str, until: datetime) -> int:
        """Do it to some rows of a queue that were set aside until then; returns to how many, 0 when all are treated."""
        some = select(OutboxRow.id).where(self._is_of(queue), OutboxRow.set_aside_at <= until)
        some = some.order_by(OutboxRow.set_aside_at, OutboxRow.id).limit(_BATCH)
        return await self._changed(_statement(act).where(OutboxRow.id.in_(some), _IS_SET_ASIDE))

    async def _changed(self, statement: Update | Delete) -> int:
        async with self.database.transaction() as session:
            return (await (await session.connection()).execute(statement)).rowcount

    def _is_of(self, queue: ColumnElement[str] | str) -> ColumnElement[bool]:
        return (OutboxRow.prefix == self.prefix) & (OutboxRow.queue == queue)

    def _in_order(
        self, chosen: Select[*tuple[Any, ...]], queue: str, state: RowState, after: str | None
    ) -> Select[*tuple[Any, ...]]:
        """In the order of the index: PostgreSQL does not see by itself that a column which is null orders nothing."""
        order = (OutboxRow.set_aside_at, OutboxRow.id)
        place = None if after is None else _parsed(after, state)
        if state == "waiting":
            chosen = chosen.where(self._is_of(queue), _WAITS).order_by(*order)
            return chosen if place is None else chosen.where(OutboxRow.id > place[1])
        chosen = chosen.where(self._is_of(queue), _IS_SET_ASIDE).order_by(*(column.desc() for column in order))
        if place is None:
            return chosen
        return chosen.where(tuple_(*order) < tuple_(literal(place[0], UtcDateTime()), literal(place[1])))

    def _count(self, queues: Subquery, state: ColumnElement[bool], most: int) -> ColumnElement[int]:
        some = select(literal(1)).select_from(OutboxRow).where(self._is_of(queues.c.queue), state)
        some = some.limit(most).correlate(queues)
        return select(func.count()).select_from(some.subquery()).correlate(queues).scalar_subquery()

    def _oldest(self, queues: Subquery) -> ColumnElement[datetime]:
        waiting = select(OutboxRow.created_at).where(self._is_of(queues.c.queue), _WAITS)
        return waiting.order_by(OutboxRow.set_aside_at, OutboxRow.id).limit(1).correlate(queues).scalar_subquery()


def _statement(act: RowAct) -> Update | Delete:
    if act == "remove":
        return delete(OutboxRow)
    return update(OutboxRow).values(attempts=0, set_aside_at=None, next_try_at=None)


def _place_of(row: ShelfRow) -> str:
    if row.set_aside_at is None:
        return str(row.id)
    return f"{(row.set_aside_at - _EPOCH) // timedelta(microseconds=1)}-{row.id}"


def _parsed(after: str, state: RowState) -> tuple[datetime, int]:
    found = _PLACE.fullmatch(after)
    if found is None or (found[1] is None) != (state == "waiting") or int(found[2]) > _LARGEST_ID:
        raise InvalidOption("after", f"must be what a page gave as its next, not {after!r:.100}")
    return _moment(int(found[1] or 0)), int(found[2])


def _moment(at_us: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=at_us)
    except OverflowError as error:
        raise InvalidOption("after", "must be what a page gave as its next, and no later time") from error
