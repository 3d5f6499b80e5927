"""Journal: one event per try, and the breaker that disables a subscription whose tries keep failing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from sqlalchemy import Delete, Update, case, delete, false, update

from handlers.webhooks.models import MAX_ERROR, WebhookEvent, WebhookSubscription
from jobqueue.clock import now_ms as wall_clock_ms
from jobqueue.database import Database, new_id

FAILURES_TO_DISABLE = 5
KEEP_DAYS = 90
"""Events of a subscription that are older go when a newer one is written."""

EventStatus: TypeAlias = Literal["success", "error", "unreachable"]


@dataclass(frozen=True, slots=True)
class Try:
    """What one try did. `error` is None exactly where the status is success."""

    subscription_id: str
    job_id: str
    attempt: int
    body_id: str
    action: str
    resource_id: str
    status: EventStatus
    error: str | None = None


async def record_try(database: Database, done: Try, *, now_ms: int | None = None) -> bool:
    """Write the event and count for the breaker, in one transaction; True where this try disabled it.

    Old events of the subscription go in the same transaction.

    Concurrency: the count is changed by one statement that the database runs on the row as it is, so that of
    many tries at once none is lost. Raises: DatabaseUnavailable.
    """
    moment_ms = wall_clock_ms() if now_ms is None else now_ms
    event = WebhookEvent(
        id=new_id(moment_ms),
        subscription_id=done.subscription_id,
        job_id=done.job_id,
        attempt=done.attempt,
        body_id=done.body_id,
        action=done.action,
        resource_id=done.resource_id,
        status=done.status,
        error=_one_line(done.error),
        created_at=datetime.fromtimestamp(moment_ms / 1000, UTC),
    )
    count = _reset(done.subscription_id) if done.status == "success" else _count_failure(done.subscription_id)
    async with database.transaction() as session:
        # The count before the event: PostgreSQL would lock the row for the event's foreign key (shared), then
        # for the update, so two tries at once would wait for each other.
        failures = await session.scalar(count.returning(WebhookSubscription.consecutive_failures))
        if failures is not None:
            session.add(event)
            await session.execute(_older_than(done.subscription_id, moment_ms))
        return failures == FAILURES_TO_DISABLE


def _older_than(subscription_id: str, moment_ms: int) -> Delete:
    oldest = datetime.fromtimestamp(moment_ms / 1000, UTC) - timedelta(days=KEEP_DAYS)
    return (
        delete(WebhookEvent)
        .where(WebhookEvent.subscription_id == subscription_id, WebhookEvent.created_at < oldest)
        .execution_options(synchronize_session=False)
    )


def _reset(subscription_id: str) -> Update:
    return (
        update(WebhookSubscription)
        .where(WebhookSubscription.id == subscription_id)
        .values(consecutive_failures=0)
        .execution_options(synchronize_session=False)
    )


def _count_failure(subscription_id: str) -> Update:
    failures = WebhookSubscription.consecutive_failures + 1
    return (
        update(WebhookSubscription)
        .where(WebhookSubscription.id == subscription_id)
        .values(
            consecutive_failures=failures,
            is_active=case((failures >= FAILURES_TO_DISABLE, false()), else_=WebhookSubscription.is_active),
        )
        .execution_options(synchronize_session=False)
    )


def _one_line(error: str | None) -> str | None:
    """The error fit for a column: bounded, and without characters that a database refuses."""
    if error is None:
        return None
    return "".join(letter if letter.isprintable() else " " for letter in error[:MAX_ERROR])
