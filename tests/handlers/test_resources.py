"""What the handlers' lifespan opens when a worker starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers import registry
from handlers.resources import open_housekeeping, open_resources
from handlers.webhooks.delivery import WebhookDelivery
from handlers.webhooks.signing import SigningKey
from jobqueue import App, Worker
from jobqueue.database import Database
from jobqueue.errors import SettingsError
from tests.conftest import MakeSettings


async def test_the_lifespan_opens_what_the_handlers_ask_for(settings: MakeSettings, signing_key_pem: str) -> None:
    async with open_resources(settings(webhook_signing_private_key=signing_key_pem)) as resources:
        await resources[Database].ping()
        assert resources[SigningKey].sign(b"")
        assert resources[WebhookDelivery]


async def test_what_the_others_ask_for_is_opened_without_a_key(settings: MakeSettings) -> None:
    async with open_housekeeping(settings(webhook_signing_private_key=None)) as resources:
        await resources[Database].ping()
        with pytest.raises(LookupError, match="no resource of type SigningKey; the lifespan opened: Database, "):
            assert resources[SigningKey]


async def test_a_configuration_of_handlers_does_not_keep_a_worker_from_starting(
    settings: MakeSettings, signing_key_pem: str, tmp_path: Path
) -> None:
    """The app among the resources has no handlers, so it refused a JOBS_CONFIG that names one."""
    config = tmp_path / "jobs.toml"
    config.write_text("[handlers.heartbeat]\nattempts = 9\n", encoding="utf-8")
    configured = settings(webhook_signing_private_key=signing_key_pem, jobs_config=config)

    async with App(registry, configured) as app, Worker(app):
        assert app.registry.get("heartbeat").policy.attempts == 9


@pytest.mark.parametrize("pem", [None, "not a key"])
async def test_a_worker_without_a_usable_key_stops_at_its_start(settings: MakeSettings, pem: str | None) -> None:
    with pytest.raises(SettingsError, match="WEBHOOK_SIGNING_PRIVATE_KEY"):
        async with open_resources(settings(webhook_signing_private_key=pem)):
            pass
