"""Jobs: found, and acted on one by one and by the dozen, as a person does it."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, expect

from board import create_app
from jobqueue.app import App
from jobqueue.context import JobContext
from jobqueue.inspector import Inspector
from jobqueue.registry import Registry
from jobqueue.worker import Worker
from jobqueue.wrappers import make_job
from tests.board.support import fail, heartbeat, note, serving_asgi
from tests.conftest import MakeSettings

pytestmark = pytest.mark.asyncio(loop_scope="session")


@make_job(name="endless", grace_ms=2_000)
async def endless(ctx: JobContext) -> None:
    """Runs until it is stopped."""
    await asyncio.Event().wait()


async def fail_many(app: App, number: int) -> list[str]:
    """Failed jobs in `notes`; returns their ids, the newest first."""
    ids: list[str] = []
    for order in range(number):
        enqueued = await app.enqueue_job(note, {"order": order})
        await fail(app, enqueued, f"no card {order}", at_ms=1_700_000_000_000 + order)
        ids.insert(0, enqueued.job_id)
    return ids


async def state_of(app: App, queue: str, job_id: str) -> str:
    return (await Inspector(app).job(queue, job_id)).state


async def count(app: App, queue: str, state: str) -> int:
    return next(number for name, number in (await Inspector(app).queue(queue)).counts.items() if name == state)


async def test_a_job_is_found_by_its_id(app: App, board: str, page: Page) -> None:
    enqueued = await app.enqueue_job(heartbeat, job_id="order-17")
    await page.goto(board)

    await page.get_by_role("searchbox", name="Find a job by its id").fill("order-17")
    await page.keyboard.press("Enter")

    await page.wait_for_url(f"{board}/queues/jobs/jobs/{enqueued.job_id}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("heartbeat")


async def test_jobs_are_found_by_text_in_their_data(app: App, board: str, page: Page) -> None:
    await app.enqueue_job(note, {"customer": "Zoë"})
    await app.enqueue_job(note, {"customer": "Bob"})
    await page.goto(f"{board}/queues/notes/waiting")

    await page.get_by_role("searchbox", name="Text in id, name or data").fill("zoë")
    await page.get_by_role("button", name="Search").click()

    await expect(page.locator("table.jobs tbody tr")).to_have_count(1)
    await expect(page.locator("table.jobs tbody")).to_contain_text("Zoë")


async def test_jobs_are_found_by_the_object_that_they_are_about(app: App, board: str, page: Page) -> None:
    mine = await app.enqueue_job(note, {}, related=("order", "17"))
    await app.enqueue_job(note, {}, related=("order", "18"))
    await page.goto(f"{board}/queues/notes/waiting")

    await page.get_by_text("More filters").click()
    await page.get_by_label("Related object").fill("order:17")
    await page.get_by_role("button", name="Search").click()

    await expect(page.locator("table.jobs tbody tr")).to_have_count(1)
    await expect(page.locator("table.jobs tbody")).to_contain_text(mine.job_id)


async def test_a_failed_job_shows_its_error_and_log_and_retry_puts_it_back(app: App, board: str, page: Page) -> None:
    enqueued = await app.enqueue_job(note, {"order": 17})
    await app.queue("notes").add_log(enqueued.job_id, "charging the card", 10)
    await fail(app, enqueued, "the card was declined", "Traceback: in charge()")
    await page.goto(f"{board}/queues/notes/jobs/{enqueued.job_id}")
    for text in ("the card was declined", "Traceback: in charge()", "charging the card", '"order": 17'):
        await expect(page.get_by_text(text).first).to_be_visible()

    await page.get_by_role("button", name="Retry").click()

    await expect(page.locator(".head .badge")).to_have_text("waiting")
    await expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    assert await state_of(app, "notes", enqueued.job_id) == "waiting"


async def test_the_ticked_ones_are_retried_and_no_others(app: App, board: str, page: Page) -> None:
    ids = await fail_many(app, 4)
    await page.goto(f"{board}/queues/notes/failed")

    await page.get_by_label(f"Tick job {ids[0]}", exact=True).check()
    await page.get_by_label(f"Tick job {ids[2]}", exact=True).check()
    await expect(page.locator("[data-count]")).to_have_text("2 ticked")
    await page.get_by_role("button", name="Retry").click()

    await expect(page.get_by_role("status").filter(has_text="2 jobs were put back")).to_be_visible()
    assert [await state_of(app, "notes", job_id) for job_id in ids] == ["waiting", "failed", "waiting", "failed"]


async def test_one_box_ticks_the_whole_page(app: App, board: str, page: Page) -> None:
    await fail_many(app, 3)
    await page.goto(f"{board}/queues/notes/failed")

    await page.get_by_label("this page").check()
    await expect(page.locator("[data-count]")).to_have_text("3 ticked")
    await page.locator("table.jobs input").first.uncheck()

    await expect(page.locator("[data-count]")).to_have_text("2 ticked")
    assert await page.get_by_label("this page").evaluate("box => box.indeterminate")


async def test_all_that_match_are_removed_after_a_question_that_counts_them(app: App, board: str, page: Page) -> None:
    await fail_many(app, 12)
    await page.goto(f"{board}/queues/notes/failed?q=%22order%22%3A%201")

    await page.get_by_role("checkbox", name="that match").check()
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Remove 3 failed jobs that match of notes?")
    assert await count(app, "notes", "failed") == 12
    await page.get_by_role("button", name="Remove").click()

    await expect(page.get_by_role("status").filter(has_text="3 jobs were removed")).to_be_visible()
    assert await count(app, "notes", "failed") == 9


async def test_all_that_match_are_retried_and_no_others(app: App, board: str, page: Page) -> None:
    await fail_many(app, 12)
    await page.goto(f"{board}/queues/notes/failed?q=%22order%22%3A%201")

    await page.get_by_role("checkbox", name="that match").check()
    await page.get_by_role("button", name="Retry").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Retry 3 failed jobs that match of notes?")
    await page.get_by_role("button", name="Retry").click()

    await expect(page.get_by_role("status").filter(has_text="3 jobs were put back")).to_be_visible()
    assert (await count(app, "notes", "failed"), await count(app, "notes", "waiting")) == (9, 3)


async def test_who_says_no_to_the_question_loses_nothing(app: App, board: str, page: Page) -> None:
    [job_id] = await fail_many(app, 1)
    await page.goto(f"{board}/queues/notes/jobs/{job_id}")

    await page.get_by_role("button", name="Remove").click()
    await page.get_by_role("link", name="Keep everything as it is").click()

    await page.wait_for_url(f"{board}/queues/notes/jobs/{job_id}")
    assert await state_of(app, "notes", job_id) == "failed"


async def test_a_job_is_removed_after_a_question(app: App, board: str, page: Page) -> None:
    [job_id] = await fail_many(app, 1)
    await page.goto(f"{board}/queues/notes/jobs/{job_id}")

    await page.get_by_role("button", name="Remove").click()
    await page.get_by_role("button", name="Remove").click()

    await expect(page.get_by_role("status").filter(has_text="1 job was removed")).to_be_visible()
    assert await count(app, "notes", "failed") == 0


async def test_a_delayed_job_is_promoted(app: App, board: str, page: Page) -> None:
    enqueued = await app.enqueue_job(heartbeat, delay_ms=600_000)
    await page.goto(f"{board}/queues/jobs/jobs/{enqueued.job_id}")

    await page.get_by_role("button", name="Promote").click()

    await expect(page.locator(".head .badge")).to_have_text("waiting")
    assert await state_of(app, "jobs", enqueued.job_id) == "waiting"


async def test_a_running_job_is_cancelled_with_a_reason(settings: MakeSettings, page: Page) -> None:
    async with (
        App(Registry([endless]), settings(environment="local")) as app,
        serving_asgi(create_app(app)) as origin,
        Worker(app),
    ):
        enqueued = await app.enqueue_job(endless)
        address = f"{origin}/bullBoard/queues/jobs/jobs/{enqueued.job_id}"
        await page.goto(address)
        await expect(page.locator(".head .badge").first).to_have_text("active")

        await page.get_by_role("button", name="Cancel").click()
        await page.get_by_label("Reason").fill("wrong customer")
        await page.get_by_role("button", name="Cancel the job").click()

        await expect(page.locator(".head .badge").first).to_have_text("failed")
        await expect(page.get_by_text("wrong customer").first).to_be_visible()


async def test_a_job_is_enqueued_again_with_an_edit_and_keeps_the_secret_that_is_hidden(
    app: App, board: str, page: Page
) -> None:
    first = await app.enqueue_job("syncData", {"resource_id": "r1", "pinCode": "4711"})
    await fail(app, first, "no")
    await page.goto(f"{board}/queues/jobs/jobs/{first.job_id}")
    assert "4711" not in await page.content()

    await page.get_by_role("link", name="Enqueue again").click()
    assert "4711" not in await page.content()
    await page.get_by_label("resource_id").fill("r2")
    await page.get_by_role("button", name="Enqueue", exact=True).click()

    await expect(page.get_by_role("status").filter(has_text="was enqueued")).to_be_visible()
    [view] = (await Inspector(app).jobs("jobs", "waiting")).jobs
    stored = (await app.queue("jobs").job(view.id)).envelope.payload
    assert stored == {"resource_id": "r2", "due": None, "pinCode": "4711"}


async def test_an_id_and_a_payload_are_copied_by_a_click(app: App, board: str, page: Page) -> None:
    enqueued = await app.enqueue_job(note, {"order": 17})
    await page.goto(f"{board}/queues/notes/jobs/{enqueued.job_id}")

    box = page.locator("pre", has_text='"order"').first
    await box.hover()
    await box.get_by_role("button", name="Copy").click()

    await expect(box.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == '{\n  "order": 17\n}'
