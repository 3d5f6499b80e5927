"""Resources: what the handlers share, opened when a worker starts and closed when it stops."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from handlers.files.store import open_store
from handlers.users.proof_reader import open_proof_reader
from handlers.webhooks.delivery import WebhookDelivery
from handlers.webhooks.signing import load_signing_key
from jobqueue import Resources, Settings
from jobqueue.database import open_database


@asynccontextmanager
async def open_housekeeping(settings: Settings) -> AsyncGenerator[Resources]:
    """All that the handlers other than `sendWebhook` ask for: the database, the store of files, the reader of proofs.

    Raises: SettingsError where FILES_URL or what belongs to it cannot be used. It needs no key.
    """
    async with (
        open_database(settings.database_url) as database,
        open_store(settings) as files,
        open_proof_reader(settings) as proofs,
    ):
        yield Resources(database, files, proofs)


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    """What all the handlers ask for: that, the key that signs webhooks, and the client that delivers them.

    Raises: SettingsError where WEBHOOK_SIGNING_PRIVATE_KEY is missing or cannot be used.
    """
    signing_key = load_signing_key(settings.webhook_signing_private_key)
    async with (
        open_housekeeping(settings) as housekeeping,
        WebhookDelivery(allow_private=settings.is_local) as delivery,
    ):
        yield housekeeping.beside(signing_key).beside(delivery)
