"""sendWebhook as a whole: a real receiver, a real database, no worker."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Protocol

import pytest
from sqlalchemy import select

from handlers.send_webhook import WebhookResult, WebhookSent, WebhookSkipped, send_webhook
from handlers.webhooks import subscriptions
from handlers.webhooks.delivery import WebhookDelivery
from handlers.webhooks.errors import WebhookRefused, WebhookUnreachable
from handlers.webhooks.message import SendWebhook
from handlers.webhooks.models import WebhookEvent
from handlers.webhooks.signing import SigningKey, generate_secret
from jobqueue.context import Resources
from jobqueue.database import Database
from tests.handlers.conftest import Subscribe
from tests.handlers.support.contexts import new_context, new_job
from tests.handlers.support.receiver import answer, close, receiving
from tests.handlers.support.verifying import verify_rsa

TIMESTAMP = "2026-01-31T12:00:00.000Z"


class Send(Protocol):
    """Run one try of a job for that subscription; its log goes to `log`."""

    async def __call__(
        self, subscription_id: str, *, job_id: str = "1", attempts_made: int = 0, log: list[str] | None = None
    ) -> WebhookResult: ...


@pytest.fixture
async def send(database: Database, signing_key: SigningKey) -> AsyncGenerator[Send]:
    async with WebhookDelivery(allow_private=True) as delivery:
        resources = Resources(database, signing_key, delivery)

        async def run(
            subscription_id: str, *, job_id: str = "1", attempts_made: int = 0, log: list[str] | None = None
        ) -> WebhookResult:
            payload = SendWebhook(
                subscription_id=subscription_id,
                action="update",
                resource_id="r1",
                data={"total": 12},
                timestamp=TIMESTAMP,
            )
            context = new_context(new_job(job_id, attempts_made=attempts_made), resources, log)
            result: WebhookResult = await send_webhook.function(context, payload)
            return result

        yield run


async def events(database: Database) -> list[WebhookEvent]:
    async with database.transaction() as session:
        return list(await session.scalars(select(WebhookEvent).order_by(WebhookEvent.id)))


async def test_a_webhook_is_one_post_whose_signature_verifies_over_its_bytes(
    send: Send, subscribe: Subscribe, database: Database, signing_key: SigningKey
) -> None:
    async with receiving() as receiver:
        subscription = await subscribe(receiver.url)
        result = await send(subscription.id)

    (request,) = receiver.requests
    assert isinstance(result, WebhookSent)
    assert json.loads(request.body) == {
        "id": result.body_id,
        "model": "invoice",
        "action": "update",
        "payload": {"total": 12},
        "timestamp": TIMESTAMP,
    }
    verify_rsa(signing_key.public_pem(), request)
    (event,) = await events(database)
    assert (event.status, event.error, event.body_id) == ("success", None, result.body_id)
    assert (event.job_id, event.attempt, event.resource_id) == ("1", 1, "r1")


async def test_a_subscription_with_a_secret_gets_the_standard_headers_beside(
    send: Send, subscribe: Subscribe, signing_key: SigningKey
) -> None:
    async with receiving() as receiver:
        subscription = await subscribe(receiver.url, secret=generate_secret())
        await send(subscription.id)

    (request,) = receiver.requests
    verify_rsa(signing_key.public_pem(), request)
    assert request.headers["webhook-id"] == json.loads(request.body)["id"]
    assert request.headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize("status_code", [404, 500, 503])
async def test_an_answer_that_says_not_now_is_unreachable_and_may_be_tried_again(
    send: Send, subscribe: Subscribe, database: Database, status_code: int
) -> None:
    async with receiving(answer(status_code)) as receiver:
        subscription = await subscribe(receiver.url)
        with pytest.raises(WebhookUnreachable, match=str(status_code)):
            await send(subscription.id)

    (event,) = await events(database)
    assert event.status == "unreachable"
    assert str(status_code) in (event.error or "")


async def test_no_answer_is_unreachable_with_its_reason(send: Send, subscribe: Subscribe, database: Database) -> None:
    async with receiving(close) as receiver:
        subscription = await subscribe(receiver.url)
        with pytest.raises(WebhookUnreachable, match="disconnected"):
            await send(subscription.id)

    (event,) = await events(database)
    assert event.status == "unreachable"
    assert "disconnected" in (event.error or "")


@pytest.mark.parametrize("status_code", [302, 400, 410])
async def test_any_other_answer_is_an_error_and_is_not_tried_again(
    send: Send, subscribe: Subscribe, database: Database, status_code: int
) -> None:
    async with receiving(answer(status_code)) as receiver:
        subscription = await subscribe(receiver.url)
        with pytest.raises(WebhookRefused, match=str(status_code)) as refusal:
            await send(subscription.id)

    (event,) = await events(database)
    assert event.status == "error"
    assert isinstance(refusal.value, send_webhook.policy.unrecoverable)


async def test_the_tries_of_one_job_carry_one_body_and_the_next_job_another(
    send: Send, subscribe: Subscribe, database: Database
) -> None:
    async with receiving(answer(500), answer(200)) as receiver:
        subscription = await subscribe(receiver.url)
        with pytest.raises(WebhookUnreachable):
            await send(subscription.id)
        await send(subscription.id, attempts_made=1)
        await send(subscription.id, job_id="2")

    first, second, other = (request.body for request in receiver.requests)
    assert first == second != other
    assert [(event.attempt, event.status) for event in await events(database)] == [
        (1, "unreachable"),
        (2, "success"),
        (1, "success"),
    ]


async def test_an_unknown_subscription_gets_no_call_and_no_event(send: Send, database: Database) -> None:
    result = await send("nobody")

    assert result == WebhookSkipped(reason="subscription nobody is unknown")
    assert await events(database) == []


async def test_five_failed_tries_disable_the_subscription_and_the_sixth_calls_nobody(
    send: Send, subscribe: Subscribe, database: Database
) -> None:
    log: list[str] = []
    async with receiving(answer(500)) as receiver:
        subscription = await subscribe(receiver.url)
        for attempts_made in range(5):
            with pytest.raises(WebhookUnreachable):
                await send(subscription.id, attempts_made=attempts_made, log=log)
        result = await send(subscription.id, attempts_made=5)

    assert log == [f"subscription {subscription.id} is disabled: 5 tries in a row have failed"]
    assert result == WebhookSkipped(reason=f"subscription {subscription.id} is inactive")
    assert len(receiver.requests) == len(await events(database)) == 5


async def test_an_enabled_subscription_is_called_again(send: Send, subscribe: Subscribe, database: Database) -> None:
    async with receiving(*[answer(400)] * 5, answer(200)) as receiver:
        subscription = await subscribe(receiver.url)
        for number in range(5):
            with pytest.raises(WebhookRefused):
                await send(subscription.id, job_id=str(number))

        await subscriptions.enable(database, subscription.id)
        result = await send(subscription.id, job_id="again")

    assert isinstance(result, WebhookSent)
