"""Models: the tables of webhooks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from handlers.outside.address import MAX_URL
from jobqueue.database import UtcDateTime, new_metadata

MAX_TEXT = 200
MAX_ERROR = 500


class WebhookBase(DeclarativeBase):
    metadata = new_metadata()


class WebhookSubscription(WebhookBase):
    """Who wants to be told of changes of one model, and where.

    Invariant: `consecutive_failures` counts the tries that have failed since the last success or re-enabling.
    """

    __tablename__ = "webhook_subscription"
    __table_args__ = (Index(None, "model"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    owner: Mapped[str] = mapped_column(String(MAX_TEXT))
    model: Mapped[str] = mapped_column(String(MAX_TEXT))
    url: Mapped[str] = mapped_column(String(MAX_URL))
    secret: Mapped[str | None] = mapped_column(String(MAX_TEXT))
    is_active: Mapped[bool]
    consecutive_failures: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class WebhookEvent(WebhookBase):
    """One try: rows are added and never changed. `body_id` is the same for every try of one job."""

    __tablename__ = "webhook_event"
    __table_args__ = (
        Index(None, "subscription_id", "created_at"),
        CheckConstraint("status IN ('success', 'error', 'unreachable')", name="status"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    subscription_id: Mapped[str] = mapped_column(String(36), ForeignKey("webhook_subscription.id", ondelete="CASCADE"))
    job_id: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int]
    body_id: Mapped[str] = mapped_column(String(36))
    action: Mapped[str] = mapped_column(String(10))
    resource_id: Mapped[str] = mapped_column(String(MAX_TEXT))
    status: Mapped[str] = mapped_column(String(20))
    error: Mapped[str | None] = mapped_column(String(MAX_ERROR))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
