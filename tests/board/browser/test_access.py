"""Who may act from a browser: the one who is logged in, and no page of another origin."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

from jobqueue.app import App
from jobqueue.inspector import Inspector
from tests.board.browser.seeing import Seen
from tests.board.support import REGISTRY, fail, heartbeat, serving
from tests.conftest import MakeSettings

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A name that is not this machine's over plain http: there browsers send Origin and no Sec-Fetch-Site.


@pytest_asyncio.fixture(loop_scope="session")
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
    await page.locator(".badge.waiting").first.wait_for()


@pytest.mark.parametrize("origin", ["http://evil.example", "http://other.jobs.example", "http://localhost"])
async def test_a_foreign_page_cannot_retry_with_the_browsers_credentials(
    app: App, guarded_board: str, page: Page, seen: Seen, origin: str
) -> None:
    seen.expect_status(403)
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
