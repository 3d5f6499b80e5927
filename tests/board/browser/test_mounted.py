"""A board under a path of another app, and one that only shows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.routing import Mount

from board import create_app
from jobqueue.app import App
from jobqueue.database import Database
from jobqueue.inspector import Inspector
from tests.board.browser.places import fill
from tests.board.browser.seeing import Seen
from tests.board.support import fail, heartbeat, serving_asgi

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEADS_TO_A_FORM = ", ".join(f"a[href$='/{word}']" for word in ("again", "new", "edit", "cancel", "remove"))


@pytest_asyncio.fixture(loop_scope="session")
async def mounted_board(app: App, database: Database) -> AsyncIterator[str]:
    service = Starlette(routes=[Mount("/inner service", create_app(app, database=database))])
    async with serving_asgi(service) as origin:
        yield f"{origin}/inner%20service/bullBoard"


@pytest_asyncio.fixture(loop_scope="session")
async def showing_board(app: App, database: Database) -> AsyncIterator[str]:
    async with serving_asgi(create_app(app, database=database, read_only=True)) as origin:
        yield f"{origin}/bullBoard"


async def test_every_link_of_a_mounted_board_stays_under_its_path(
    app: App, mounted_board: str, database: Database, page: Page, seen: Seen
) -> None:
    seen.expect_status(404)
    for path in await fill(app, database):
        await page.goto(mounted_board + path)
        links = await page.locator("a[href], form[action]").evaluate_all(
            "all => all.map((one) => new URL(one.getAttribute('href') ?? one.getAttribute('action'), location).href)"
        )
        assert all(link.startswith(mounted_board) for link in links), path

    assert all(url.startswith(mounted_board) for url in seen.requests)


async def test_a_mounted_board_retries_and_is_live(app: App, mounted_board: str, page: Page) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    await page.goto(f"{mounted_board}/queues/jobs/jobs/{enqueued.job_id}")

    await page.get_by_role("button", name="Retry").click()
    await expect(page.locator(".head .badge")).to_have_text("waiting")
    await expect(page.locator("#live")).to_have_text("live")
    await page.goto(f"{mounted_board}/queues/jobs")
    await expect(page.locator("#live")).to_have_text("live")
    await app.enqueue_job(heartbeat)

    await expect(page.locator("#states")).to_contain_text("waiting 2")


async def test_a_board_that_only_shows_has_no_button_that_changes_anything(
    app: App, showing_board: str, database: Database, page: Page, seen: Seen
) -> None:
    seen.expect_status(403, 404)
    for path in await fill(app, database):
        await page.goto(showing_board + path)
        assert await page.locator("form[method=post] :is(button, input:not([type=hidden]))").count() == 0, path
        assert await page.locator("button:not(.copy):not(form[method=get] button)").count() == 0, path
        assert await page.locator(LEADS_TO_A_FORM).count() == 0, path


async def test_a_board_that_only_shows_refuses_what_is_sent_all_the_same(
    app: App, showing_board: str, page: Page, seen: Seen
) -> None:
    seen.expect_status(403)
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    await page.goto(showing_board)

    status = await page.evaluate(
        "(url) => fetch(url, { method: 'POST', body: new URLSearchParams() }).then((answer) => answer.status)",
        f"{showing_board}/queues/jobs/jobs/{enqueued.job_id}/retry",
    )

    assert status == 403
    assert (await Inspector(app).job("jobs", enqueued.job_id)).state == "failed"
