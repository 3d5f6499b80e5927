"""The keyboard alone: the way to a job and to what is done to it, and the keys that lead to pages."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from jobqueue.app import App
from jobqueue.inspector import Inspector
from tests.board.support import fail, heartbeat

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_keyboard_alone_goes_from_the_list_to_a_job_and_retries_it(app: App, board: str, page: Page) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    await page.goto(f"{board}/queues/jobs/failed")

    await tab_to(page, "heartbeat")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{board}/queues/jobs/jobs/{enqueued.job_id}")
    await tab_to(page, "Retry")
    assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await page.keyboard.press("Enter")

    await expect(page.locator(".head .badge")).to_have_text("waiting")
    assert (await Inspector(app).job("jobs", enqueued.job_id)).state == "waiting"


async def tab_to(page: Page, text: str) -> None:
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.textContent.trim()") == text:
            return
    raise AssertionError(f"no way to {text!r} with the Tab key")


async def test_keys_lead_to_the_find_box_and_to_the_pages(board: str, page: Page) -> None:
    await page.goto(board)

    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox", name="Find a job")).to_be_focused()
    await page.keyboard.type("g?")
    await expect(page.get_by_role("searchbox", name="Find a job")).to_have_value("g?")
    await page.get_by_role("heading", level=1).click()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("w")

    await page.wait_for_url(f"{board}/workers")
