"""Live: what happens is seen without a reload, and what a person does meanwhile is not disturbed."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, expect

from board import create_app
from jobqueue.app import App
from tests.board.support import REGISTRY, activate, fail, heartbeat, note, serving_asgi
from tests.conftest import MakeSettings
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A time that goes on gets longer, and so begins further left in its cell: that is no element that moves.
NOTE_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, sources } of list.getEntries())
    for (const { node } of sources)
      if (node?.parentElement?.tagName !== "TIME")
        window.shifts.push(`${value} of ${(node?.outerHTML ?? node?.nodeValue ?? "").slice(0, 80)}`);
}).observe({ type: "layout-shift" });
"""


async def is_live(page: Page) -> None:
    await expect(page.locator("#live")).to_have_text("live")


async def test_counts_change_without_a_reload_and_nothing_moves(app: App, board: str, page: Page) -> None:
    await app.enqueue_job(heartbeat)
    for path in ("", "/queues/jobs"):
        await page.goto(board + path)
        await is_live(page)
        await page.evaluate(NOTE_SHIFTS)

        before = await page.locator("main").inner_text()
        await app.enqueue_job(heartbeat)
        await expect(page.locator("main")).not_to_have_text(before, use_inner_text=True)

        assert await page.evaluate("window.shifts") == []


async def test_a_jobs_page_follows_its_job_to_its_end(app: App, board: str, page: Page) -> None:
    enqueued = await app.enqueue_job(note, {})
    queue = app.queue("notes")
    await page.goto(f"{board}/queues/notes/jobs/{enqueued.job_id}")
    await is_live(page)

    await activate(app, enqueued)
    await event(app, "active", enqueued.job_id)
    await expect(page.locator(".head .badge")).to_have_text("active")
    await queue.add_log(enqueued.job_id, "half way there", 10)
    await expect(page.get_by_text("half way there")).to_be_visible()
    await app.client.call("LREM", queue.keys.of("active"), 1, enqueued.job_id)
    await fail(app, enqueued, "the card was declined")
    await event(app, "failed", enqueued.job_id)

    await expect(page.locator(".head .badge")).to_have_text("failed")
    await expect(page.get_by_text("the card was declined").first).to_be_visible()


async def event(app: App, name: str, job_id: str) -> None:
    """What the script that moves a job writes beside."""
    await app.client.call("XADD", app.queue("notes").keys.of("events"), "*", "event", name, "jobId", job_id)


async def test_a_list_with_ticked_jobs_waits_until_they_are_unticked(app: App, board: str, page: Page) -> None:
    first = await app.enqueue_job(heartbeat)
    await page.goto(f"{board}/queues/jobs/waiting")
    await is_live(page)
    rows, box = page.locator("table.jobs tbody tr"), page.get_by_label(f"Tick job {first.job_id}", exact=True)

    await box.check()
    await app.enqueue_job(heartbeat)
    await expect(page.locator("#states")).to_contain_text("waiting 2")
    await expect(rows).to_have_count(1)
    await expect(box).to_be_checked()
    await box.uncheck()
    await app.enqueue_job(heartbeat)

    await expect(rows).to_have_count(3)


async def test_the_focus_stays_on_its_job_when_others_come_above_it(app: App, board: str, page: Page) -> None:
    first = await app.enqueue_job(heartbeat)
    await page.goto(f"{board}/queues/jobs/waiting")
    await is_live(page)
    link = page.locator(f"table.jobs a[href$='/jobs/{first.job_id}']")
    await link.focus()

    await app.enqueue_job(heartbeat)
    await expect(page.locator("table.jobs tbody tr")).to_have_count(2)

    await expect(link).to_be_focused()


async def test_what_was_opened_stays_open(app: App, board: str, page: Page) -> None:
    await page.goto(f"{board}/queues/jobs")
    await is_live(page)
    await page.get_by_text("The numbers").click()

    await app.enqueue_job(heartbeat)
    await expect(page.locator("#states")).to_contain_text("waiting 1")

    assert await page.locator("details").first.evaluate("one => one.open")


async def test_times_go_on_by_themselves(app: App, board: str, page: Page) -> None:
    await app.enqueue_job(heartbeat)
    await page.goto(f"{board}/queues/jobs/waiting")
    shown = page.locator("table.jobs time").first
    before = await shown.inner_text()

    await expect(shown).not_to_have_text(before)
    await expect(shown).to_contain_text("ago")


async def test_the_page_says_when_redis_is_away_and_when_it_is_back(
    settings: MakeSettings, own_redis: RedisServer, page: Page
) -> None:
    async with (
        App(REGISTRY, settings(redis_url=own_redis.url, environment="local")) as app,
        serving_asgi(create_app(app)) as origin,
    ):
        await page.goto(f"{origin}/bullBoard/queues/jobs")
        await is_live(page)

        await asyncio.to_thread(own_redis.kill)
        await expect(page.locator("#live")).to_have_text("away")
        await expect(page.get_by_role("heading", level=1)).to_have_text("jobs")
        await asyncio.to_thread(own_redis.start)

        await is_live(page)
        await app.enqueue_job(heartbeat)
        await expect(page.locator("#states")).to_contain_text("waiting 1")
