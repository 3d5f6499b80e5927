"""Queues: what a person does to a whole one."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from jobqueue.app import App
from jobqueue.inspector import Inspector
from tests.board.browser.seeing import Seen
from tests.board.support import complete, fail, heartbeat, note

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG_AGO_MS = 1_700_000_000_000


async def counts(app: App, queue: str = "notes") -> dict[str, int]:
    """The states of the queue that have jobs."""
    view = await Inspector(app).queue(queue)
    return {state: number for state, number in view.counts.items() if number}


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def told(page: Page, words: str) -> None:
    await expect(page.get_by_role("status").filter(has_text=words)).to_be_visible()


async def test_the_overview_shows_counts_and_leads_to_a_job(app: App, board: str, page: Page) -> None:
    for _ in range(3):
        await app.enqueue_job(heartbeat)
    await page.goto(board)

    await page.get_by_role("row").filter(has_text="jobs").get_by_role("link", name="3", exact=True).click()
    await expect(page.locator("table.jobs tbody tr")).to_have_count(3)
    await page.get_by_role("link", name="heartbeat").first.click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("heartbeat")


async def test_a_queue_is_paused_and_runs_again(app: App, board: str, page: Page) -> None:
    await page.goto(f"{board}/queues/notes")

    await press(page, "Pause")
    await told(page, "The queue is paused.")
    assert (await Inspector(app).queue("notes")).paused
    await press(page, "Resume")

    await told(page, "The queue runs again.")
    assert not (await Inspector(app).queue("notes")).paused


async def test_clean_removes_the_jobs_of_a_state_that_are_older(app: App, board: str, page: Page) -> None:
    await complete(app, await app.enqueue_job(note, {}), "1", LONG_AGO_MS)
    await complete(app, await app.enqueue_job(note, {}), "2")
    await fail(app, await app.enqueue_job(note, {}), "no", at_ms=LONG_AGO_MS)
    await page.goto(f"{board}/queues/notes")

    await page.get_by_label("State", exact=True).select_option("completed")
    await page.get_by_label("Older than").fill("1")
    await page.get_by_label("Unit").select_option("hours")
    await press(page, "Clean")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("1 completed job older than 1 hours")
    assert await counts(app) == {"completed": 2, "failed": 1}
    await press(page, "Clean")

    await told(page, "1 job was removed.")
    assert await counts(app) == {"completed": 1, "failed": 1}


async def test_clean_names_an_age_that_is_none_beside_its_field(board: str, page: Page, seen: Seen) -> None:
    seen.expect_status(400)
    await page.goto(f"{board}/queues/notes")

    await page.get_by_label("Older than").fill("soon")
    await press(page, "Clean")

    field = page.get_by_label("Older than")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("#about-age")).to_contain_text("whole number")
    await expect(field).to_have_value("soon")


async def test_drain_removes_what_waits_and_on_demand_what_is_delayed(app: App, board: str, page: Page) -> None:
    await app.enqueue_job(note, {})
    await app.enqueue_job(note, {}, delay_ms=600_000)
    await fail(app, await app.enqueue_job(note, {}), "no")
    await page.goto(f"{board}/queues/notes")

    await page.get_by_label("delayed ones, too").check()
    await press(page, "Drain")
    await press(page, "Drain")

    await told(page, "2 jobs were removed.")
    assert await counts(app) == {"failed": 1}


async def test_all_failed_jobs_are_retried(app: App, board: str, page: Page) -> None:
    for _ in range(3):
        await fail(app, await app.enqueue_job(note, {}), "no")
    await page.goto(f"{board}/queues/notes")

    await press(page, "Retry failed")
    await press(page, "Retry")

    await told(page, "3 jobs were put back to waiting.")
    assert await counts(app) == {"waiting": 3}


async def test_all_delayed_jobs_are_promoted(app: App, board: str, page: Page) -> None:
    for _ in range(2):
        await app.enqueue_job(note, {}, delay_ms=600_000)
    await page.goto(f"{board}/queues/notes")

    await press(page, "Promote delayed")
    await press(page, "Promote")

    await told(page, "2 jobs were promoted.")
    assert await counts(app) == {"waiting": 2}


async def test_the_audit_log_says_who_did_what(app: App, board: str, page: Page) -> None:
    await page.goto(f"{board}/queues/notes")
    await press(page, "Pause")
    await told(page, "The queue is paused.")

    await page.get_by_role("link", name="Audit", exact=True).click()

    row = page.get_by_role("row").filter(has_text=re.compile("paus", re.IGNORECASE)).first
    await expect(row).to_contain_text("notes")
    await expect(row).to_contain_text("admin")
