"""cleanStaleData: delete the rows of a table that are older than some days.

The pattern it shows: a singleton for each thing it works on, here a table; a payload that a person may have typed and
that is checked against what exists; work in batches that leaves room for others and ends when it is told to.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic.alias_generators import to_camel

from handlers.stale_rows import CannotClean, delete_next, find_table, stale_rows
from jobqueue import JobContext, make_singleton_job
from jobqueue.clock import now_ms
from jobqueue.database import Database

MAX_DAYS = 10_000

_CAMEL = ConfigDict(
    frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
)
_log = logging.getLogger(__name__)

Identifier = Annotated[str, Field(min_length=1, max_length=200)]
Scalar: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr
OneOf: TypeAlias = Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=1_000)]
Filter: TypeAlias = Scalar | OneOf | None


class CleanStaleData(BaseModel):
    """The payload of `cleanStaleData`. Units: days.

    `time_column` is what a row's age is read from: absent, the column `created_at` or `createdAt`. `filters` name
    columns and what they must equal: a value, one of a list of values, or null.
    """

    model_config = _CAMEL

    table: Identifier
    retention_days: float = Field(gt=0, le=MAX_DAYS)
    time_column: Identifier | None = None
    filters: dict[Identifier, Filter] = Field(default_factory=dict[str, Filter])


class StaleDataCleaned(BaseModel):
    """How many rows were deleted, and the moment (ISO 8601) that they were older than."""

    model_config = _CAMEL

    table: str
    deleted: int
    older_than: str


def _table(payload: CleanStaleData) -> str:
    return payload.table


@make_singleton_job(name="cleanStaleData", key=_table, on_busy="wait", unrecoverable=(CannotClean,))
async def clean_stale_data(ctx: JobContext, payload: CleanStaleData) -> StaleDataCleaned:
    """Delete batch by batch, each in a transaction of its own; what is deleted stays so where a later one fails.

    Another run for the same table waits, since its filters may be others. Raises: CannotClean (not tried again).
    """
    database = ctx.resources[Database]
    before = datetime.fromtimestamp(now_ms() / 1000, UTC) - timedelta(days=payload.retention_days)
    table = await find_table(database, payload.table)
    is_sqlite = database.engine.dialect.name == "sqlite"
    rows = stale_rows(table, payload.time_column, before, payload.filters, is_sqlite=is_sqlite)
    deleted, last = 0, None
    while True:
        ctx.raise_if_cancelled()
        began_s = time.monotonic()
        batch = await delete_next(database, rows, last)
        if batch is None:
            break
        deleted, last = deleted + batch.deleted, batch.last
        ctx.progress({"deleted": deleted})
        await asyncio.sleep(time.monotonic() - began_s)  # others write to the table, too: let them have half the time
    _log.info("%s: deleted %d rows from before %s", payload.table, deleted, before.isoformat())
    return StaleDataCleaned(table=payload.table, deleted=deleted, older_than=before.isoformat())
