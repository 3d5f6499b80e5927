"""Seeding: puts the rows that handlers bring along into the table, once each."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from jobqueue.clock import now_ms
from jobqueue.cron.checking import CronFields, check, complete
from jobqueue.cron.rows import new_row
from jobqueue.cron.table import CronJobRow, CronSeed
from jobqueue.database import Database
from jobqueue.enqueue import Enqueuer
from jobqueue.errors import InvalidCronJob
from jobqueue.handler import Handler
from jobqueue.registry import Registry

_log = logging.getLogger("jobqueue.cron")

_CREATED_BY = "jobqueue"


async def seed(database: Database, registry: Registry, enqueuer: Enqueuer) -> tuple[str, ...]:
    """Save a row for each handler with a `seeded_cron` that has never had one; returns their names.

    What people make of the row stays, its removal too. Concurrency: any number of workers may; one row comes of it.
    Raises: DatabaseUnavailable.
    """
    bringing = {handler.name: handler for handler in registry if handler.seeded_cron is not None}
    if not bringing:
        return ()
    async with database.transaction() as session:
        known = set(await session.scalars(select(CronSeed.handler)))
    return tuple(
        [name for name, handler in bringing.items() if name not in known and await _seed(database, handler, enqueuer)]
    )


async def _seed(database: Database, handler: Handler[Any], enqueuer: Enqueuer) -> bool:
    given: CronFields = {"name": handler.name, "handler": handler.name, "pattern": handler.seeded_cron or ""}
    try:
        values = complete(given, enqueuer)
        check(values, enqueuer)
    except InvalidCronJob as error:
        _log.error("the cron job of handler %s is not seeded: %s", handler.name, error)
        return False
    try:
        async with database.transaction() as session:
            session.add(CronSeed(handler=handler.name, seeded_at=datetime.fromtimestamp(now_ms() / 1000, UTC)))
            await session.flush()
            taken = (CronJobRow.name == handler.name) | (CronJobRow.job_id == handler.name)
            if await session.scalar(select(CronJobRow.id).where(taken)) is None:
                session.add(new_row(values, "admin", _CREATED_BY))
    except IntegrityError:  # another worker was faster, or somebody took the name in this moment
        return False
    return True
