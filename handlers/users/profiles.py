"""Profiles: who may have one verified, and what a check found."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from handlers.models import MAX_TEXT, Profile, User
from handlers.users.batches import utc
from jobqueue.clock import now_ms
from jobqueue.database import new_id


async def standing_of(transaction: AsyncSession, user_id: str) -> Literal["unknown", "unverified", "verified"]:
    """Whether there is such a user, and whether the e-mail address has answered."""
    user = await transaction.get(User, user_id)
    if user is None:
        return "unknown"
    return "unverified" if user.email_verified_at is None else "verified"


async def record_check(transaction: AsyncSession, user_id: str, url: str, refusal: str | None) -> None:
    """Write on the user's profile what the check has found; the row is made where there is none yet.

    Raises: IntegrityError where the user is gone, or another has made the row at the same time.
    """
    now = utc(now_ms())
    found = {"verified_at": now if refusal is None else None, "refusal": refusal and refusal[:MAX_TEXT]}
    is_it = (Profile.user_id == user_id, Profile.url == url)
    updated = await transaction.scalar(update(Profile).where(*is_it).values(**found).returning(Profile.id))
    if updated is None:
        transaction.add(Profile(id=new_id(), user_id=user_id, url=url, created_at=now, **found))
