"""The workers page: who runs what now, where nobody does, and that no worker can put markup there."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from board import create_app
from board.pages.workers import MAX_QUEUES, PAGE_SIZE
from jobqueue import App, JobContext, Registry, make_job
from jobqueue.clock import now_ms
from jobqueue.presence import Presence
from jobqueue.worker import Worker
from tests.board.cron_page_support import addresses_of, words_of
from tests.board.support import client_of
from tests.conftest import MakeSettings
from tests.support.eventually import eventually

PAGE = "/bullBoard/workers"
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e"


@make_job(queue="slow")
async def takes_long(ctx: JobContext) -> None:
    await asyncio.sleep(60)  # until it is cancelled: it is what the page shows as running


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    made = settings(environment="local", worker_concurrency=3, worker_shutdown_ms=0)
    async with App(Registry([takes_long]), made) as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(app)) as client:
        yield client


async def test_without_a_worker_the_page_says_how_to_start_one_and_which_queues_wait(
    client: httpx.AsyncClient, app: App
) -> None:
    words = words_of(await client.get(PAGE))
    assert "No worker is running." in words
    assert "jobqueue worker" in words
    assert "No worker serves" not in words
    await app.enqueue_job(takes_long)
    assert "No worker serves slow , which has 1 unfinished job." in words_of(await client.get(PAGE))


async def test_a_worker_is_shown_with_what_it_runs_and_cancel_stops_that(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(takes_long, job_id="a/b")
    async with Worker(app, name="the-worker"):

        async def running() -> httpx.Response | None:
            """With its job and, written by a loop of its own, the record that tells of the worker."""
            answer = await client.get(PAGE)
            return answer if all(word in words_of(answer) for word in ("takes_long", "Python")) else None

        answer = await eventually(running)
        words = words_of(answer)
        for text in ("the-worker", "Python", "slow", "1 3 a queue at most", "a/b", "for ", "Cancel"):
            assert text in words
        assert "No worker serves" not in words
        [address] = [one for one in addresses_of(answer) if one.endswith("/cancel")]
        assert address == "/bullBoard/queues/slow/jobs/a%2Fb/cancel"
        assert (await client.post(address, data={"confirmed": "yes"})).status_code == 303

        async def stopped() -> bool:
            return (await app.queue("slow").state(enqueued.job_id)) == "failed"

        await eventually(stopped)
        assert "nothing" in words_of(await client.get(PAGE))


async def test_a_read_only_board_offers_no_cancel(app: App) -> None:
    await app.enqueue_job(takes_long)
    async with Worker(app), client_of(create_app(app, read_only=True)) as client:

        async def running() -> str | None:
            page = (await client.get(PAGE)).text
            return page if "takes_long" in page else None

        assert "Cancel" not in await eventually(running)


async def test_nothing_that_a_worker_tells_becomes_markup(client: httpx.AsyncClient, app: App) -> None:
    keys = app.queue("slow").keys
    told = Presence(MARKUP, MARKUP, MARKUP, 1, MARKUP, MARKUP, 5, (MARKUP, "..", "javascript:alert(1)"), now_ms())
    await app.client.call("SADD", keys.workers(), "odd")
    await app.client.call("SET", keys.worker("odd"), told.as_json(), "PX", 30_000)
    answer = await client.get(PAGE)
    assert "alert(1)" in words_of(answer)
    assert_harmless(answer)


async def test_nothing_that_a_running_job_is_called_becomes_markup(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(takes_long, job_id=MARKUP)
    keys = app.queue("slow").keys
    async with Worker(app):

        async def running() -> httpx.Response | None:
            answer = await client.get(PAGE)
            return answer if "onerror" in answer.text else None

        await eventually(running)
        await app.client.call("HSET", keys.job(enqueued.job_id), "name", MARKUP)
        assert_harmless(await client.get(PAGE))


async def test_a_worker_that_tells_rubbish_hides_no_other(client: httpx.AsyncClient, app: App) -> None:
    keys = app.queue("slow").keys
    good = Presence("good", "the-good-one", "host", 1, "1.0", "3.11", 5, ("slow",), now_ms())
    for start, text in (("good", good.as_json()), ("bad", "{half"), ("odd", json.dumps({"name": 5}))):
        await app.client.call("SADD", keys.workers(), start)
        await app.client.call("SET", keys.worker(start), text, "PX", 30_000)
    answer = await client.get(PAGE)
    assert answer.status_code == 200
    assert "the-good-one" in words_of(answer)


async def test_the_queue_with_most_unfinished_jobs_and_no_worker_comes_first_and_few_are_named(
    client: httpx.AsyncClient, app: App
) -> None:
    for number in range(MAX_QUEUES + 5):
        for _ in range(1 + (number == 7)):
            await app.enqueue_job(takes_long, queue=f"left-{number}", delay_ms=60_000)
    words = words_of(await client.get(PAGE))
    assert words.count("No worker serves") == MAX_QUEUES
    assert words.index("left-7 , which has 2 unfinished jobs.") == words.index("No worker serves") + 17
    assert "and 5 more" in words


async def tell(app: App, start: str, name: str, queues: tuple[str, ...] = ("slow",)) -> None:
    """What a worker of ours leaves in Redis for a page to find."""
    keys = app.queue("slow").keys
    told = Presence(start, name, "host", 1, "1.0", "3.11", 5, queues, now_ms())
    await app.client.call("SADD", keys.workers(), start)
    await app.client.call("SET", keys.worker(start), told.as_json(), "PX", 30_000)


async def test_many_workers_come_in_pages(client: httpx.AsyncClient, app: App) -> None:
    for number in range(PAGE_SIZE + 3):
        await tell(app, f"start-{number}", f"worker-{number:03}")
    first = await client.get(PAGE)
    assert f"1–{PAGE_SIZE} of {PAGE_SIZE + 3} workers" in words_of(first)
    assert "worker-052" not in first.text
    [after] = [one for one in addresses_of(first) if "offset=" in one]
    second = words_of(await client.get(after))
    assert "worker-052" in second
    assert "worker-049" not in second
    assert "No workers on this page." in words_of(await client.get(f"{PAGE}?offset=100"))


async def test_the_workers_of_one_queue_are_asked_for(client: httpx.AsyncClient, app: App) -> None:
    await tell(app, "start", "the-worker")
    assert "the-worker" in words_of(await client.get(f"{PAGE}?queue=slow"))
    assert "No worker serves other." in words_of(await client.get(f"{PAGE}?queue=other"))
    page = await client.get("/bullBoard/queues/slow")
    assert f"{PAGE}?queue=slow" in addresses_of(page)
    assert "Workers 1 see them" in words_of(page)


async def test_a_worker_of_very_many_queues_names_some_of_them(client: httpx.AsyncClient, app: App) -> None:
    await tell(app, "start", "the-worker", tuple(f"queue-{number}" for number in range(1_000)))
    answer = await client.get(PAGE)
    assert f"and {1_000 - MAX_QUEUES} more" in words_of(answer)
    assert len(answer.text) < 20_000


async def test_each_worker_has_a_key_by_which_its_row_is_kept(client: httpx.AsyncClient, app: App) -> None:
    """Two of one name, host and process are told apart by their starts."""
    for start in ("one", "two", "three"):
        await tell(app, start, "the-worker")
        await asyncio.sleep(0.002)  # they start at different milliseconds
    keys = re.findall(r'<tr data-key="([^"]*)"', (await client.get(PAGE)).text)
    assert len(set(keys)) == 3


def assert_harmless(answer: httpx.Response) -> None:
    assert answer.status_code == 200
    assert "<script>" not in answer.text
    assert "<img" not in answer.text
    assert "\u202e" not in answer.text
    for address in re.findall(r'(?:href|src|action)="([^"]*)"', answer.text):
        assert re.match(r"/bullBoard(/|$)|#main$", html.unescape(address)), address
