"""The registry of the handlers that come with jobqueue."""

from __future__ import annotations

from handlers import registry


def test_the_registry_has_every_handler() -> None:
    assert registry.names == ("heartbeat", "sendWebhook", "queueCleanup", "queueInsights", "cleanStaleData")


def test_the_handlers_that_run_by_themselves_bring_their_patterns() -> None:
    seeded = {handler.name: handler.seeded_cron for handler in registry if handler.seeded_cron is not None}
    assert seeded == {"queueCleanup": "0 1 * * *", "queueInsights": "0 * * * *"}


def test_a_seeded_handler_takes_an_empty_payload() -> None:
    """Its row in the table has no other."""
    for handler in registry:
        if handler.seeded_cron is not None:
            handler.validate({})
