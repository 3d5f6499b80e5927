"""The board in a real browser: read, clicked, and attacked through what a job holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from playwright.async_api import Page, Request, async_playwright

from jobqueue.app import App
from jobqueue.inspector import Inspector
from tests.board.support import REGISTRY, fail, heartbeat, note, serving
from tests.conftest import MakeSettings

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP *.example 127.0.0.1",
]
MARKUP = "<script>alert(1)</script>\"'><img src=//evil.example/x onerror=alert(2)>"
LINK = "javascript:alert(3)"


@dataclass(slots=True)
class Seen:
    """What the browser did that nobody should make it do."""

    complaints: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])


@pytest.fixture
async def seen() -> Seen:
    return Seen()


@pytest.fixture
async def page(seen: Seen) -> AsyncIterator[Page]:
    """A page of a real browser that notes its complaints, its dialogs and where it connects to."""

    def note_request(request: Request) -> None:
        seen.requests.append(request.url)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        page.on("console", lambda message: seen.complaints.append(message.text))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("dialog", lambda dialog: seen.complaints.append(dialog.message))
        page.on("request", note_request)
        yield page
        await browser.close()


@pytest.fixture
async def board(app: App) -> AsyncIterator[str]:
    async with serving(app) as address:
        yield address


async def test_the_queue_list_shows_counts_and_leads_to_a_job(app: App, board: str, page: Page, seen: Seen) -> None:
    for _ in range(3):
        await app.enqueue_job(heartbeat)
    await page.goto(board)
    row = page.get_by_role("row").filter(has_text="jobs")
    await row.get_by_role("link", name="3").click()
    assert await page.get_by_role("row").count() == 4
    await page.get_by_role("link", name="heartbeat").first.click()
    assert await page.get_by_role("heading", level=1).inner_text() == "heartbeat"
    assert seen.complaints == []


async def test_a_failed_job_shows_its_error_and_log_and_retry_puts_it_back(
    app: App, board: str, page: Page, seen: Seen
) -> None:
    enqueued = await app.enqueue_job(note, {"order": 17})
    await app.queue("notes").add_log(enqueued.job_id, "charging the card", 10)
    await fail(app, enqueued, "the card was declined", "Traceback: in charge()")

    await page.goto(f"{board}/queues/notes/jobs/{enqueued.job_id}")
    for text in ("the card was declined", "Traceback: in charge()", "charging the card", '"order": 17'):
        assert await page.get_by_text(text).is_visible()
    await page.get_by_role("button", name="Retry").click()

    await page.wait_for_url(f"{board}/queues/notes/jobs/{enqueued.job_id}")
    assert await page.locator(".badge").inner_text() == "waiting"
    assert await page.get_by_role("button", name="Retry").count() == 0
    assert (await Inspector(app).job("notes", enqueued.job_id)).state == "waiting"
    assert seen.complaints == []


async def test_what_a_job_holds_is_text_and_nothing_else(app: App, board: str, page: Page, seen: Seen) -> None:
    enqueued = await app.enqueue_job(note, {MARKUP: [MARKUP, LINK], LINK: MARKUP}, job_id=MARKUP)
    await app.queue("notes").add_log(MARKUP, MARKUP, 10)
    await app.queue("notes").add_log(MARKUP, LINK, 10)
    await fail(app, enqueued, MARKUP, LINK)
    await app.client.call("HSET", app.queue("notes").keys.job(MARKUP), "name", MARKUP, "pb", LINK)
    await app.client.call("HSET", app.queue(MARKUP).keys.of("meta"), "version", "bullmq:6.7.0")

    for path in ("", "/queues/notes/failed", f"/queues/notes/jobs/{quote(MARKUP, safe='')}"):
        await page.goto(board + path)
        assert MARKUP in await page.locator("main").inner_text()
        assert await page.locator("script, main img, iframe, object, [style], [onerror]").count() == 0
        hrefs = await page.locator("a").evaluate_all("all => all.map(one => one.protocol)")
        assert set(hrefs) == {"http:"}
    await page.get_by_role("button", name="Retry").click()
    await page.wait_for_url(f"{board}/queues/notes/jobs/{quote(MARKUP, safe='')}")

    assert (await Inspector(app).job("notes", MARKUP)).state == "waiting"
    assert seen.complaints == []
    assert all(url.startswith(board) for url in seen.requests)


# A name that is not this machine's over plain http: there browsers send Origin and no Sec-Fetch-Site.


@pytest.fixture
async def guarded_board(settings: MakeSettings) -> AsyncIterator[str]:
    guarded = App(REGISTRY, settings(bull_board_username="ann", bull_board_password="pw"))
    async with guarded, serving(guarded, "jobs.example") as address:
        yield address


async def log_in(page: Page, board: str) -> None:
    await page.goto(board.replace("http://", "http://ann:pw@"))
    assert await page.get_by_role("heading", level=1).inner_text() == "Queues"


async def test_who_is_logged_in_can_retry_over_plain_http(app: App, guarded_board: str, page: Page) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    await log_in(page, guarded_board)
    await page.goto(f"{guarded_board}/queues/jobs/jobs/{enqueued.job_id}")
    await page.get_by_role("button", name="Retry").click()
    await page.locator(".badge.waiting").wait_for()


@pytest.mark.parametrize("origin", ["http://evil.example", "http://other.jobs.example", "http://localhost"])
async def test_a_foreign_page_cannot_retry_with_the_browsers_credentials(
    app: App, guarded_board: str, page: Page, origin: str
) -> None:
    # given: someone who is logged in, and a page of another origin that posts the board's form
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    await log_in(page, guarded_board)
    action = f"{guarded_board}/queues/jobs/jobs/{enqueued.job_id}/retry"
    form = f'<form method="post" action="{action}"><button>Win</button></form>'
    await page.route(f"{origin}/", lambda route: route.fulfill(body=form, content_type="text/html"))
    await page.goto(f"{origin}/")

    async with page.expect_navigation() as navigation:
        await page.get_by_role("button", name="Win").click()

    answer = await navigation.value
    assert answer is not None
    assert answer.status == 403
    assert (await Inspector(app).job("jobs", enqueued.job_id)).state == "failed"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone_and_keeps_its_contrast(app: App, board: str, page: Page, scheme: str) -> None:
    await fail(app, await app.enqueue_job(note, {"long": "x" * 500}), "y" * 500, "z" * 500)
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for path in ("", "/queues/notes/failed", "/queues/notes/jobs/1"):
        await page.goto(board + path)
        too_wide = await page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        assert not too_wide
    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(18, 21, 28)" if scheme == "dark" else "rgb(246, 247, 249)")


async def test_the_keyboard_alone_reaches_retry(app: App, board: str, page: Page) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    await page.goto(f"{board}/queues/jobs/jobs/{enqueued.job_id}")
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.textContent") == "Retry":
            break
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    await page.keyboard.press("Enter")
    await page.locator(".badge.waiting").wait_for()
