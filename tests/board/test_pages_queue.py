"""One queue's page: its figures, and what is done to all of it; what destroys asks first."""

from __future__ import annotations

import re

import httpx
import pytest

from jobqueue.app import App
from jobqueue.clock import now_ms
from jobqueue.inspector import Inspector
from tests.board.support import complete, fail, heartbeat, note
from tests.board.test_pages import BOARD

QUEUE = f"{BOARD}/queues/jobs"
DAY_MS = 86_400_000


async def counts(app: App, queue: str = "jobs") -> dict[str, int]:
    """The states that have jobs, and how many."""
    return {state: count for state, count in (await Inspector(app).queue(queue)).counts.items() if count}


async def fill(app: App) -> None:
    """Two jobs wait, one is delayed, two have failed, and of two completed ones one is ten days old."""
    for _ in range(2):
        await app.enqueue_job(heartbeat)
    await app.enqueue_job(heartbeat, delay_ms=60_000)
    for _ in range(2):
        await fail(app, await app.enqueue_job(heartbeat), "no")
    for age_ms in (0, 10 * DAY_MS):
        await complete(app, await app.enqueue_job(heartbeat), "1", now_ms() - age_ms)


async def test_a_queue_shows_its_counts_charts_and_handlers(client: httpx.AsyncClient, app: App) -> None:
    await fill(app)
    page = (await client.get(QUEUE)).text
    for text in ("Throughput", "Wait", "Run", "Oldest to run", "heartbeat", "Nothing ended in the last hour."):
        assert text in page
    assert re.search(r"waiting <b>2</b>", page)
    for chart in ("throughput", "wait", "run"):
        assert re.search(rf'role="img" aria-labelledby="{chart}-title {chart}-about"', page)


@pytest.mark.parametrize(("query", "span"), [("", "hour"), ("?span=day", "day"), ("?span=<b>", "hour")])
async def test_charts_reach_back_an_hour_a_day_or_a_week(client: httpx.AsyncClient, query: str, span: str) -> None:
    page = (await client.get(QUEUE + query)).text
    assert f"Nothing was measured in the last {span}." in page
    assert f'aria-current="true">{span.capitalize()}</a>' in page


async def test_jobs_that_wait_for_their_turn_are_shown_by_gate(client: httpx.AsyncClient, app: App) -> None:
    for job_id in ("head", "second", "third"):
        await app.enqueue_job(heartbeat, job_id=job_id, order_key="channel:42")
    page = (await client.get(QUEUE)).text
    assert "channel:42" in page
    assert f'href="{QUEUE}/jobs/head">head</a>' in page
    assert f'href="{QUEUE}/all?orderKey=channel%3A42"' in page


async def test_a_queue_is_paused_and_resumed(client: httpx.AsyncClient, app: App) -> None:
    answer = await client.post(f"{QUEUE}/pause", data={})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{QUEUE}?notice=paused")
    page = (await client.get(answer.headers["location"])).text
    assert "The queue is paused." in page
    assert "Resume" in page
    await client.post(f"{QUEUE}/resume", data={})
    assert not (await Inspector(app).queue("jobs")).paused


@pytest.mark.parametrize(
    ("act", "fields", "question"),
    [
        ("drain", {}, "Drain jobs: remove 2 jobs that wait?"),
        ("drain", {"delayed": "yes"}, "Drain jobs: remove 3 jobs that wait or are delayed?"),
        ("retry-failed", {}, "Retry 2 failed jobs of jobs?"),
        ("promote-delayed", {}, "Promote 1 delayed job of jobs?"),
        ("clean", {"state": "completed", "age": "7", "unit": "days"}, "remove 1 completed job older than 7 days?"),
        ("clean", {"state": "failed", "age": "0", "unit": "days"}, "remove 2 failed jobs?"),
    ],
)
async def test_what_destroys_says_how_many_and_does_nothing_yet(
    client: httpx.AsyncClient, app: App, act: str, fields: dict[str, str], question: str
) -> None:
    await fill(app)
    before = await counts(app)
    answer = await client.post(f"{QUEUE}/{act}", data=fields)
    assert answer.status_code == 200
    assert question in answer.text
    assert await counts(app) == before


