"""Cron jobs: made, changed, tried out and thrown away, as a person does it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from jobqueue.app import App
from jobqueue.cron import CronJobs
from jobqueue.database import Database
from jobqueue.inspector import Inspector
from tests.board.browser.seeing import Seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

SLOT = re.compile(r"\d{4}-\d{2}-\d{2} 03:00")


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def told(page: Page, words: str) -> None:
    await expect(page.get_by_role("status").filter(has_text=words)).to_be_visible()


async def create(page: Page, board: str, name: str = "nightly") -> None:
    await page.goto(f"{board}/cron/new")
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Handler").select_option("heartbeat")
    await page.get_by_label("Pattern").fill("0 3 * * *")
    await press(page, "Create")
    await told(page, "The cron job was created.")


async def test_a_cron_job_is_created_with_a_preview_as_one_types(
    app: App, board: str, database: Database, page: Page
) -> None:
    await page.goto(f"{board}/cron")
    await page.get_by_role("link", name="Create", exact=True).click()

    await page.get_by_label("Name", exact=True).fill("nightly")
    await page.get_by_label("Handler").select_option("heartbeat")
    await page.get_by_label("Pattern").fill("0 3 * * *")
    await page.get_by_label("Time zone").fill("Europe/Berlin")
    await expect(page.locator("#preview tbody tr")).to_have_count(5)
    await expect(page.locator("#preview")).to_contain_text(SLOT)
    await expect(page.locator("#preview")).to_contain_text("Europe/Berlin")
    await press(page, "Create")

    await told(page, "The cron job was created.")
    [row] = await CronJobs(app, database).list()
    assert (row.name, row.pattern, row.timezone) == ("nightly", "0 3 * * *", "Europe/Berlin")


async def test_a_pattern_that_is_none_is_told_while_it_is_typed_and_beside_its_field(
    board: str, page: Page, seen: Seen
) -> None:
    seen.expect_status(400)
    await page.goto(f"{board}/cron/new")
    await page.get_by_label("Name", exact=True).fill("nightly")
    await page.get_by_label("Handler").select_option("heartbeat")

    await page.get_by_label("Pattern").fill("every night")
    await expect(page.locator("#preview .fault")).to_be_visible()
    await press(page, "Create")

    field = page.get_by_label("Pattern")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_value("every night")
    await expect(page.locator("#about-pattern .fault, #about-pattern.fault")).to_be_visible()


async def test_a_cron_job_is_edited_with_a_preview_as_one_types(
    app: App, board: str, database: Database, page: Page
) -> None:
    await create(page, board)

    await page.get_by_role("link", name="Edit").click()
    await expect(page.locator("#preview")).to_contain_text(SLOT)
    await page.get_by_label("Pattern").fill("30 4 * * *")
    await expect(page.locator("#preview")).to_contain_text(re.compile(r"\d{4}-\d{2}-\d{2} 04:30"))
    await press(page, "Save")

    await told(page, "The changes were saved.")
    [row] = await CronJobs(app, database).list()
    assert row.pattern == "30 4 * * *"


async def test_a_cron_job_is_disabled_and_enabled(app: App, board: str, database: Database, page: Page) -> None:
    await create(page, board)

    await press(page, "Disable")
    await told(page, "The cron job is disabled.")
    assert not (await CronJobs(app, database).list())[0].enabled
    await press(page, "Enable")

    await told(page, "The cron job is enabled.")
    assert (await CronJobs(app, database).list())[0].enabled


async def test_trigger_makes_a_job_now(app: App, board: str, page: Page) -> None:
    await create(page, board)

    await press(page, "Trigger")

    await told(page, "The cron job was triggered.")
    waiting = (await Inspector(app).jobs("jobs", "waiting")).jobs
    assert [view.job.name for view in waiting if view.job] == ["heartbeat"]


async def test_a_cron_job_is_deleted_after_a_question(app: App, board: str, database: Database, page: Page) -> None:
    await create(page, board)

    await press(page, "Delete")
    assert len(await CronJobs(app, database).list()) == 1
    await press(page, "Delete")

    await told(page, "The cron job was deleted.")
    assert await CronJobs(app, database).list() == ()
