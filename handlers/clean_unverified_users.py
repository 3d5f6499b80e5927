"""cleanUnverifiedUsers: delete the users who have not verified their e-mail address within a day.

The pattern it shows: a decision that others may change meanwhile. Who is deleted is not read first and deleted then:
the statement that deletes decides, so that somebody who verifies at the last moment stays.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from pydantic import BaseModel, ConfigDict
from sqlalchemy import and_

from handlers.models import User
from handlers.users.batches import delete_in_batches, utc
from jobqueue import JobContext, make_singleton_job
from jobqueue.clock import now_ms
from jobqueue.database import Database

TIME_TO_VERIFY = timedelta(days=1)

_log = logging.getLogger(__name__)


class UsersCleaned(BaseModel):
    """How many users were deleted."""

    model_config = ConfigDict(frozen=True)

    deleted: int


@make_singleton_job(name="cleanUnverifiedUsers", seeded_cron="0 0 0 * * *")
async def clean_unverified_users(ctx: JobContext) -> UsersCleaned:
    """With a user go his profiles and sessions, and his part in archives."""
    is_overdue = and_(User.email_verified_at.is_(None), User.created_at < utc(now_ms()) - TIME_TO_VERIFY)
    deleted = await delete_in_batches(ctx, ctx.resources[Database], User, is_overdue)
    _log.info("deleted %d users who had not verified their address within %s", deleted, TIME_TO_VERIFY)
    return UsersCleaned(deleted=deleted)
