"""Rows as the relay leaves them behind: written by a transaction, and set aside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select, text, update

from jobqueue import App
from jobqueue.database import Database
from jobqueue.outbox import OutboxRow

SECOND_S = 1_767_225_600


async def row_ids(database: Database) -> list[int]:
    async with database.transaction() as session:
        return list(await session.scalars(select(OutboxRow.id).order_by(OutboxRow.id)))


async def enqueue_rows(
    app: App, database: Database, payloads: Sequence[object], queue: str = "jobs", handler: str = "note"
) -> list[int]:
    """One row for each payload; returns their ids."""
    before = await row_ids(database)
    async with database.transaction() as session:
        for payload in payloads:
            await app.enqueue_job(handler, payload, session=session, queue=queue)
    return [one for one in await row_ids(database) if one not in before]


async def set_aside(
    database: Database, ids: Sequence[int], error: str = "ERR it is refused", *, each_later: int = 0
) -> None:
    """As after five refusals; each row so many seconds after the one before."""
    async with database.transaction() as session:
        for place, row_id in enumerate(ids):
            moment = datetime.fromtimestamp(SECOND_S + place * each_later, UTC)
            values = {"attempts": 5, "last_error": error, "set_aside_at": moment}
            await session.execute(update(OutboxRow).where(OutboxRow.id == row_id).values(**values))


async def copy_rows(database: Database, times: int) -> None:
    """The first row, so many times more."""
    names = "prefix, queue, name, job_id, data, job, origin, created_at, attempts, set_aside_at"
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times})"
    row = "SELECT * FROM job_outbox ORDER BY id LIMIT 1"
    async with database.transaction() as session:
        await session.execute(
            text(f"INSERT INTO job_outbox (key, {names}) {numbers} SELECT 'copy-' || i, {names} FROM n, ({row}) AS one")
        )
