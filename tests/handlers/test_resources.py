"""What the handlers' lifespan opens when a worker starts."""

from __future__ import annotations

import pytest

from handlers.resources import open_resources
from handlers.webhooks.delivery import WebhookDelivery
from handlers.webhooks.signing import SigningKey
from jobqueue.database import Database
from jobqueue.errors import SettingsError
from tests.conftest import MakeSettings


async def test_the_lifespan_opens_the_database_the_key_and_the_delivery(
    settings: MakeSettings, signing_key_pem: str
) -> None:
    async with open_resources(settings(webhook_signing_private_key=signing_key_pem)) as resources:
        await resources[Database].ping()
        assert resources[SigningKey].sign(b"")
        assert resources[WebhookDelivery]


@pytest.mark.parametrize("pem", [None, "not a key"])
async def test_a_worker_without_a_usable_key_stops_at_its_start(settings: MakeSettings, pem: str | None) -> None:
    with pytest.raises(SettingsError, match="WEBHOOK_SIGNING_PRIVATE_KEY"):
        async with open_resources(settings(webhook_signing_private_key=pem)):
            pass