@pytest.mark.parametrize(
    ("act", "fields", "notice", "left"),
    [
        ("drain", {}, "notice=removed&count=2", {"delayed": 1, "failed": 2, "completed": 2}),
        ("drain", {"delayed": "yes"}, "notice=removed&count=3", {"failed": 2, "completed": 2}),
        ("retry-failed", {}, "notice=retried&count=2", {"waiting": 4, "delayed": 1, "completed": 2}),
        ("promote-delayed", {}, "notice=promoted", {"waiting": 3, "failed": 2, "completed": 2}),
        (
            "clean",
            {"state": "completed", "age": "7", "unit": "days"},
            "notice=removed",
            {"waiting": 2, "delayed": 1, "failed": 2, "completed": 1},
        ),
    ],
)
async def test_the_button_of_the_question_does_it_and_the_page_says_what_came_of_it(
    client: httpx.AsyncClient, app: App, act: str, fields: dict[str, str], notice: str, left: dict[str, int]
) -> None:
    await fill(app)
    asked = (await client.post(f"{QUEUE}/{act}", data=fields)).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', asked))
    answer = await client.post(f"{QUEUE}/{act}", data=hidden)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{QUEUE}?{notice}")
    assert await counts(app) == left
    assert '<p class="notice" role="status">' in (await client.get(answer.headers["location"])).text


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"state": "completed", "age": "x"}, "must be a whole number from 0 to 100000"),
        ({"state": "completed"}, "must be a whole number from 0 to 100000"),
        ({"state": "completed", "age": " "}, "must be a whole number from 0 to 100000"),
        ({"state": "completed", "age": "-1"}, "must be a whole number from 0 to 100000"),
        ({"state": "completed", "age": "9" * 5_000}, "must be a whole number from 0 to 100000"),
        ({"state": "active", "age": "1"}, "must be one of completed, failed, delayed, waiting, prioritized"),
        ({"state": "<b>", "age": "1"}, "must be one of completed, failed, delayed, waiting, prioritized"),
    ],
)
async def test_a_form_that_is_wrong_comes_back_with_its_faults(
    client: httpx.AsyncClient, app: App, fields: dict[str, str], fault: str
) -> None:
    await fill(app)
    before = await counts(app)
    answer = await client.post(f"{QUEUE}/clean", data={**fields, "confirmed": "yes"})
    assert answer.status_code == 400
    assert fault in answer.text
    assert "<b>" not in answer.text.replace("<b>0</b>", "").replace("<b>2</b>", "").replace("<b>1</b>", "")
    assert await counts(app) == before


async def test_a_page_that_answers_a_form_says_where_it_is(client: httpx.AsyncClient, app: App) -> None:
    """The script asks for it there: the address that the form was sent to has nothing to read."""
    await fill(app)
    answer = await client.post(f"{QUEUE}/clean", data={"state": "failed", "age": "x", "unit": "days"})
    assert answer.status_code == 400
    assert f'data-here="{QUEUE}"' in answer.text
    assert "data-here" not in (await client.get(QUEUE)).text


@pytest.mark.parametrize("act", ["pause", "resume", "clean", "drain", "retry-failed", "promote-delayed", "jobs"])
async def test_a_queue_that_nobody_has_is_not_made_by_an_act(client: httpx.AsyncClient, app: App, act: str) -> None:
    answer = await client.post(f"{BOARD}/queues/nobody/{act}", data={"confirmed": "yes", "act": "retry", "id": "1"})
    assert answer.status_code == 404
    assert await app.client.call("KEYS", f"{app.settings.jobs_prefix}:nobody*") == []


async def test_a_queue_of_bullmq_5_is_not_shown_as_if_it_were_ours(client: httpx.AsyncClient, app: App) -> None:
    await app.client.call("HSET", app.queue("old").keys.of("meta"), "version", "bullmq:5.41.0")
    answer = await client.get(f"{BOARD}/queues/old")
    assert answer.status_code == 409
    assert "bullmq:5.41.0" in answer.text
    assert (await client.post(f"{BOARD}/queues/old/drain", data={"confirmed": "yes"})).status_code == 409


async def test_what_was_refused_is_told_with_the_reason(client: httpx.AsyncClient, app: App) -> None:
    await fail(app, await app.enqueue_job(note, {}, job_id="gone"), "no")
    form = {"act": "retry", "id": ["gone", "never was"], "state": "failed"}
    done = await client.post(f"{BOARD}/queues/notes/jobs", data=form)
    assert done.status_code == 303
    assert "never" not in done.headers["location"]
    answer = await client.get(done.headers["location"])
    assert answer.status_code == 200
    assert "1 job was put back to waiting. 1 was refused." in answer.text
    assert "never was" in answer.text
    assert await counts(app, "notes") == {"waiting": 1}
