"""What came of an act on many jobs: a page of its own, which does nothing again."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx
import pytest

from board import create_app
from jobqueue.app import App
from jobqueue.inspector import Actor, Inspector
from jobqueue.inspector.auditing import MAX_TEXT
from tests.board.support import client_of, fail, heartbeat, note

BOARD = "/bullBoard"
NOTES = f"{BOARD}/queues/notes"
MARKUP = "<script>alert(1)</script>\"'><img src=x>"


async def failed(app: App, *job_ids: str) -> None:
    for job_id in job_ids:
        await fail(app, await app.enqueue_job(note, {}, job_id=job_id), "no")


async def cut_short(app: App, action: str, details: dict[str, Any]) -> str:
    """The address of the page of an act for which there was not time enough."""
    await app.queue("notes").write_meta()
    operator = Inspector(app).acting_as(Actor("ann", "basic"))
    async with operator.audited(action, "notes", details={**details, "refused": 0, "complete": False}) as act:
        act.count = 7
    return f"{BOARD}/audit/{act.entry}"


def hidden_fields(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}


async def test_a_reload_of_the_outcome_does_nothing_again(client: httpx.AsyncClient, app: App) -> None:
    # given
    await failed(app, "one")
    form = {"act": "remove", "matching": "failed", "confirmed": "yes"}
    await app.client.call("ZADD", app.queue("notes").keys.of("failed"), 1, "gone")
    done = await client.post(f"{NOTES}/jobs", data=form)
    await failed(app, "two")

    # when
    pages = [await client.get(done.headers["location"]) for _ in range(2)]

    # then
    assert done.status_code == 303
    assert [page.status_code for page in pages] == [200, 200]
    assert "1 job was removed. 1 was refused." in pages[1].text
    assert await app.queue("notes").state("two") == "failed"
    audit = (await client.get(f"{BOARD}/audit")).text
    assert f'href="{done.headers["location"]}"' in audit


async def test_nothing_of_a_job_becomes_markup_or_travels_in_the_address(client: httpx.AsyncClient, app: App) -> None:
    await app.client.call("ZADD", app.queue("notes").keys.of("failed"), 1, MARKUP)
    await app.queue("notes").write_meta()
    form = {"act": "remove", "matching": "failed", "confirmed": "yes"}
    done = await client.post(f"{NOTES}/jobs", data=form)
    assert re.fullmatch(rf"{BOARD}/audit/[0-9]+-[0-9]+%3Anotes", done.headers["location"])
    page = (await client.get(done.headers["location"])).text
    assert MARKUP not in page
    assert "<script>alert" not in page


async def test_picked_jobs_that_have_left_the_list_are_refused(client: httpx.AsyncClient, app: App) -> None:
    await failed(app, "one", "two")
    await app.control.retry("two", "notes")
    form = {"act": "remove", "id": ["one", "two"], "state": "failed", "confirmed": "yes"}
    done = await client.post(f"{NOTES}/jobs", data=form)
    page = unescape((await client.get(done.headers["location"])).text)
    assert "1 job was removed. 1 was refused." in page
    assert "job 'two' is waiting, not failed" in page
    assert await app.queue("notes").state("two") == "waiting"


@pytest.mark.parametrize(
    ("action", "details", "address", "fields"),
    [
        ("drain", {"delayed": True}, "drain", {"delayed": "yes"}),
        ("drain", {"delayed": False}, "drain", {}),
        ("retry failed", {}, "retry-failed", {}),
        ("promote delayed", {}, "promote-delayed", {}),
        (
            "clean",
            {"state": "failed", "olderThanMs": 172_800_000, "limit": None},
            "clean",
            {"state": "failed", "age": "2", "unit": "days"},
        ),
        (
            "clean",
            {"state": "failed", "olderThanMs": 5_400_000, "limit": None},
            "clean",
            {"state": "failed", "age": "90", "unit": "minutes"},
        ),
        (
            "cancel matching",
            {"state": "waiting", "name": "note", "reason": "why"},
            "jobs",
            {"act": "cancel", "matching": "waiting", "name": "note", "reason": "why"},
        ),
        (
            "remove matching",
            {"state": "failed", "related": "order:a:7", "from_ms": 1_000, "text": "a<b", "cancelled": False},
            "jobs",
            {
                "act": "remove",
                "matching": "failed",
                "related": "order:a:7",
                "q": "a<b",
                "cancelled": "false",
                "from": "1970-01-01T00:00:01.000+00:00",
            },
        ),
    ],
)
async def test_an_act_that_ran_out_of_time_goes_on_with_what_was_asked_and_asks_first(
    client: httpx.AsyncClient, app: App, action: str, details: dict[str, Any], address: str, fields: dict[str, str]
) -> None:
    page = (await client.get(await cut_short(app, action, details))).text
    assert "There was not time for all of them." in page
    assert f'action="{NOTES}/{address}"' in page
    assert hidden_fields(page) == fields
    asked = await client.post(f"{NOTES}/{address}", data=fields)
    assert asked.status_code == 200
    assert hidden_fields(asked.text) == {**fields, "confirmed": "yes"}


@pytest.mark.parametrize(
    ("action", "details"),
    [
        ("remove selected", {"jobs": 3, "state": "failed"}),
        ("remove matching", {"state": "failed", "text": "x" * MAX_TEXT}),
        ("remove matching", {"state": "failed", "to_ms": 2**62}),
        ("clean", {"state": "failed", "olderThanMs": 1_234, "limit": None}),
        ("clean", {"state": "failed", "olderThanMs": 60_000, "limit": 5}),
        ("clean", {"state": "active", "olderThanMs": 60_000, "limit": None}),
    ],
)
async def test_what_cannot_be_asked_again_exactly_offers_only_the_way_back(
    client: httpx.AsyncClient, app: App, action: str, details: dict[str, Any]
) -> None:
    page = (await client.get(await cut_short(app, action, details))).text
    assert "There was not time for all of them." in page
    assert "Go on" not in page
    assert "Back to the jobs" in page


async def test_a_read_only_board_shows_the_outcome_without_a_button(app: App) -> None:
    address = await cut_short(app, "drain", {"delayed": True})
    async with client_of(create_app(app, read_only=True)) as client:
        page = await client.get(address)
    assert page.status_code == 200
    assert "Go on" not in page.text


async def test_what_is_no_act_on_many_jobs_has_no_such_page(client: httpx.AsyncClient, app: App) -> None:
    job = await app.enqueue_job(heartbeat)
    await client.post(f"{BOARD}/queues/jobs/jobs/{job.job_id}/cancel", data={"confirmed": "yes"})
    [entry] = (await Inspector(app).audit("jobs")).entries
    for entry_id in (entry.id, "1-1:jobs", "x", "%00", "1-1:", "9" * 5_000):
        assert (await client.get(f"{BOARD}/audit/{entry_id}")).status_code == 404


@pytest.mark.parametrize(
    "form",
    [
        {"act": "remove", "matching": "active"},
        {"act": "retry", "matching": "completed"},
        {"act": "remove", "id": "one", "state": "active"},
        {"act": "promote", "id": "one", "state": "failed"},
    ],
)
async def test_what_cannot_be_done_is_refused_before_it_is_asked(
    client: httpx.AsyncClient, app: App, form: dict[str, str]
) -> None:
    await failed(app, "one")
    answer = await client.post(f"{NOTES}/jobs", data=form)
    assert answer.status_code == 400
    assert "is for jobs that are" in unescape(answer.text)
