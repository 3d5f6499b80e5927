"""Every page: without a script, on a phone, in light and dark."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page

from jobqueue.app import App
from jobqueue.database import Database
from tests.board.browser.places import fill
from tests.board.browser.seeing import Seen, opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = 390


async def test_every_page_is_read_and_a_job_retried_without_a_script(
    app: App, board: str, database: Database, browser: Browser, seen: Seen
) -> None:
    seen.expect_status(404)
    paths = await fill(app, database)
    async with opened(browser, seen, script=False) as page:
        for path in paths:
            await page.goto(board + path)
            assert await page.get_by_role("heading", level=1).inner_text()
            assert await page.locator("[data-script]:visible").count() == 0
        await page.goto(f"{board}/queues/notes/failed")
        await page.locator("table.jobs a").first.click()
        await page.get_by_role("button", name="Retry").click()

        assert await page.locator(".head .badge").first.inner_text() == "waiting"


async def test_nothing_has_to_be_scrolled_sideways_on_a_phone(
    app: App, board: str, database: Database, browser: Browser, seen: Seen
) -> None:
    seen.expect_status(404)
    async with opened(browser, seen, width=PHONE) as page:
        for path in await fill(app, database):
            await page.goto(board + path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE, path


async def test_light_and_dark_follow_the_system(board: str, page: Page) -> None:
    grounds: list[str] = []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.goto(board)
        grounds.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert grounds[0] != grounds[1]
