"""The registry of the handlers that come with jobqueue."""

from __future__ import annotations

from pathlib import Path

import handlers
from handlers import registry

FOLDER = Path(handlers.__file__).parent


def test_the_registry_has_every_handler() -> None:
    """Each of them is in a file of its own, whose first line begins with its name."""
    first_lines = [path.read_text(encoding="utf-8").partition("\n")[0] for path in FOLDER.glob("*.py")]
    named = {line.removeprefix('"""').partition(":")[0] for line in first_lines}

    assert len(registry.names) == 13
    assert set(registry.names) <= named


def test_the_handlers_that_run_by_themselves_bring_their_patterns() -> None:
    seeded = {handler.name: handler.seeded_cron for handler in registry if handler.seeded_cron is not None}
    assert seeded == {
        "queueCleanup": "0 1 * * *",
        "queueInsights": "0 * * * *",
        "fileCleanup": "0 2 * * *",
        "cleanDeadArchives": "0 0 0 * * *",
        "sessionCleanup": "0 2 * * *",
        "cleanUnverifiedUsers": "0 0 0 * * *",
    }


def test_a_seeded_handler_takes_an_empty_payload_or_none() -> None:
    """Its row in the table has no other."""
    for handler in registry:
        if handler.seeded_cron is not None:
            handler.validate({} if handler.payload is not None else None)
