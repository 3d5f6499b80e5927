"""The payload of sendWebhook and the bytes that are made of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from handlers.webhooks.message import SendWebhook, body_id, build_message, sign_message
from handlers.webhooks.signing import SigningKey, generate_secret
from handlers.webhooks.subscriptions import Subscription
from tests.handlers.support.contexts import new_job

ON_THE_WIRE = {"subscriptionId": "s1", "action": "update", "resourceId": "r1", "data": {"a": [1, None, "ü"]}}
PAYLOADS = TypeAdapter(SendWebhook)


def a_subscription(secret: SecretStr | None = None) -> Subscription:
    return Subscription("s1", "ada", "invoice", "https://example.com", secret, True, 0, datetime.now(UTC))


def test_the_body_has_five_fields_and_carries_the_data_unchanged() -> None:
    payload = SendWebhook.model_validate(ON_THE_WIRE | {"timestamp": "2026-01-31T12:00:00.5+01:00"})

    message = build_message(new_job(), payload, a_subscription())

    assert json.loads(message.body) == {
        "id": message.id,
        "model": "invoice",
        "action": "update",
        "payload": {"a": [1, None, "ü"]},
        "timestamp": "2026-01-31T12:00:00.5+01:00",
    }


def test_every_try_of_a_job_sends_the_same_bytes() -> None:
    payload = SendWebhook.model_validate(ON_THE_WIRE)

    first = build_message(new_job(attempts_made=0), payload, a_subscription())
    third = build_message(new_job(attempts_made=2), payload, a_subscription())

    assert first == third


def test_the_body_id_differs_between_jobs_subscriptions_and_lives_of_a_redis() -> None:
    ids = {
        body_id(new_job("1"), "s1"),
        body_id(new_job("2"), "s1"),
        body_id(new_job("1"), "s2"),
        body_id(new_job("1", enqueued_at_ms=1), "s1"),
    }

    assert len(ids) == 4


def test_an_absent_timestamp_is_stamped_when_the_payload_is_validated_and_kept_on_the_wire() -> None:
    before = datetime.now(UTC)

    stored = PAYLOADS.dump_python(PAYLOADS.validate_python(ON_THE_WIRE), mode="json", by_alias=True)

    assert stored.keys() == {*ON_THE_WIRE, "timestamp"}
    assert stored["timestamp"].endswith("Z")
    stamped = datetime.fromisoformat(stored["timestamp"])
    assert abs((stamped - before).total_seconds()) < 60


def test_a_timestamp_that_a_foreign_producer_left_out_is_the_time_of_enqueueing() -> None:
    """The model's default is another one in each try, so a receiver would see two bodies of one id."""
    payload = SendWebhook.model_validate(ON_THE_WIRE)

    message = build_message(new_job(enqueued_at_ms=1_700_000_000_123), payload, a_subscription())

    assert json.loads(message.body)["timestamp"] == "2023-11-14T22:13:20.123Z"


def test_python_may_use_its_own_spelling() -> None:
    payload = SendWebhook(subscription_id="s1", action="delete", resource_id="r1", data=None)

    assert payload.subscription_id == "s1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subscriptionId", ""),
        ("subscriptionId", 7),
        ("action", "archive"),
        ("resourceId", "a" * 201),
        ("resourceId", "a\x00"),
        ("timestamp", "yesterday"),
        ("timestamp", "2026-01-31T12:00:00"),
        ("timestamp", None),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        SendWebhook.model_validate(ON_THE_WIRE | {field: value})

    assert refusal.value.errors()[0]["loc"] == (field,)


def test_the_standard_headers_are_there_only_where_the_subscription_has_a_secret(
    signing_key: SigningKey,
) -> None:
    message = build_message(new_job(), SendWebhook.model_validate(ON_THE_WIRE), a_subscription())

    without = sign_message(message, signing_key, a_subscription(), now_s=1)
    beside = sign_message(message, signing_key, a_subscription(generate_secret()), now_s=1)

    assert without.keys() == {"Content-Type", "X-Webhook-Signature"}
    assert beside.keys() == without.keys() | {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert beside["webhook-id"] == message.id
