"""Batches: many rows deleted, some at a time, so that nobody waits long for them."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Final, TypeAlias

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.sql.dml import ReturningDelete

from handlers.models import Session, User
from jobqueue import JobContext
from jobqueue.database import Database

BATCH: Final = 500

Model: TypeAlias = type[Session] | type[User]


def utc(epoch_ms: int) -> datetime:
    """The moment as a column takes it."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


async def delete_in_batches(ctx: JobContext, database: Database, model: Model, condition: ColumnElement[bool]) -> int:
    """Delete the rows that a condition is true of, with what belongs to them; returns how many.

    Concurrency: each batch is one statement in a transaction of its own, so that a row goes only if the condition is
    true of it then. PostgreSQL passes over rows that another transaction holds; they go with the next run.
    Raises: JobCancelled between two batches; what was deleted stays so. DatabaseUnavailable.
    """
    deleted = 0
    while True:
        ctx.raise_if_cancelled()
        began_s = time.monotonic()
        async with database.transaction() as session:
            gone = len((await session.scalars(_next_batch(model, condition))).all())
        deleted += gone
        if gone < BATCH:
            return deleted
        ctx.progress({"deleted": deleted})
        await asyncio.sleep(time.monotonic() - began_s)  # others write to the table, too: let them have half the time


def _next_batch(model: Model, condition: ColumnElement[bool]) -> ReturningDelete[str]:
    """A CTE that locks its rows: PostgreSQL runs it once, and looks at the latest version of each row.

    (As a plain subquery it may run again for every row, and more would go than were asked for.)
    """
    doomed = select(model.id).where(condition).limit(BATCH).with_for_update(skip_locked=True).cte("doomed")
    return delete(model).where(model.id.in_(select(doomed.c.id))).returning(model.id)
