"""The jobs of a queue: filtered, page by page, and many of them treated at once."""

from __future__ import annotations

import re

import httpx
import pytest
from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.inspector import MAX_LOOKED_AT, Inspector
from jobqueue.job import EnqueueOptions, State
from tests.board.support import activate, complete, fail, heartbeat, note
from tests.board.test_pages import BOARD, OWN_SCRIPT, addresses

NOTES = f"{BOARD}/queues/notes"
BIDI = "\u202e\u2066\u200f"
LONG = "x" * 100_000


def listed(page: str) -> list[str]:
    """The ids of the jobs that a page lists."""
    return re.findall(r'<input type="checkbox" name="id" value="([^"]*)"', page)


async def state_of(app: App, job_id: str) -> State:
    return (await Inspector(app).job("notes", job_id)).state


async def failed_notes(app: App, *job_ids: str) -> None:
    for job_id in job_ids:
        await fail(app, await app.enqueue_job(note, {"to": job_id}, job_id=job_id), "it broke")


# Filters


@pytest.mark.parametrize(
    "query",
    [
        {"name": "note"},
        {"related": "order:7"},
        {"createdBy": "alice"},
        {"orderKey": "channel:42"},
        {"q": "NEEDLE"},
        {"from": "2020-01-31T12:00", "to": "2099-01-31T12:00"},
        {"q": "needle", "name": "note", "createdBy": "alice"},
    ],
)
async def test_a_filter_lists_what_matches_and_nothing_else(
    client: httpx.AsyncClient, app: App, query: dict[str, str]
) -> None:
    options = EnqueueOptions(job_id="wanted", related=("order", "7"), created_by="alice", order_key="channel:42")
    await app.enqueue_job(note, {"text": "a needle"}, **options)
    await app.enqueue_job(heartbeat, job_id="other", queue="notes")
    page = (await client.get(f"{NOTES}/waiting", params=query)).text
    assert set(listed(page)) == ({"wanted", "other"} if "from" in query else {"wanted"})
    assert "Clear" in page


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ({"related": "order"}, "must be type:id, like order:7"),
        ({"from": "yesterday"}, "must be a time in UTC, like 2030-01-31T12:00"),
        ({"to": "9999-99-99T99:99"}, "must be a time in UTC, like 2030-01-31T12:00"),
        ({"q": "x" * 1_001}, "is longer than 1000 characters"),
    ],
)
async def test_a_filter_that_is_wrong_says_so_and_lists_nothing(
    client: httpx.AsyncClient, app: App, query: dict[str, str], fault: str
) -> None:
    await failed_notes(app, "one")
    answer = await client.get(f"{NOTES}/failed", params=query)
    assert answer.status_code == 400
    assert fault in answer.text
    assert listed(answer.text) == []


async def test_all_states_are_listed_together(client: httpx.AsyncClient, app: App) -> None:
    await failed_notes(app, "broken")
    await app.enqueue_job(note, {}, job_id="waits")
    await app.enqueue_job(note, {}, job_id="later", delay_ms=60_000)
    page = (await client.get(f"{NOTES}/all")).text
    assert set(listed(page)) == {"broken", "waits", "later"}
    for state in ("failed", "waiting", "delayed"):
        assert f'<span class="badge {state}">' in page


async def test_a_search_that_stopped_offers_to_look_further(
    client: httpx.AsyncClient, redis: Redis, prefix: str
) -> None:
    await redis.zadd(f"{prefix}:notes:failed", {f"old-{number}": number for number in range(MAX_LOOKED_AT + 5)})
    page = (await client.get(f"{NOTES}/failed?q=needle")).text
    looked_at = re.search(r"Only the latest ([0-9,]+) failed jobs were looked at; there are more\.", page)
    assert looked_at is not None
    assert f"{NOTES}/failed?q=needle&amp;scanFrom={looked_at[1].replace(',', '')}" in addresses(page)
    rest = (await client.get(f"{NOTES}/failed?q=needle&scanFrom={MAX_LOOKED_AT}")).text
    assert "Look further" not in rest
    assert "No failed jobs." in rest


