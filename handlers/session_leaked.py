"""sessionLeaked: a refresh token was used twice, so somebody has a copy of it. Tell what is known.

The pattern it shows: a job that exists if and only if what it tells of was committed. `use_refresh_token` (in
handlers/users/refresh_tokens.py) revokes the session and enqueues this job in one transaction; duplicates are
rejected by the session. Ids and times are told, never a token.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel
from pydantic_core import to_jsonable_python
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from handlers.models import MAX_ID, RefreshToken, ServiceBase, Session
from jobqueue import Discard, JobContext, make_job
from jobqueue.database import Database
from jobqueue.masking import mask

MOST_TOKENS: Final = 1_000
"""The latest ones are told of: a session that is prolonged each hour has nine thousand in a year."""

_CAMEL = ConfigDict(
    frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
)
_log = logging.getLogger(__name__)

Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=r"^[^\x00-\x1f\x7f]+$")]


class SessionLeaked(BaseModel):
    """The payload of `sessionLeaked`: which session, which of its tokens was used again, and how much to tell."""

    model_config = _CAMEL

    session_id: Id
    token_id: Id | None = None
    type: Literal["report", "dump"] = "report"


class Link(BaseModel):
    """One refresh token of a session: when it was made, and when it was used up."""

    model_config = _CAMEL

    id: str
    created_at: datetime
    used_at: datetime | None


class LeakReport(BaseModel):
    """Whose session it was, when it was revoked, which token was used `again`, and all of them, the oldest first.

    No name in it has the word "token", or screens would mask what it names.
    """

    model_config = _CAMEL

    type: Literal["report"] = "report"
    session_id: str
    user_id: str
    created_at: datetime
    revoked_at: datetime | None
    again: str | None
    chain: tuple[Link, ...]


class LeakDump(BaseModel):
    """The rows of the session and of its tokens, the oldest first, column by column. What is secret is masked."""

    model_config = _CAMEL

    type: Literal["dump"] = "dump"
    session: dict[str, JsonValue]
    chain: tuple[dict[str, JsonValue], ...]


@make_job(name="sessionLeaked", duplicates="reject")
async def session_leaked(ctx: JobContext, payload: SessionLeaked) -> LeakReport | LeakDump:
    """Log the leak, and return the report or the dump. Raises: Discard where the session is gone."""
    async with ctx.resources[Database].transaction() as transaction:
        session = await transaction.get(Session, payload.session_id)
        chain = await _tokens_of(transaction, payload.session_id)
    if session is None:
        raise Discard(f"session {payload.session_id} is gone, and what was known of it")
    _log.warning(
        "session %s of user %s is revoked: refresh token %s was used again",
        session.id,
        session.user_id,
        payload.token_id,
    )
    if payload.type == "dump":
        return LeakDump(session=_columns(session), chain=tuple(_columns(token) for token in chain))
    return LeakReport(
        session_id=session.id,
        user_id=session.user_id,
        created_at=session.created_at,
        revoked_at=session.revoked_at,
        again=payload.token_id,
        chain=tuple(Link(id=one.id, created_at=one.created_at, used_at=one.used_at) for one in chain),
    )


async def _tokens_of(transaction: AsyncSession, session_id: str) -> Sequence[RefreshToken]:
    newest_first = select(RefreshToken).where(RefreshToken.session_id == session_id).limit(MOST_TOKENS)
    tokens = await transaction.scalars(newest_first.order_by(RefreshToken.created_at.desc(), RefreshToken.id.desc()))
    return tokens.all()[::-1]


def _columns(row: ServiceBase) -> dict[str, JsonValue]:
    """The row as JSON, masked by the names of its columns, and by the names that are in its JSON."""
    values = {column.key: getattr(row, column.key) for column in row.__table__.columns}
    shown: dict[str, JsonValue] = mask(to_jsonable_python(values))
    return shown
