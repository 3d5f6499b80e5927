"""The audit page: who did what, newest first, in words, and what came of it."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

import httpx
import pytest
from pydantic import JsonValue

from board import create_app
from jobqueue.app import App
from jobqueue.errors import JobNotInState
from jobqueue.inspector import Actor, Inspector
from tests.board.cron_page_support import addresses_of, words_of
from tests.board.support import REGISTRY, client_of, fail, heartbeat
from tests.conftest import MakeSettings

PAGE = "/bullBoard/audit"
ANN = Actor("ann", "basic", "request-7")
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


async def test_an_empty_log_says_what_will_be_there(client: httpx.AsyncClient) -> None:
    assert "Nobody has done anything here yet." in words_of(await client.get(PAGE))
    assert "the queue jobs yet" in words_of(await client.get(f"{PAGE}?queue=jobs"))


async def test_an_act_is_told_with_who_how_what_and_what_came_of_it(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat, job_id="a/b")
    await fail(app, enqueued, "no")
    await Inspector(app).acting_as(ANN).retry("jobs", "a/b")
    answer = await client.get(PAGE)
    words = words_of(answer)
    assert "ago" in words
    for text in ("ann signed in", "Retry a job a/b queue jobs", "request request-7", "done"):
        assert text in words
    assert "/bullBoard/queues/jobs/jobs/a%2Fb" in addresses_of(answer)


async def test_what_was_refused_says_why_and_what_was_cut_short_is_marked(client: httpx.AsyncClient, app: App) -> None:
    operator = Inspector(app).acting_as(ANN)
    enqueued = await app.enqueue_job(heartbeat)
    with pytest.raises(JobNotInState, match="is waiting"):
        await operator.retry("jobs", enqueued.job_id)
    words = words_of(await client.get(PAGE))
    assert "refused" in words
    assert "is waiting" in words
    stream = app.queue("jobs").keys.audit()
    await app.client.call("XADD", stream, "*", "actor", "bob", "via", "bearer", "action", "clean", "count", "12")
    words = words_of(await client.get(PAGE))
    assert "bob with the token Clean the queue (12 jobs) queue jobs" in words
    assert "not finished It is being done, or was cut short." in words


async def test_the_newest_come_first_and_pages_go_to_the_older_ones(client: httpx.AsyncClient, app: App) -> None:
    operator = Inspector(app).acting_as(ANN)
    for number in range(5):
        async with operator.audited(f"act {number}", "jobs"):
            continue
    first = await client.get(f"{PAGE}?limit=3")
    assert re.findall(r"act \d", words_of(first)) == ["act 4", "act 3", "act 2"]
    [older] = [one for one in addresses_of(first) if "before=" in one]
    assert re.findall(r"act \d", words_of(await client.get(older))) == ["act 1", "act 0"]


async def test_one_queue_can_be_asked_for_and_its_pages_stay_with_it(client: httpx.AsyncClient, app: App) -> None:
    operator = Inspector(app).acting_as(ANN)
    for queue in ("jobs", "notes"):
        for _ in range(2):
            await operator.pause(queue)
    answer = await client.get(f"{PAGE}?queue=notes&limit=1")
    assert "queue notes" in words_of(answer)
    assert "queue jobs" not in words_of(answer)
    assert '<option value="notes" selected>' in answer.text
    [older] = [one for one in addresses_of(answer) if "before=" in one]
    assert "queue=notes" in older


async def test_nothing_in_the_log_becomes_markup(client: httpx.AsyncClient, app: App) -> None:
    operator = Inspector(app).acting_as(Actor(MARKUP, "basic", MARKUP))
    details: dict[str, JsonValue] = {
        MARKUP: MARKUP,
        "link": "javascript:alert(1)",
        "job": "javascript:alert(1)",
        "deep": {MARKUP: [MARKUP]},
    }
    for action in (MARKUP, "retry", "cron change"):
        async with operator.audited(action, "jobs", MARKUP, {"name": MARKUP, **details}):
            continue
    stream = app.queue("jobs").keys.audit()
    odd = ("outcome", f"{MARKUP}: {MARKUP}", "via", MARKUP, "requestId", "\u202e", "target", "..", "count", "9" * 400)
    await app.client.call("XADD", stream, "*", "actor", "\u202eevil", "action", "x" * 100_000, *odd)
    answer = await client.get(PAGE)
    assert answer.status_code == 200
    assert "alert(1)" in words_of(answer)
    assert len(answer.text) < 100_000
    assert "<script>" not in answer.text
    assert "<img" not in answer.text
    assert "\u202e" not in answer.text
    for address in re.findall(r'(?:href|src|action)="([^"]*)"', answer.text):
        assert re.match(r"/bullBoard(/|$)|#main$", html.unescape(address)), address


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=-5", "limit=999999999999999999999", "limit=x", "before=", "queue="),
        *("queue=nobody", f"queue={quote(MARKUP)}", "queue=%FF", "before=1-1:nobody"),
    ],
)
async def test_a_query_that_finds_nothing_is_an_empty_page(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        *("queue=%00", f"queue={'x' * 10_000}", "queue=a:b", "before=1-1:", "before=%FF"),
        *("before=x", "before=1-1", "before=0-0:jobs", f"before={quote(MARKUP)}", f"before={'9' * 10_000}-1:jobs"),
    ],
)
async def test_a_query_that_no_page_of_ours_makes_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{PAGE}?{query}")
    assert answer.status_code == 400
    assert "<script>" not in answer.text
    assert "the log has more" not in answer.text


async def test_without_credentials_the_log_is_not_shown(settings: MakeSettings) -> None:
    closed = settings(environment="production", bull_board_username="ann", bull_board_password="pw")
    async with App(REGISTRY, closed) as app, client_of(create_app(app)) as client:
        assert (await client.get(PAGE)).status_code == 401
        assert (await client.get(PAGE, auth=("ann", "pw"))).status_code == 200
