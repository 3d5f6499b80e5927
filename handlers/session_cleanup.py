"""sessionCleanup: delete the sessions that ended some days ago.

The pattern it shows: housekeeping of a table that is in use. A singleton by night; batches, each one statement in a
short transaction; a payload whose fields all have defaults, so that a cron job needs none.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy import or_

from handlers.models import Session
from handlers.users.batches import delete_in_batches, utc
from jobqueue import JobContext, make_singleton_job
from jobqueue.clock import now_ms
from jobqueue.database import Database

MAX_DAYS = 10_000

_CAMEL = ConfigDict(
    frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
)
_log = logging.getLogger(__name__)


class SessionCleanup(BaseModel):
    """The payload of `sessionCleanup`. Units: days; half a day is 0.5, and 0 leaves only sessions that are not over."""

    model_config = _CAMEL

    max_revoked_age_in_days: Annotated[float, Field(ge=0, le=MAX_DAYS)] = 14


class SessionsCleaned(BaseModel):
    """How many sessions were deleted, and the moment (ISO 8601) before which they had ended."""

    model_config = _CAMEL

    deleted: int
    ended_before: str


@make_singleton_job(name="sessionCleanup", seeded_cron="0 2 * * *")
async def session_cleanup(ctx: JobContext, payload: SessionCleanup) -> SessionsCleaned:
    """A session has ended when it expired or was revoked, whichever came first. Its refresh tokens go with it."""
    before = utc(now_ms()) - timedelta(days=payload.max_revoked_age_in_days)
    has_ended = or_(Session.expires_at < before, Session.revoked_at < before)
    deleted = await delete_in_batches(ctx, ctx.resources[Database], Session, has_ended)
    _log.info("deleted %d sessions that had ended before %s", deleted, before.isoformat())
    return SessionsCleaned(deleted=deleted, ended_before=before.isoformat())
