"""Subscriptions, on both databases."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from handlers.webhooks import subscriptions
from handlers.webhooks.errors import InvalidSubscription, UnknownSubscription
from handlers.webhooks.signing import generate_secret
from jobqueue.database import Database


async def test_a_subscription_is_stored_as_it_was_given_and_active(database: Database) -> None:
    secret = generate_secret()

    added = await subscriptions.add(
        database,
        owner="ada",
        model="invoice",
        url="https://example.com/hook",
        secret=secret,
        is_local=False,
        now_ms=1_700_000_000_123,
    )

    found = await subscriptions.find(database, added.id)
    assert found == added
    assert (added.owner, added.model, added.url) == ("ada", "invoice", "https://example.com/hook")
    assert added.secret == secret
    assert (added.is_active, added.consecutive_failures) == (True, 0)
    assert added.created_at.isoformat() == "2023-11-14T22:13:20.123000+00:00"


async def test_subscriptions_are_listed_the_oldest_first(database: Database) -> None:
    for number in range(3):
        await subscriptions.add(
            database,
            owner=f"owner {number}",
            model="invoice",
            url="https://example.com",
            is_local=False,
            now_ms=1_700_000_000_000 + number,
        )

    listed = await subscriptions.list_all(database)

    assert [one.owner for one in listed] == ["owner 0", "owner 1", "owner 2"]


async def test_an_unknown_subscription_is_not_found_and_cannot_be_enabled(database: Database) -> None:
    assert await subscriptions.find(database, "nobody") is None

    with pytest.raises(UnknownSubscription, match="nobody"):
        await subscriptions.enable(database, "nobody")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("owner", ""),
        ("owner", "a" * 201),
        ("model", "in\x00voice"),
        ("model", "in\nvoice"),
        ("url", "http://example.com"),
        ("url", "https://localhost"),
        ("url", "https://10.0.0.1"),
        ("secret", "hunter2"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_stored(database: Database, field: str, value: str) -> None:
    fields = {"owner": "ada", "model": "invoice", "url": "https://example.com"} | {field: value}

    with pytest.raises(InvalidSubscription) as refusal:
        await subscriptions.add(
            database,
            owner=fields["owner"],
            model=fields["model"],
            url=fields["url"],
            secret=SecretStr(fields["secret"]) if "secret" in fields else None,
            is_local=False,
        )

    assert refusal.value.field == field
    assert await subscriptions.list_all(database) == []
