"""What stays where it is: no page is wider than its window, rows keep their elements, a page that is gone says so."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, Route, expect

from jobqueue.app import App
from jobqueue.clock import now_ms
from jobqueue.database import Database
from jobqueue.inspector import Actor, Inspector
from jobqueue.presence import Presence
from tests.board.browser.places import fill
from tests.board.browser.seeing import Seen
from tests.board.support import heartbeat

pytestmark = pytest.mark.asyncio(loop_scope="session")

WIDTHS = (*range(320, 1100, 60), 1280, 1600)


async def test_no_page_has_to_be_scrolled_sideways_at_any_width(
    app: App, board: str, database: Database, page: Page, seen: Seen
) -> None:
    seen.expect_status(404)
    paths = await fill(app, database)
    long = "q" * 200
    await Inspector(app).acting_as(Actor("ann", "local", "r2")).enqueue("heartbeat", None, {"queue": long})
    for path in [*paths, f"/queues/{long}", f"/audit?queue={long}"]:
        await page.goto(board + path)
        await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)


async def test_a_tab_stays_where_it_is_when_a_count_grows_to_five_digits(app: App, board: str, page: Page) -> None:
    await page.goto(f"{board}/queues/jobs")
    last = page.locator(".tabs a").last
    before = await last.bounding_box()
    await page.locator(".tabs b").first.evaluate("one => (one.textContent = '12,345')")
    assert await last.bounding_box() == before


async def test_each_worker_keeps_its_row_when_another_one_comes(app: App, board: str, page: Page) -> None:
    await tell(app, "one")
    await tell(app, "two")
    await page.goto(f"{board}/workers")
    await expect(page.locator("#live")).to_have_text("live")
    await page.evaluate("document.querySelectorAll('.workers tbody tr').forEach((row, at) => (row.mine = at))")
    await tell(app, "three")
    await app.enqueue_job(heartbeat)
    rows = page.locator(".workers tbody tr")
    await expect(rows).to_have_count(3)
    assert sorted(await rows.evaluate_all("rows => rows.map(row => row.mine ?? 'new')"), key=str) == [0, 1, "new"]


async def test_the_page_of_a_job_that_was_removed_meanwhile_says_so(
    app: App, board: str, page: Page, seen: Seen
) -> None:
    seen.expect_status(404)
    enqueued = await app.enqueue_job(heartbeat, delay_ms=600_000)
    await page.goto(f"{board}/queues/jobs/jobs/{enqueued.job_id}")
    await expect(page.locator("#live")).to_have_text("live")
    await app.control.remove(enqueued.job_id, "jobs")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("404")
    await expect(page.get_by_role("button", name="Promote")).to_have_count(0)


async def test_a_page_that_the_server_refuses_to_make_again_is_not_called_live(
    app: App, board: str, page: Page, seen: Seen
) -> None:
    seen.expect_status(500)

    async def refuse(route: Route) -> None:
        await route.fulfill(status=500)

    await page.goto(f"{board}/queues/jobs")
    await expect(page.locator("#live")).to_have_text("live")
    await page.route(f"{board}/queues/jobs", refuse)
    await app.enqueue_job(heartbeat)
    await expect(page.locator("#live")).to_have_text("away")
    await page.unroute(f"{board}/queues/jobs")
    await app.enqueue_job(heartbeat)
    await expect(page.locator("#live")).to_have_text("live")


async def test_the_answer_to_a_form_that_was_wrong_is_live_too(app: App, board: str, page: Page, seen: Seen) -> None:
    seen.expect_status(400)
    await page.goto(f"{board}/queues/jobs")
    await page.get_by_label("Older than").fill("x")
    await page.get_by_role("button", name="Clean").click()
    await expect(page.locator("#about-age")).to_be_visible()
    await expect(page.locator("#live")).to_have_text("live")
    await app.enqueue_job(heartbeat)
    await expect(page.locator("#states")).to_contain_text("waiting 1")
    await expect(page.locator("#about-age")).to_be_visible()


async def tell(app: App, start: str) -> None:
    """What a worker of ours leaves in Redis for a page to find."""
    keys = app.queue("jobs").keys
    told = Presence(start, "the-worker", "host", 1, "1.0", "3.11", 5, ("jobs",), now_ms())
    await app.client.call("SADD", keys.workers(), start)
    await app.client.call("SET", keys.worker(start), told.as_json(), "PX", 30_000)
