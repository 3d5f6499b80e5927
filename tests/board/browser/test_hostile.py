"""Hostile strings: whatever a job carries is text, on every page that shows it."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from jobqueue.app import App
from jobqueue.inspector import Inspector
from tests.board.browser.seeing import Seen
from tests.board.support import complete, fail, note

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKUP = "<script>alert(1)</script>\"'><img src=//evil.example/x onerror=alert(2)><svg/onload=alert(4)>"
LINK = "javascript:alert(3)"
STYLE = "</style></textarea></title><style>*{display:none}</style><base href=//evil.example>"
TEMPLATE = "{{ 7*7 }}{% include '/etc/passwd' %}${7*7}<%= 7 %>"
RIGHT_TO_LEFT = "\u202egnihton\u202c \u2067\u05d0\u05d1\u2069 \u200f"
LONG = "A" * 100_000
CONTROL = "a\r\nSet-Cookie: x=1\x00\x1b[31m\u2028"

HOSTILE = (MARKUP, LINK, STYLE, TEMPLATE, RIGHT_TO_LEFT, LONG, CONTROL)
LISTS = (
    "",
    "/queues/notes",
    "/queues/notes/failed",
    "/queues/notes/waiting",
    "/queues/notes/all",
    "/workers",
    "/audit",
)


async def carry(app: App, text: str) -> list[str]:
    """Jobs that carry a text in everything that a job can carry it in; returns the paths of their pages."""
    failed = await app.enqueue_job(note, {text: [text, {"deep": text}]})
    queue, value = app.queue("notes"), json.dumps({text: text})
    await fail(app, failed, text, text)
    changes = ("name", text, "pb", text, "progress", value, "returnvalue", value)
    await app.client.call("HSET", queue.keys.job(failed.job_id), *changes)
    await queue.add_log(failed.job_id, text, 10)
    await complete(app, await app.enqueue_job(note, {}), value)
    await stray(app, text[:200], text)
    job = f"/queues/notes/jobs/{failed.job_id}"
    return [job, f"{job}/again", f"/queues/notes/jobs/{quote(text[:200], safe='')}"]


async def stray(app: App, job_id: str, text: str) -> None:
    """A job, and a queue, that another tool has written under these names."""
    keys = app.queue("notes").keys
    data = json.dumps({"type": text[:100], "payload": text, "createdBy": text[:100], "orderKey": text[:100]})
    fields = ("name", text[:1_000], "data", data, "opts", "{}", "timestamp", "1700000000000")
    await app.client.call("HSET", keys.job(job_id), *fields)
    await app.client.call("LPUSH", keys.of("wait"), job_id)
    await app.client.call("HSET", f"{keys.base.removesuffix('notes:')}{text[:100]}:meta", "version", "bullmq:6.7.0")


LEADING = """all => all.map((one) => new URL(
  one.getAttribute("href") ?? one.getAttribute("action") ?? one.getAttribute("formaction"), location).href)"""


async def visit(page: Page, board: str, seen: Seen, path: str) -> None:
    """Nothing on the page is an element, an address or a request that the board did not put there."""
    await page.goto(board + path)
    sources = await page.locator("script").evaluate_all("all => all.map((one) => one.src)")
    assert set(sources) <= {f"{board}/static/board.js"}
    assert await page.locator("main img, iframe, object, embed, base, style, [style], [onerror], [onload]").count() == 0
    links = await page.locator("a[href], form[action], [formaction]").evaluate_all(LEADING)
    assert all(link.startswith(board) for link in links), path
    assert all(url.startswith(board) for url in seen.requests), path
    assert seen.unexpected() == [], path


async def test_what_a_job_carries_is_text_and_nothing_else(app: App, board: str, page: Page, seen: Seen) -> None:
    paths = [path for text in HOSTILE for path in await carry(app, text)]
    for path in (*LISTS, *paths):
        await visit(page, board, seen, path)


@pytest.mark.parametrize("text", ["".join(HOSTILE[:5]), CONTROL, LONG[:5_000]], ids=["markup", "control", "long"])
async def test_what_an_address_carries_is_text_and_nothing_else(
    app: App, board: str, page: Page, seen: Seen, text: str
) -> None:
    seen.expect_status(400, 404)
    sent = quote(text, safe="")
    for path in (
        f"/queues/notes/all?q={sent}&name={sent}&related={sent}&from={sent}&offset={sent}",
        f"/queues/notes?span={sent}&notice={sent}",
        f"/queues/{sent}/failed",
        f"/queues/notes/jobs/{sent}",
        f"/find?q={sent}",
        f"/cron?q={sent}",
        f"/cron/new?handler={sent}",
        f"/cron/preview?pattern={sent}&timezone={sent}",
        f"/handlers/{sent}",
        f"/audit?queue={sent}&before={sent}",
    ):
        await visit(page, board, seen, path)


async def test_what_comes_live_is_text_too(app: App, board: str, page: Page, seen: Seen) -> None:
    await page.goto(f"{board}/queues/notes/failed")
    await expect(page.locator("#live")).to_have_text("live")

    enqueued = await app.enqueue_job(note, {MARKUP: LINK})
    await fail(app, enqueued, MARKUP)
    await app.client.call(
        "XADD", app.queue("notes").keys.of("events"), "*", "event", "failed", "jobId", enqueued.job_id
    )

    await expect(page.locator("table.jobs")).to_contain_text("<script>alert(1)</script>")
    assert await page.locator("main img, main script").count() == 0
    assert all(url.startswith(board) for url in seen.requests)


async def test_a_job_with_a_hostile_id_is_retried_by_its_button(app: App, board: str, page: Page) -> None:
    enqueued = await app.enqueue_job(note, {}, job_id=MARKUP)
    await fail(app, enqueued, LINK)
    await page.goto(f"{board}/queues/notes/jobs/{quote(MARKUP, safe='')}")

    await page.get_by_role("button", name="Retry").click()

    await expect(page.locator(".head .badge")).to_have_text("waiting")
    assert (await Inspector(app).job("notes", MARKUP)).state == "waiting"
