"""Message: the payload of `sendWebhook`, and the exact bytes that a receiver gets."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from handlers.webhooks.signing import SigningKey, standard_webhook_headers
from handlers.webhooks.subscriptions import Subscription
from jobqueue import Job
from jobqueue.clock import now_ms

BODY_IDS = uuid.UUID("2c3f6f0e-6f0c-5c0b-9d3e-6a1f0f5b7c11")


def iso_time(moment_ms: int) -> str:
    """Epoch milliseconds as `2026-01-31T12:00:00.000Z`, the way JavaScript writes it."""
    text = datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _stamp() -> str:
    return iso_time(now_ms())


def _is_moment(text: str) -> str:
    """The text unchanged: receivers get what the caller wrote."""
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("needs a time zone, as in 2026-01-31T12:00:00Z")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Moment = Annotated[str, Field(max_length=40), AfterValidator(_is_moment)]


class SendWebhook(BaseModel):
    """The payload of `sendWebhook`: camelCase in Redis, either spelling in Python.

    `timestamp` (ISO 8601 with a zone) is when the change happened; absent, it is stamped at enqueue.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)

    subscription_id: Name
    action: Literal["create", "update", "delete"]
    resource_id: Name
    data: JsonValue
    timestamp: Moment = Field(default_factory=_stamp)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. `id` is the same in every try of one job, so that a receiver can drop repeats."""

    id: str
    body: bytes


def build_message(job: Job, payload: SendWebhook, subscription: Subscription) -> Message:
    """The message of a job; every try of it builds the same bytes."""
    # A producer that skips our validation (Node) may leave the timestamp out: the time of enqueueing is the
    # same in all tries, the default of the model would not be.
    given = "timestamp" in payload.model_fields_set
    message_id = body_id(job, subscription.id)
    content = {
        "id": message_id,
        "model": subscription.model,
        "action": payload.action,
        "payload": payload.data,
        "timestamp": payload.timestamp if given else iso_time(job.enqueued_at_ms),
    }
    return Message(message_id, json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii"))


def body_id(job: Job, subscription_id: str) -> str:
    """One id per job and subscription. An emptied Redis counts from 1 again, so the time is part of it."""
    return str(uuid.uuid5(BODY_IDS, f"{subscription_id}\n{job.queue}\n{job.id}\n{job.enqueued_at_ms}"))


def sign_message(message: Message, key: SigningKey, subscription: Subscription, now_s: int) -> dict[str, str]:
    """The headers of one try, made at `now_s` (epoch seconds)."""
    headers = {"Content-Type": "application/json", "X-Webhook-Signature": key.sign(message.body)}
    if subscription.secret is not None:
        headers |= standard_webhook_headers(subscription.secret, message.id, now_s, message.body)
    return headers
