"""Subscriptions: who is told of what, and where: add, list, enable, find."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr
from sqlalchemy import select, update

from handlers.outside.address import parse_url
from handlers.outside.errors import InvalidUrl
from handlers.webhooks.errors import InvalidSubscription, UnknownSubscription
from handlers.webhooks.models import MAX_TEXT, WebhookSubscription
from handlers.webhooks.signing import secret_bytes
from jobqueue.clock import now_ms as wall_clock_ms
from jobqueue.database import Database, new_id

_PLAIN_TEXT = re.compile(rf"[^\x00-\x1f\x7f]{{1,{MAX_TEXT}}}")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as it is stored, read once."""

    id: str
    owner: str
    model: str
    url: str
    secret: SecretStr | None
    is_active: bool
    consecutive_failures: int
    created_at: datetime


async def add(
    database: Database,
    *,
    owner: str,
    model: str,
    url: str,
    secret: SecretStr | None = None,
    is_local: bool,
    now_ms: int | None = None,
) -> Subscription:
    """Store a new, active subscription.

    `is_local` (`Settings.is_local`) lets http and private addresses pass. Whether the host's name leads to a
    private address is seen at each delivery, not here: the answer of a name service may change.
    Raises: InvalidSubscription, naming the field, before anything is written; DatabaseUnavailable.
    """
    for field, value in (("owner", owner), ("model", model)):
        if not _PLAIN_TEXT.fullmatch(value):
            raise InvalidSubscription(field, f"must be 1 to {MAX_TEXT} characters without control characters")
    try:
        parse_url(url, allow_private=is_local)
    except InvalidUrl as error:
        raise InvalidSubscription("url", error.problem) from error
    if secret is not None:
        secret_bytes(secret)
    moment_ms = wall_clock_ms() if now_ms is None else now_ms
    row = WebhookSubscription(
        id=new_id(moment_ms),
        owner=owner,
        model=model,
        url=url,
        secret=secret.get_secret_value() if secret else None,
        is_active=True,
        consecutive_failures=0,
        created_at=datetime.fromtimestamp(moment_ms / 1000, UTC),
    )
    async with database.transaction() as session:
        session.add(row)
    return _record(row)


async def list_all(database: Database) -> Sequence[Subscription]:
    """Every subscription, the oldest first. Raises: DatabaseUnavailable."""
    async with database.transaction() as session:
        rows = await session.scalars(select(WebhookSubscription).order_by(WebhookSubscription.id))
        return [_record(row) for row in rows]


async def find(database: Database, subscription_id: str) -> Subscription | None:
    """Raises: DatabaseUnavailable."""
    async with database.transaction() as session:
        row = await session.get(WebhookSubscription, subscription_id)
        return _record(row) if row else None


async def enable(database: Database, subscription_id: str) -> Subscription:
    """Make it active with a count of no failures, whatever it was before.

    Raises: UnknownSubscription, DatabaseUnavailable.
    """
    statement = (
        update(WebhookSubscription)
        .where(WebhookSubscription.id == subscription_id)
        .values(is_active=True, consecutive_failures=0)
        .returning(WebhookSubscription)
    )
    async with database.transaction() as session:
        row = await session.scalar(statement)
        if row is None:
            raise UnknownSubscription(subscription_id)
        return _record(row)


def _record(row: WebhookSubscription) -> Subscription:
    return Subscription(
        id=row.id,
        owner=row.owner,
        model=row.model,
        url=row.url,
        secret=SecretStr(row.secret) if row.secret else None,
        is_active=row.is_active,
        consecutive_failures=row.consecutive_failures,
        created_at=row.created_at,
    )
