"""Handlers: a form that is made from the payload's schema enqueues a job."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

from jobqueue.app import App
from jobqueue.inspector import Inspector
from tests.board.browser.seeing import Seen

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_form_from_the_schema_enqueues_a_job(app: App, board: str, page: Page) -> None:
    await page.goto(board)
    await page.get_by_role("link", name="Handlers", exact=True).click()
    await page.get_by_role("link", name="syncData").click()

    await page.get_by_label("resource_id").fill("r1")
    await page.get_by_label("due").fill("2026-02-28")
    await page.get_by_role("button", name="Enqueue", exact=True).click()

    await expect(page.get_by_role("status").filter(has_text="was enqueued")).to_be_visible()
    [view] = (await Inspector(app).jobs("jobs", "waiting")).jobs
    payload = (await app.queue("jobs").job(view.id)).envelope.payload
    assert payload == {"resource_id": "r1", "due": "2026-02-28", "pinCode": None}


async def test_what_is_wrong_is_told_beside_its_field_and_what_was_typed_stays(
    app: App, board: str, page: Page, seen: Seen
) -> None:
    seen.expect_status(400)
    await page.goto(f"{board}/handlers/syncData")
    await page.get_by_label("due").fill("2026-02-28")
    await page.get_by_role("button", name="Enqueue", exact=True).click()

    field = page.get_by_label("resource_id")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(page.locator(await described_by(field)).locator(".fault")).to_be_visible()
    await expect(page.get_by_label("due")).to_have_value("2026-02-28")
    assert (await Inspector(app).jobs("jobs", "waiting")).jobs == ()


async def test_an_option_that_is_wrong_is_told_beside_its_field(board: str, page: Page, seen: Seen) -> None:
    seen.expect_status(400)
    await page.goto(f"{board}/handlers/heartbeat")
    await page.get_by_text("Options").click()
    field = page.get_by_label("Priority")
    await field.fill("first")
    await page.get_by_role("button", name="Enqueue", exact=True).click()

    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(page.locator(await described_by(field)).locator(".fault")).to_contain_text("first")
    await expect(field).to_have_value("first")


async def described_by(field: Locator) -> str:
    """Where the words about a field are."""
    return f"[id='{await field.get_attribute('aria-describedby')}']"


async def test_a_handler_without_a_payload_needs_one_click(app: App, board: str, page: Page) -> None:
    await page.goto(f"{board}/handlers/heartbeat")

    await page.get_by_role("button", name="Enqueue", exact=True).click()

    await expect(page.get_by_role("status").filter(has_text="was enqueued")).to_be_visible()
    assert len((await Inspector(app).jobs("jobs", "waiting")).jobs) == 1
