"""Resources: what the handlers share, opened when a worker starts and closed when it stops."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from handlers.webhooks.delivery import WebhookDelivery
from handlers.webhooks.signing import load_signing_key
from jobqueue import App, Resources, Settings
from jobqueue.database import open_database
from jobqueue.inspector import Inspector


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncGenerator[Resources]:
    """The database, the key that signs webhooks, the client that delivers them, and what looks at the queues.

    Raises: SettingsError where a setting that a handler needs is missing or cannot be used.
    """
    signing_key = load_signing_key(settings.webhook_signing_private_key)
    async with (
        open_database(settings.database_url) as database,
        WebhookDelivery(allow_private=settings.is_local) as delivery,
        App(settings=_without_policies(settings)) as app,
    ):
        yield Resources(database, signing_key, delivery, app, Inspector(app))


def _without_policies(settings: Settings) -> Settings:
    """This app only looks at queues and knows no handlers, so a JOBS_CONFIG that names some would be wrong for it."""
    return settings.model_copy(update={"jobs_config": None})
