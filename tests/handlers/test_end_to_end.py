"""From enqueue over a real Redis and a real worker to a real receiver, and back."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import pytest

from handlers import registry
from handlers.heartbeat import heartbeat
from handlers.send_webhook import send_webhook
from handlers.webhooks import subscriptions
from handlers.webhooks.message import SendWebhook
from handlers.webhooks.signing import SigningKey
from jobqueue import App, JobFailed, Registry, SettingsError, Worker
from jobqueue.database import Database
from jobqueue.job import fixed
from tests.conftest import MakeSettings
from tests.handlers.conftest import Subscribe
from tests.handlers.support.receiver import answer, receiving
from tests.handlers.support.verifying import verify_rsa

WAIT_S = 20.0


@pytest.fixture
async def app(settings: MakeSettings, database_url: str, signing_key_pem: str) -> AsyncGenerator[App]:
    """An app whose worker runs, in a local environment."""
    own = settings(environment="local", database_url=database_url, webhook_signing_private_key=signing_key_pem)
    async with App(registry, own) as opened:
        worker = Worker(opened)
        await worker.start()
        yield opened
        await worker.stop()


def a_webhook(subscription_id: str) -> SendWebhook:
    return SendWebhook(subscription_id=subscription_id, action="create", resource_id="r1", data={"id": "r1"})


async def test_a_heartbeat_comes_back_from_a_worker(app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)

    beat = await enqueued.wait(WAIT_S)

    assert beat.keys() == {"worker", "version", "time"}


async def test_an_enqueued_webhook_reaches_its_receiver_signed(
    app: App, subscribe: Subscribe, signing_key: SigningKey
) -> None:
    async with receiving() as receiver:
        subscription = await subscribe(receiver.url)
        enqueued = await app.enqueue_job(send_webhook, a_webhook(subscription.id))
        result = await enqueued.wait(WAIT_S)

    (request,) = receiver.requests
    verify_rsa(signing_key.public_pem(), request)
    assert result == {"delivered": True, "bodyId": json.loads(request.body)["id"], "statusCode": 200}


async def test_a_webhook_enqueued_by_name_keeps_its_timestamp(app: App, subscribe: Subscribe) -> None:
    async with receiving() as receiver:
        subscription = await subscribe(receiver.url)
        payload = {"subscriptionId": subscription.id, "action": "delete", "resourceId": "r1", "data": None}
        enqueued = await app.enqueue_job("sendWebhook", payload | {"timestamp": "2026-01-31T12:00:00+09:00"})
        await enqueued.wait(WAIT_S)

    assert json.loads(receiver.requests[0].body)["timestamp"] == "2026-01-31T12:00:00+09:00"


async def test_an_unreachable_receiver_is_tried_again_with_the_same_bytes(app: App, subscribe: Subscribe) -> None:
    async with receiving(answer(503), answer(200)) as receiver:
        subscription = await subscribe(receiver.url)
        enqueued = await app.enqueue_job(send_webhook, a_webhook(subscription.id), backoff=fixed(10))
        await enqueued.wait(WAIT_S)

    first, second = receiver.requests
    assert first.body == second.body


async def test_a_refusing_receiver_fails_the_job_at_its_first_try(app: App, subscribe: Subscribe) -> None:
    async with receiving(answer(410)) as receiver:
        subscription = await subscribe(receiver.url)
        enqueued = await app.enqueue_job(send_webhook, a_webhook(subscription.id), backoff=fixed(10))
        with pytest.raises(JobFailed, match="410 Gone"):
            await enqueued.wait(WAIT_S)

    assert len(receiver.requests) == 1


async def test_a_receiver_that_is_down_is_switched_off_and_its_job_ends(
    app: App, subscribe: Subscribe, database: Database
) -> None:
    """The fifth try disables the subscription, so the sixth finds it inactive and calls nobody."""
    async with receiving(answer(500)) as receiver:
        subscription = await subscribe(receiver.url)
        enqueued = await app.enqueue_job(send_webhook, a_webhook(subscription.id), attempts=6, backoff=fixed(10))
        result = await enqueued.wait(WAIT_S)

    after = await subscriptions.find(database, subscription.id)
    assert after is not None
    assert not after.is_active
    assert len(receiver.requests) == 5
    reason = f"subscription {subscription.id} is inactive"
    assert result == {"delivered": False, "skipped": True, "reason": reason}


async def test_a_database_that_is_away_fails_the_try_by_its_address_and_not_the_worker(
    settings: MakeSettings, signing_key_pem: str
) -> None:
    away = settings(database_url="sqlite:////nowhere/jobs.db", webhook_signing_private_key=signing_key_pem)
    async with App(registry, away) as app:
        worker = Worker(app)
        await worker.start()
        webhook = await app.enqueue_job(send_webhook, a_webhook("s1"), attempts=2, backoff=fixed(10))
        with pytest.raises(JobFailed, match=r"/nowhere/jobs\.db is not available"):
            await webhook.wait(WAIT_S)
        beat = await (await app.enqueue_job(heartbeat)).wait(WAIT_S)
        await worker.stop()

    assert beat["worker"]


async def test_a_worker_without_a_signing_key_does_not_start(settings: MakeSettings) -> None:
    async with App(registry, settings()) as app:
        worker = Worker(app)
        with pytest.raises(SettingsError, match="WEBHOOK_SIGNING_PRIVATE_KEY"):
            await worker.start()
        await worker.stop()


async def test_a_worker_that_does_not_serve_webhooks_needs_no_key(settings: MakeSettings) -> None:
    async with App(Registry([heartbeat]), settings()) as app:
        worker = Worker(app)
        await worker.start()
        beat = await (await app.enqueue_job(heartbeat)).wait(WAIT_S)
        await worker.stop()

    assert beat["worker"]
