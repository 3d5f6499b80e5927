"""Resources: what the handlers share, opened when a worker starts and closed when it stops."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from handlers.webhooks.delivery import WebhookDelivery
from handlers.webhooks.signing import load_signing_key
from jobqueue import Resources, Settings
from jobqueue.database import open_database


@asynccontextmanager
async def open_housekeeping(settings: Settings) -> AsyncGenerator[Resources]:
    """The database: all that the handlers other than `sendWebhook` ask for. It needs no key."""
    async with open_database(settings.database_url) as database:
        yield Resources(database)


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    """What all the handlers ask for: the database, the key that signs webhooks, and the client that delivers them.

    Raises: SettingsError where WEBHOOK_SIGNING_PRIVATE_KEY is missing or cannot be used.
    """
    signing_key = load_signing_key(settings.webhook_signing_private_key)
    async with (
        open_housekeeping(settings) as housekeeping,
        WebhookDelivery(allow_private=settings.is_local) as delivery,
    ):
        yield housekeeping.beside(signing_key).beside(delivery)
