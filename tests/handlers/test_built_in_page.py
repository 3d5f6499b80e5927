"""What docs/built-in.md says is so: its code works, its table is the registry's."""

from __future__ import annotations

import re
import runpy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from handlers import registry
from handlers.stale_rows import PROTECTED
from jobqueue import App, Registry, Worker
from jobqueue.clock import now_ms
from jobqueue.database import open_database
from tests.board.support import fail, heartbeat
from tests.conftest import MakeSettings

PAGE = (Path(__file__).parents[2] / "docs" / "built-in.md").read_text(encoding="utf-8")
DAY_MS = 24 * 60 * 60 * 1000
WAIT_S = 20.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def names_defined_in(block: str, folder: Path) -> dict[str, Any]:
    file = folder / "example.py"
    file.write_text(block, encoding="utf-8")
    return runpy.run_path(str(file))


def test_the_table_of_the_page_lists_the_registry() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)` )?\|", PAGE, re.MULTILINE)
    listed = {name: pattern or None for name, pattern in rows if name in registry.names}
    assert listed == {handler.name: handler.seeded_cron for handler in registry}


def test_the_page_names_every_table_that_is_refused() -> None:
    (refused,) = re.findall(r"no stale one: (.*?);", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", refused)) == PROTECTED


async def test_the_registry_of_the_page_works_without_a_key_that_it_has_no_use_for(
    settings: MakeSettings, tmp_path: Path
) -> None:
    """Its lifespan opened what sendWebhook needs, too: no worker started without a key to sign webhooks with."""
    # given
    made = names_defined_in(blocks("python")[0], tmp_path)["registry"]
    assert isinstance(made, Registry)
    assert made.names == ("queueCleanup", "queueInsights", "cleanStaleData")
    without_key = settings(webhook_signing_private_key=None)
    async with open_database(without_key.database_url) as database, database.transaction() as session:
        await session.execute(text("CREATE TABLE visit (id INTEGER PRIMARY KEY, created_at TIMESTAMP)"))

    # when
    payloads = {"queueCleanup": {}, "queueInsights": {}, "cleanStaleData": {"table": "visit", "retentionDays": 30}}
    async with App(made, without_key) as app, Worker(app):
        jobs = [await app.enqueue_job(name, payload) for name, payload in payloads.items()]
        results = [await job.wait(WAIT_S) for job in jobs]

    # then
    assert results[2]["deleted"] == 0


async def test_the_cleaning_of_the_page_cleans(settings: MakeSettings, tmp_path: Path) -> None:
    forget_old_failures: Callable[[App], Awaitable[int]] = names_defined_in(blocks("python")[1], tmp_path)[
        "forget_old_failures"
    ]
    async with App(Registry([heartbeat]), settings()) as app:
        for age_in_days in (6, 8):
            await fail(app, await app.enqueue_job(heartbeat), "no", at_ms=now_ms() - age_in_days * DAY_MS)

        assert await forget_old_failures(app) == 1
