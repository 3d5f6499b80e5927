"""The overview: what is wrong comes first, and one click mends it. And the find box."""

from __future__ import annotations

import httpx
import pytest

from board import create_app
from board.attention import MAX_WAIT_MS, Alert, QueueRow, attention
from jobqueue import queue_acts
from jobqueue.app import App
from jobqueue.inspector import MAX_FOUND, STATES, QueueView
from jobqueue.inspector.statistics import Point, Statistics
from jobqueue.worker import Worker
from tests.board.support import client_of, fail, heartbeat, note
from tests.board.test_pages import BOARD, MARKUP, OWN_SCRIPT, addresses

NOW_MS = 1_800_000_000_000


def row(
    name: str = "jobs",
    *,
    paused: bool = False,
    refused: str | None = None,
    workers: int = 1,
    oldest_ms: int | None = None,
    failed: int = 0,
    **counts: int,
) -> QueueRow:
    view = QueueView(name, paused, {state: counts.get(state, 0) for state in STATES}, refused)
    total = Point(NOW_MS, completed=10, failed=failed)
    return QueueRow(view, workers, None if oldest_ms is None else NOW_MS - oldest_ms, Statistics(60_000, (), total))


# What needs attention


def test_a_queue_that_does_its_work_needs_no_attention() -> None:
    assert attention([row(waiting=3, oldest_ms=1_000, completed=9, failed=0)], NOW_MS, {}, {}) == ()


def test_the_worst_comes_first() -> None:
    rows = [
        row("paused", paused=True, waiting=2),
        row("failing", failed=4),
        row("more failing", failed=9),
        row("late", waiting=7, oldest_ms=MAX_WAIT_MS + 1),
        row("alone", waiting=3, workers=0, oldest_ms=10),
        row("old", refused="BullMQ 5"),
    ]
    assert [(alert.kind, alert.queue) for alert in attention(rows, NOW_MS, {}, {})] == [
        ("refused", "old"),
        ("no worker", "alone"),
        ("late", "late"),
        ("failed", "more failing"),
        ("failed", "failing"),
        ("paused", "paused"),
    ]


def test_a_paused_queue_is_not_called_late_too() -> None:
    [alert] = attention([row(paused=True, waiting=5, oldest_ms=10 * MAX_WAIT_MS, workers=0)], NOW_MS, {}, {})
    assert alert == Alert("paused", "jobs", 5)


def test_a_queue_without_worker_and_without_jobs_is_left_alone() -> None:
    assert attention([row(workers=0, delayed=4)], NOW_MS, {}, {}) == ()


# The page


async def test_a_paused_queue_is_resumed_from_the_overview(client: httpx.AsyncClient, app: App) -> None:
    await queue_acts.pause(app.queue("notes"))
    await app.enqueue_job(note, {})
    page = (await client.get(BOARD)).text
    assert "<strong>notes</strong> is paused, 1 waits" in page
    answer = await client.post(f"{BOARD}/queues/notes/resume", data={})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BOARD}/queues/notes?notice=resumed")
    assert "is paused" not in (await client.get(BOARD)).text


