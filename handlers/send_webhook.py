"""sendWebhook: tell one subscriber of one change, signed, with retries and a breaker.

The pattern it shows: a call to the outside whose failures are told apart (again, or never again), with what
the lifespan opened once for all jobs.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, assert_never

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from handlers.webhooks import subscriptions
from handlers.webhooks.delivery import Answer, Delivered, Refused, Unreachable, WebhookDelivery
from handlers.webhooks.errors import WebhookRefused, WebhookUnreachable
from handlers.webhooks.journal import FAILURES_TO_DISABLE, EventStatus, Try, record_try
from handlers.webhooks.message import Message, SendWebhook, build_message, sign_message
from handlers.webhooks.signing import SigningKey
from jobqueue import JobContext, exponential, make_job
from jobqueue.clock import now_ms
from jobqueue.database import Database


class WebhookSent(BaseModel):
    """The receiver has it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)

    delivered: Literal[True] = True
    body_id: str
    status_code: int


class WebhookSkipped(BaseModel):
    """Nobody was called, since nobody is to be told."""

    model_config = ConfigDict(frozen=True)

    delivered: Literal[False] = False
    skipped: Literal[True] = True
    reason: str


WebhookResult: TypeAlias = WebhookSent | WebhookSkipped


@make_job(
    name="sendWebhook",
    attempts=5,
    backoff=exponential(5_000),
    timeout_ms=20_000,
    unrecoverable=(WebhookRefused,),
)
async def send_webhook(ctx: JobContext, payload: SendWebhook) -> WebhookResult:
    """Deliver one webhook. Raises: WebhookUnreachable (tried again), WebhookRefused (not tried again)."""
    database, delivery = ctx.resources[Database], ctx.resources[WebhookDelivery]
    subscription = await subscriptions.find(database, payload.subscription_id)
    if subscription is None:
        return _skip(ctx, f"subscription {payload.subscription_id} is unknown")
    if not subscription.is_active:
        return _skip(ctx, f"subscription {payload.subscription_id} is inactive")
    message = build_message(ctx.job, payload, subscription)
    headers = sign_message(message, ctx.resources[SigningKey], subscription, now_ms() // 1000)
    answer = await delivery.post(subscription.url, headers, message.body)
    if await record_try(database, _try_of(ctx, payload, message, answer)):
        ctx.log(f"subscription {subscription.id} is disabled: {FAILURES_TO_DISABLE} tries in a row have failed")
    return _conclude(answer, message)


def _skip(ctx: JobContext, reason: str) -> WebhookSkipped:
    ctx.log(f"not sent: {reason}")
    return WebhookSkipped(reason=reason)


def _try_of(ctx: JobContext, payload: SendWebhook, message: Message, answer: Answer) -> Try:
    status, error = _event_of(answer)
    return Try(
        subscription_id=payload.subscription_id,
        job_id=ctx.job.id,
        attempt=ctx.job.attempt,
        body_id=message.id,
        action=payload.action,
        resource_id=payload.resource_id,
        status=status,
        error=error,
    )


def _event_of(answer: Answer) -> tuple[EventStatus, str | None]:
    match answer:
        case Delivered():
            return "success", None
        case Unreachable(error):
            return "unreachable", error
        case Refused(error):
            return "error", error
        case _:
            assert_never(answer)


def _conclude(answer: Answer, message: Message) -> WebhookSent:
    match answer:
        case Delivered(status_code):
            return WebhookSent(body_id=message.id, status_code=status_code)
        case Unreachable(error):
            raise WebhookUnreachable(error)
        case Refused(error):
            raise WebhookRefused(error)
        case _:
            assert_never(answer)
