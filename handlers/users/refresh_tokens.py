"""Refresh tokens: each prolongs its session once. One that comes a second time has been copied."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from sqlalchemy import ColumnElement, and_, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from handlers.models import RefreshToken, Session
from handlers.session_leaked import SessionLeaked, session_leaked
from handlers.users.batches import utc
from jobqueue.app import App, default_app
from jobqueue.clock import now_ms
from jobqueue.database import new_id

TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Prolonged:
    """The token was good, and is used up. `token` is the next one, to be given to the client; it is kept nowhere."""

    session_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Leaked:
    """The token had been used before. Its session is revoked, and `sessionLeaked` enqueued."""

    session_id: str
    token_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """There is no such token, or its session is over."""


TokenUse: TypeAlias = Prolonged | Leaked | Refused


async def make_refresh_token(transaction: AsyncSession, session_id: str) -> str:
    """A new token of a session, the first one or the next; only its hash is stored."""
    token, moment_ms = secrets.token_urlsafe(TOKEN_BYTES), now_ms()
    row = RefreshToken(
        id=new_id(moment_ms),
        session_id=session_id,
        token_sha256=_sha256(token),
        used_at=None,
        created_at=utc(moment_ms),
    )
    transaction.add(row)
    await transaction.flush()
    return token


async def use_refresh_token(transaction: AsyncSession, token: str, app: App | None = None) -> TokenUse:
    """Use a token up and make the next one; where it was used before, revoke its session and enqueue `sessionLeaked`.

    Commit whatever the answer is: an exception inside the transaction (a 401) would take the revocation back.
    The job is written by the outbox, of `app` or else of the app of the module-level functions.

    Concurrency: of two uses at once exactly one prolongs; the statement that uses the token up decides it.
    Raises: DatabaseUnavailable.
    """
    now, token_sha256 = utc(now_ms()), _sha256(token)
    session_id = await _use_up(transaction, token_sha256, now)
    if session_id is not None:
        return Prolonged(session_id, await make_refresh_token(transaction, session_id))
    used = await transaction.scalar(
        select(RefreshToken).where(RefreshToken.token_sha256 == token_sha256, RefreshToken.used_at.is_not(None))
    )
    if used is None or not await _revoke(transaction, used.session_id, now):
        return Refused()
    await (app or default_app()).enqueue_job(
        session_leaked,
        SessionLeaked(session_id=used.session_id, token_id=used.id),
        related=("session", used.session_id),
        session=transaction,
    )
    return Leaked(used.session_id, used.id)


def _is_alive(now: datetime) -> ColumnElement[bool]:
    return and_(Session.revoked_at.is_(None), Session.expires_at > now)


async def _use_up(transaction: AsyncSession, token_sha256: str, now: datetime) -> str | None:
    """The session of a token that was good until now."""
    is_good = and_(
        RefreshToken.token_sha256 == token_sha256,
        RefreshToken.used_at.is_(None),
        exists().where(Session.id == RefreshToken.session_id, _is_alive(now)),
    )
    using = update(RefreshToken).where(is_good).values(used_at=now).returning(RefreshToken.session_id)
    return await transaction.scalar(using.execution_options(synchronize_session=False))


async def _revoke(transaction: AsyncSession, session_id: str, now: datetime) -> bool:
    """False where it was over already: then whoever ended it has told what was to be told."""
    revoking = update(Session).where(Session.id == session_id, _is_alive(now)).values(revoked_at=now)
    revoked = await transaction.scalar(revoking.returning(Session.id).execution_options(synchronize_session="fetch"))
    return revoked is not None


def _sha256(token: str) -> str:
    """A token is random, so nobody can guess it from its hash, and none that is slow to make is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
