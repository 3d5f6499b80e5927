"""Reading: which queues have rows to move, the next of them, and what becomes of those that were tried."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, update

from jobqueue.database import Database
from jobqueue.outbox.rows import COLUMNS, Waiting
from jobqueue.outbox.table import MAX_ERROR, OutboxRow

MOST_ATTEMPTS: Final = 5
BATCH_CHARACTERS: Final = 4_000_000
_FIRST_PAUSE_S: Final = 1.0


async def queues_with_rows(database: Database, prefix: str) -> tuple[str, ...]:
    """The queues that rows wait for; one look into the index for each, however many rows there are."""
    found: list[str] = []
    async with database.transaction() as session:
        while True:
            smallest = _waiting(select(func.min(OutboxRow.queue)), prefix)
            queue = await session.scalar(smallest.where(OutboxRow.queue > found[-1]) if found else smallest)
            if queue is None:
                return tuple(found)
            found.append(queue)


async def has_rows(database: Database, prefix: str, queue: str, now: datetime) -> bool:
    """Whether a row of a queue waits for its turn. One that was refused waits for a time, and holds nobody up."""
    chosen = _waiting(select(OutboxRow.id), prefix).where(OutboxRow.queue == queue, _is_due(now)).limit(1)
    async with database.transaction() as session:
        return await session.scalar(chosen) is not None


async def next_rows(database: Database, prefix: str, queue: str, limit: int, now: datetime) -> Sequence[Waiting]:
    """The oldest rows of a queue that may be tried, in order; of large ones fewer, so that a batch is quick to move.

    By the columns of the index: by the number alone PostgreSQL would walk past the rows of all other queues.
    """
    size = func.length(OutboxRow.data) + func.length(OutboxRow.job)
    sizes = _waiting(select(OutboxRow.id, size), prefix).where(OutboxRow.queue == queue, _is_due(now))
    sizes = sizes.order_by(OutboxRow.set_aside_at, OutboxRow.id).limit(limit)
    async with database.transaction() as session:
        chosen = _that_fit((row[0], row[1]) for row in await session.execute(sizes))
        rows = await session.execute(select(*COLUMNS).where(OutboxRow.id.in_(chosen)).order_by(OutboxRow.id))
        return [Waiting(*row) for row in rows]


def _that_fit(sizes: Iterable[tuple[int, int]]) -> list[int]:
    chosen: list[int] = []
    room = BATCH_CHARACTERS
    for row_id, size in sizes:
        if chosen and size > room:
            break
        chosen.append(row_id)
        room -= size
    return chosen


async def still_there(database: Database, keys: Collection[str]) -> frozenset[str]:
    """Which of the rows with these keys are in the table."""
    async with database.transaction() as session:
        return frozenset(await session.scalars(select(OutboxRow.key).where(OutboxRow.key.in_(keys))))


async def settle(database: Database, moved: Collection[int], refused: Mapping[int, tuple[int, str]]) -> None:
    """Delete the rows that are in Redis; those that were refused are tried again later, or set aside.

    `refused` has for each the attempts so far and the reason.
    """
    now = datetime.now(UTC)
    async with database.transaction() as session:
        if moved:
            await session.execute(delete(OutboxRow).where(OutboxRow.id.in_(moved)))
        for row_id, (attempts, reason) in refused.items():
            is_last = attempts >= MOST_ATTEMPTS
            await session.execute(
                update(OutboxRow)
                .where(OutboxRow.id == row_id)
                .values(
                    attempts=attempts,
                    last_error=reason[:MAX_ERROR],
                    set_aside_at=now if is_last else None,
                    next_try_at=None if is_last else now + timedelta(seconds=_FIRST_PAUSE_S * 2 ** (attempts - 1)),
                )
            )


def _is_due(now: datetime) -> ColumnElement[bool]:
    return or_(OutboxRow.next_try_at.is_(None), OutboxRow.next_try_at <= now)


def _waiting(chosen: Select[*tuple[Any, ...]], prefix: str) -> Select[*tuple[Any, ...]]:
    return chosen.where(OutboxRow.prefix == prefix, OutboxRow.set_aside_at.is_(None))
