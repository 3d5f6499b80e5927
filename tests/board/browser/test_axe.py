"""Every page, as axe-core judges it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from jobqueue.app import App
from jobqueue.database import Database
from tests.board.browser.places import fill
from tests.board.browser.seeing import Seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = Path(__file__).parents[2] / "interop" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")


async def test_axe_finds_nothing_serious_in_light_and_dark(
    app: App, board: str, database: Database, page: Page, seen: Seen
) -> None:
    seen.expect_status(404)
    axe, found = AXE.read_text(encoding="utf-8"), dict[str, list[str]]()
    for path in await fill(app, database):
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
        await page.goto(board + path)
        await page.evaluate(axe)
        faults = await serious_faults(page, "{}")
        await page.emulate_media(color_scheme="dark")
        faults += await serious_faults(page, "{ runOnly: ['color-contrast', 'link-in-text-block'] }")
        found |= {path: faults} if faults else {}

    assert found == {}


async def serious_faults(page: Page, options: str) -> list[str]:
    violations: list[dict[str, Any]] = await page.evaluate(
        f"axe.run({{ ...{options}, resultTypes: ['violations'] }}).then((told) => told.violations)"
    )
    return [
        f"{one['id']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
        for one in violations
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