async def test_jobs_that_no_worker_serves_are_named(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_job(heartbeat)
    assert "<strong>jobs</strong> has 1 to run and no worker" in (await client.get(BOARD)).text
    await queue_acts.pause(app.queue("jobs"))
    async with Worker(app, queues=["jobs"]):
        await queue_acts.resume(app.queue("jobs"))
        assert "and no worker" not in (await client.get(BOARD)).text


async def test_a_queue_of_bullmq_5_says_why_it_is_not_served(client: httpx.AsyncClient, app: App) -> None:
    await app.client.call("HSET", app.queue("old").keys.of("meta"), "version", "bullmq:5.41.0")
    page = (await client.get(BOARD)).text
    assert "<strong>old</strong> is not served: it holds data of BullMQ 5" in page
    assert "meta.version is bullmq:5.41.0" in page
    assert f"{BOARD}/queues/old" not in addresses(page)


async def test_where_all_is_well_the_overview_says_so(client: httpx.AsyncClient) -> None:
    assert "Nothing needs attention." in (await client.get(BOARD)).text


async def test_many_queues_come_in_pages(client: httpx.AsyncClient, app: App) -> None:
    for number in range(60):
        await app.client.call("HSET", app.queue(f"queue-{number:03}").keys.of("meta"), "version", "bullmq:6.7.0")
    first = await client.get(BOARD)
    assert "1–50 of 62 queues" in first.text
    assert f"{BOARD}?offset=50" in addresses(first.text)
    assert "queue-059" not in first.text
    assert "queue-059" in (await client.get(f"{BOARD}?offset=50")).text


async def test_a_page_of_queues_reads_none_that_it_does_not_show(client: httpx.AsyncClient, app: App) -> None:
    for number in range(60):
        await app.client.call("HSET", app.queue(f"queue-{number:03}").keys.of("meta"), "version", "bullmq:6.7.0")
    await app.client.call("SET", app.queue("queue-059").keys.of("wait"), "no list: whoever reads it learns so")
    assert (await client.get(BOARD)).status_code == 200


async def test_a_board_to_read_has_no_button_that_changes_anything(app: App) -> None:
    await queue_acts.pause(app.queue("notes"))
    await fail(app, await app.enqueue_job(heartbeat), "no")
    async with client_of(create_app(app, read_only=True)) as client:
        for path in ("", "/queues/jobs", "/queues/jobs/failed", "/queues/notes"):
            page = (await client.get(BOARD + path)).text
            assert 'method="post"' not in page
            assert "<button" not in page.replace('<button type="submit" class="plain">Search</button>', "")
            assert "read-only" in page


# Find


async def test_an_id_that_one_queue_has_leads_to_the_job(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_job(note, {}, job_id="a/b 1")
    answer = await client.get(f"{BOARD}/find", params={"q": " a/b 1 "})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BOARD}/queues/notes/jobs/a%2Fb%201")


async def test_an_id_that_several_queues_have_is_a_choice(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_job(note, {}, job_id="twin")
    await app.enqueue_job(heartbeat, job_id="twin")
    page = (await client.get(f"{BOARD}/find", params={"q": "twin"})).text
    assert {f"{BOARD}/queues/notes/jobs/twin", f"{BOARD}/queues/jobs/jobs/twin"} <= set(addresses(page))


@pytest.mark.parametrize("sought", ["nobody", MARKUP, "javascript:alert(1)", "\u202eevil", "x" * 5_000, "\x00", ".."])
async def test_an_id_that_nobody_has_is_said_and_stays_text(client: httpx.AsyncClient, sought: str) -> None:
    answer = await client.get(f"{BOARD}/find", params={"q": sought})
    page = answer.text.replace(OWN_SCRIPT, "", 1)
    assert answer.status_code == 200
    assert "No queue has a job of the id" in page
    assert "<script" not in page
    assert "\u202e" not in page
    assert all(address.startswith((BOARD, "#main")) for address in addresses(page))
    assert len(page) < 10_000


async def test_where_nothing_is_sought_the_page_says_how_to(client: httpx.AsyncClient) -> None:
    assert "Type the id of a job into the box above" in (await client.get(f"{BOARD}/find", params={"q": " "})).text


async def test_of_an_id_that_very_many_queues_have_some_are_shown(client: httpx.AsyncClient, app: App) -> None:
    for number in range(MAX_FOUND + 4):
        await app.enqueue_job(heartbeat, job_id="many", queue=f"queue-{number}")
    page = (await client.get(f"{BOARD}/find", params={"q": "many"})).text
    assert page.count("/jobs/many") == MAX_FOUND
    assert "and 4 more queues have a job of this id" in page


# Notices

NOTICE = '<p class="notice" role="status">'


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("notice=removed&count=3", "3 jobs were removed."),
        ("notice=removed", "1 job was removed."),
        ("notice=removed&count=<b>", "1 job was removed."),
        (f"notice=removed&count={'9' * 4000}", "1,000,000,000,000 jobs were removed."),
    ],
)
async def test_a_notice_says_what_came_of_an_act(client: httpx.AsyncClient, query: str, said: str) -> None:
    page = (await client.get(f"{BOARD}?{query}")).text
    assert page.count(NOTICE) == 1
    assert said in page


@pytest.mark.parametrize("query", ["notice=<b>you+are+hacked</b>", "notice=", "notice=hacked&count=3"])
async def test_a_notice_has_no_other_words_than_ours(client: httpx.AsyncClient, query: str) -> None:
    page = (await client.get(f"{BOARD}?{query}")).text
    assert NOTICE not in page
    assert "hacked" not in page