async def test_a_page_far_down_is_reached_by_its_number(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_jobs([(heartbeat, None)] * 230)
    page = (await client.get(f"{BOARD}/queues/jobs/waiting")).text
    assert "Go to number" in page
    assert f"{BOARD}/queues/jobs/waiting?offset=200" in addresses(page)
    assert "121–170 of 230" in (await client.get(f"{BOARD}/queues/jobs/waiting?offset=120")).text


async def test_an_active_job_shows_its_progress_and_its_worker(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(note, {})
    await activate(app, enqueued)
    await app.client.call("HSET", app.queue("notes").keys.job(enqueued.job_id), "progress", "42", "pb", "web-1:4711")
    page = (await client.get(f"{NOTES}/active")).text
    assert '<progress max="100" value="42"' in page
    assert "web-1:4711" in page


# Many at once


async def test_ticked_jobs_are_retried(client: httpx.AsyncClient, app: App) -> None:
    await failed_notes(app, "one", "two", "three")
    form = {"act": "retry", "id": ["one", "two"], "state": "failed", "q": "note"}
    answer = await client.post(f"{NOTES}/jobs", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{NOTES}/failed?q=note&notice=retried&count=2")
    assert [await state_of(app, job_id) for job_id in ("one", "two", "three")] == ["waiting", "waiting", "failed"]


@pytest.mark.parametrize(("act", "question"), [("remove", "Remove 2 jobs"), ("cancel", "Cancel 2 jobs")])
async def test_ticked_jobs_are_removed_or_cancelled_only_when_that_is_confirmed(
    client: httpx.AsyncClient, app: App, act: str, question: str
) -> None:
    for job_id in ("one", "two"):
        await app.enqueue_job(note, {}, job_id=job_id)
    form = {"act": act, "id": ["one", "two"], "state": "waiting"}
    asked = await client.post(f"{NOTES}/jobs", data=form)
    assert question in asked.text
    assert (await Inspector(app).queue("notes")).counts["waiting"] == 2
    done = await client.post(f"{NOTES}/jobs", data={**form, "confirmed": "yes"})
    assert done.status_code == 303
    assert (await Inspector(app).queue("notes")).counts["waiting"] == 0


async def test_all_that_match_are_treated_and_the_others_left(client: httpx.AsyncClient, app: App) -> None:
    await failed_notes(app, *(f"match-{number}" for number in range(60)), "other")
    form = {"act": "remove", "matching": "failed", "q": "match-", "id": "other"}
    asked = await client.post(f"{NOTES}/jobs", data=form)
    assert "Remove 60 failed jobs that match of notes?" in asked.text
    assert (await Inspector(app).queue("notes")).counts["failed"] == 61
    done = await client.post(f"{NOTES}/jobs", data={**form, "confirmed": "yes"})
    assert done.headers["location"] == f"{NOTES}/failed?q=match-&notice=removed&count=60"
    assert await state_of(app, "other") == "failed"


async def test_nothing_ticked_is_said(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{NOTES}/jobs", data={"act": "remove", "state": "failed"})
    assert "Nothing was done: no job was ticked." in (await client.get(answer.headers["location"])).text


@pytest.mark.parametrize(
    "form",
    [
        {"act": "obliterate", "id": "one"},
        {"act": "", "id": "one"},
        {"act": "retry", "matching": "all"},
        {"act": "retry", "matching": "completed", "confirmed": "yes"},
        {"act": "remove", "matching": "failed", "related": "nonsense", "confirmed": "yes"},
        {"act": "remove", "id": [str(number) for number in range(1_001)], "confirmed": "yes"},
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_and_nothing_is_done(
    client: httpx.AsyncClient, app: App, form: dict[str, str | list[str]]
) -> None:
    await failed_notes(app, "one")
    answer = await client.post(f"{NOTES}/jobs", data=form)
    assert answer.status_code == 400
    assert await state_of(app, "one") == "failed"


async def test_an_order_larger_than_any_form_is_cut_off(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{NOTES}/jobs", data={"act": "remove", "id": "x" * 2_000_000})
    assert answer.status_code == 413


# What jobs carry


@pytest.mark.parametrize("state", ["waiting", "completed", "failed", "active", "all"])
async def test_a_page_of_huge_and_backward_jobs_stays_small_and_forward(
    client: httpx.AsyncClient, app: App, state: str
) -> None:
    for number in range(12):
        enqueued = await app.enqueue_job(note, {"text": f"{BIDI}{number}{LONG}"}, job_id=f"{BIDI}{number}")
        if state == "failed":
            await fail(app, enqueued, BIDI + LONG)
        elif state == "completed":
            await complete(app, enqueued, f'"{BIDI}{LONG}"')
        elif state == "active":
            await activate(app, enqueued)
        key = app.queue("notes").keys.job(enqueued.job_id)
        await app.client.call("HSET", key, "name", f"{BIDI}{LONG}", "pb", BIDI + LONG, "progress", f'"{BIDI}{LONG}"')
    page = (await client.get(f"{NOTES}/{state}")).text.replace(OWN_SCRIPT, "", 1)
    assert len(page) < 300_000
    seen = re.sub(r'(value|href|title)="[^"]*"', "", page)
    assert not set(BIDI) & set(seen)
    assert "\\u202e" in seen
    assert len(listed(page)) == 12
