"""The page of a job: what it shows, and what can be done from it."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import quote

import httpx
import pytest

from board import create_app
from jobqueue.app import App
from jobqueue.clock import now_ms
from jobqueue.inspector import Actor, Inspector
from jobqueue.job import Enqueued
from tests.board.support import activate, client_of, complete, fail, heartbeat, note

BOARD = "/bullBoard"
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def address_of(enqueued: Enqueued) -> str:
    return f"{BOARD}/queues/{enqueued.queue}/jobs/{quote(enqueued.job_id, safe='')}"


def offers(page: str) -> set[str]:
    """What the head of the page offers to do."""
    found = re.findall(r'(?:href|action)="/bullBoard/queues/[^"]*/jobs/[^"/]*/(\w+)"', page)
    return set(found)


async def audited(app: App) -> list[tuple[str, str | None, str | None]]:
    page = await Inspector(app).audit()
    return [(entry.action, entry.target, entry.outcome) for entry in page.entries]


# What can be done in each state


async def test_each_state_offers_what_can_be_done_in_it(client: httpx.AsyncClient, app: App) -> None:
    offered: dict[str, set[str]] = {}
    for state in ("waiting", "delayed", "active", "completed", "failed"):
        enqueued = await app.enqueue_job(heartbeat, delay_ms=60_000 if state == "delayed" else 0)
        if state == "active":
            await activate(app, enqueued)
        if state == "completed":
            await complete(app, enqueued, "1")
        if state == "failed":
            await fail(app, enqueued, "no")
        offered[state] = offers((await client.get(address_of(enqueued))).text)
    assert offered == {
        "waiting": {"again", "cancel", "remove"},
        "delayed": {"again", "cancel", "remove", "promote"},
        "active": {"again", "cancel"},
        "completed": {"again", "remove"},
        "failed": {"again", "remove", "retry"},
    }


async def test_a_board_that_is_read_only_offers_nothing(app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    async with client_of(create_app(app, read_only=True)) as client:
        page = (await client.get(address_of(enqueued))).text
        assert offers(page) == set()
        assert 'method="post"' not in page
        for act in ("cancel", "remove", "again"):
            assert (await client.get(f"{address_of(enqueued)}/{act}")).status_code == 403
            assert (await client.post(f"{address_of(enqueued)}/{act}")).status_code == 403


async def test_a_job_is_removed_once_that_was_confirmed(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    address = f"{address_of(enqueued)}/remove"
    for asked in (
        await client.get(address),
        await client.post(address),
        await client.post(address, data={"confirmed": "no"}),
    ):
        assert asked.status_code == 200
        assert "Remove heartbeat 1?" in asked.text
        assert 'name="confirmed" value="yes"' in asked.text
    assert (await Inspector(app).job("jobs", enqueued.job_id)).state == "waiting"
    done = await client.post(address, data={"confirmed": "yes"})
    assert (done.status_code, done.headers["location"]) == (303, f"{BOARD}/queues/jobs/waiting?notice=removed")
    assert (await client.get(address_of(enqueued))).status_code == 404
    assert await audited(app) == [("remove", "1", "done")]


async def test_a_job_that_has_left_the_state_that_one_saw_is_not_removed(client: httpx.AsyncClient, app: App) -> None:
    # given
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    asked = (await client.get(f"{address_of(enqueued)}/remove")).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', asked))

    # when somebody retries it before the button is pressed
    await app.retry_job(enqueued.job_id)
    answer = await client.post(f"{address_of(enqueued)}/remove", data=hidden)

    # then
    assert answer.status_code == 409
    assert "is waiting, not failed" in html.unescape(answer.text)
    assert (await Inspector(app).job("jobs", enqueued.job_id)).state == "waiting"


async def test_an_active_job_is_not_removed(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await activate(app, enqueued)
    answer = await client.post(f"{address_of(enqueued)}/remove", data={"confirmed": "yes"})
    assert answer.status_code == 409
    assert (await Inspector(app).job("jobs", enqueued.job_id)).state == "active"


async def test_a_job_is_cancelled_with_the_reason_that_was_given(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    address = f"{address_of(enqueued)}/cancel"
    for asked in (await client.get(address), await client.post(address)):
        assert "Cancel heartbeat 1?" in asked.text
        assert 'name="reason"' in asked.text
    assert (await Inspector(app).job("jobs", enqueued.job_id)).state == "waiting"
    done = await client.post(address, data={"confirmed": "yes", "reason": "the <b>order</b> was withdrawn"})
    assert (done.status_code, done.headers["location"]) == (303, f"{address_of(enqueued)}?notice=cancelled")
    page = (await client.get(done.headers["location"])).text
    assert "Cancelled: the &lt;b&gt;order&lt;/b&gt; was withdrawn" in page
    assert "1 job was cancelled." in page
    assert await audited(app) == [("cancel", "1", "done")]


async def test_a_running_job_is_told_to_stop_and_a_reason_is_not_needed(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await activate(app, enqueued)
    done = await client.post(f"{address_of(enqueued)}/cancel", data={"confirmed": "yes"})
    assert done.headers["location"] == f"{address_of(enqueued)}?notice=cancelling"


@pytest.mark.parametrize("reason", ["two\nlines", "x" * 1001, "\x1b[31m"])
async def test_a_reason_that_is_no_line_is_refused_with_what_was_typed(
    client: httpx.AsyncClient, app: App, reason: str
) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    answer = await client.post(f"{address_of(enqueued)}/cancel", data={"confirmed": "yes", "reason": reason})
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text
    assert (await Inspector(app).job("jobs", enqueued.job_id)).state == "waiting"


async def test_a_delayed_job_is_promoted(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat, delay_ms=60_000)
    done = await client.post(f"{address_of(enqueued)}/promote")
    assert (done.status_code, done.headers["location"]) == (303, f"{address_of(enqueued)}?notice=promoted")
    assert (await Inspector(app).job("jobs", enqueued.job_id)).state == "waiting"
    again = await client.post(f"{address_of(enqueued)}/promote")
    assert again.status_code == 409


async def test_an_act_on_a_job_that_is_gone_is_not_found(client: httpx.AsyncClient) -> None:
    for act in ("retry", "promote", "cancel", "remove", "again"):
        answer = await client.post(f"{BOARD}/queues/jobs/jobs/nope/{act}", data={"confirmed": "yes"})
        assert answer.status_code == 404


async def test_an_act_that_is_no_form_is_refused(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    for act in ("promote", "cancel", "remove", "again"):
        headers = {"content-type": "text/plain"}
        answer = await client.post(f"{address_of(enqueued)}/{act}", content=b"confirmed=yes", headers=headers)
        assert answer.status_code == 400
    assert (await Inspector(app).job("jobs", enqueued.job_id)).state == "waiting"


# What it shows


async def test_the_timeline_says_when_it_was_enqueued_started_and_finished(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await complete(app, enqueued, '{"done": 1}', at_ms=now_ms() + 1_000)
    page = (await client.get(address_of(enqueued))).text
    timeline = page[page.index('id="timeline"') :]
    assert re.findall(r'<span class="what">(\w+)', timeline) == ["enqueued", "started", "finished"]
    assert "after 10 ms" in timeline


async def test_the_timeline_of_a_job_that_was_cancelled_in_time_ends_there(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat, delay_ms=60_000)
    await app.cancel_job(enqueued.job_id, "not wanted")
    page = (await client.get(address_of(enqueued))).text
    assert re.findall(r'<span class="what">(\w+)', page) == ["enqueued", "finished"]


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        ("42", '<progress max="100" value="42.0"'),
        ('{"percent": 12.5}', '<progress max="100" value="12.5"'),
        ('{"done": 3, "total": 4}', '<progress max="100" value="75.0"'),
    ],
)
async def test_progress_that_is_a_share_is_a_bar(
    client: httpx.AsyncClient, app: App, progress: str, shown: str
) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await app.client.call("HSET", app.queue().keys.job(enqueued.job_id), "progress", progress)
    assert shown in (await client.get(address_of(enqueued))).text


@pytest.mark.parametrize(
    "progress", ["101", "-1", '"half"', '{"done": 1, "total": 0}', '{"done": 9, "total": 4}', "[1]", "true", "1e308"]
)
async def test_progress_that_is_none_is_shown_as_it_is(client: httpx.AsyncClient, app: App, progress: str) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await app.client.call("HSET", app.queue().keys.job(enqueued.job_id), "progress", progress)
    page = await client.get(address_of(enqueued))
    assert page.status_code == 200
    assert "<progress" not in page.text
    assert ">Progress</h2>" in page.text


async def test_what_a_job_was_created_by_and_what_it_created_are_linked(client: httpx.AsyncClient, app: App) -> None:
    maker = await app.enqueue_job(heartbeat, job_id="maker")
    made = await app.enqueue_job(heartbeat, job_id="made", created_by="maker")
    page = (await client.get(address_of(made))).text
    assert f'href="{address_of(maker)}"' in page[page.index("created by") :]


async def test_the_last_tries_error_comes_first_and_older_ones_are_folded(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    stacks = json.dumps([f"trace of try {number}" for number in range(1, 41)])
    await app.client.call("HSET", app.queue().keys.job(enqueued.job_id), "stacktrace", stacks)
    page = (await client.get(address_of(enqueued))).text
    assert page.index("trace of try 40") < page.index("trace of try 39")
    assert "19 older ones are not shown." in page


async def test_a_long_log_says_how_much_of_it_is_shown_and_numbers_its_lines(
    client: httpx.AsyncClient, app: App
) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    lines = [f"line {number}" for number in range(1, 1_501)]
    await app.client.call("RPUSH", app.queue().keys.job_logs(enqueued.job_id), *lines)
    page = (await client.get(address_of(enqueued))).text
    assert "the last 1,000 of 1,500 lines" in page
    assert '<li id="line-501">line 501</li>' in page
    assert 'start="501"' in page


async def test_what_changes_while_one_looks_can_be_replaced_piece_by_piece(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    page = (await client.get(address_of(enqueued))).text
    live = re.findall(r'id="([^"]+)"[^>]* data-live', page)
    assert {"head", "facts", "outcome", "timeline", "lines", "family", "turn"} <= set(live)
    identities = re.findall(r' id="([^"]+)"', page)
    assert len(identities) == len(set(identities))


async def test_a_hash_that_cannot_be_read_is_shown_field_by_field(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await app.client.call("HSET", app.queue().keys.job(enqueued.job_id), "data", f"{{{MARKUP}", MARKUP, MARKUP)
    page = await client.get(address_of(enqueued))
    assert page.status_code == 200
    assert "Cannot be read" in page.text
    assert "<img" not in page.text
    assert "again" not in offers(page.text)
    again = await client.get(f"{address_of(enqueued)}/again")
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("act", "status"), [("retry", 303), ("promote", 409), ("cancel", 409), ("again", 409), ("remove", 303)]
)
async def test_an_act_on_a_failed_job_that_cannot_be_read_is_made_or_refused_as_on_any_other(
    client: httpx.AsyncClient, app: App, act: str, status: int
) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    await app.client.call("HSET", app.queue().keys.job(enqueued.job_id), "data", "{")
    answer = await client.post(f"{address_of(enqueued)}/{act}", data={"confirmed": "yes"})
    assert answer.status_code == status


async def test_values_that_are_big_deep_or_odd_are_shown_as_text(client: httpx.AsyncClient, app: App) -> None:
    deep: object = "\u202edeep"
    for _ in range(90):
        deep = {"</pre><script>": deep}
    enqueued = await app.enqueue_job(note, {"deep": deep, "big": "x" * 300_000, "__proto__": MARKUP, "": "\x00\x1b"})
    page = await client.get(address_of(enqueued))
    assert page.status_code == 200
    assert "characters more" in page.text
    assert len(page.text) < 400_000
    assert "</pre><script>" not in page.text


async def test_every_text_of_a_job_is_text_on_all_of_its_pages(client: httpx.AsyncClient, app: App) -> None:
    long = f"{MARKUP}\u202e{'y' * 100_000}"
    enqueued = await app.enqueue_job(note, {MARKUP: long}, job_id=MARKUP, order_key=MARKUP, related=(MARKUP, MARKUP))
    keys = app.queue("notes").keys
    await fail(app, enqueued, long, long)
    await app.queue("notes").add_log(MARKUP, long, 10)
    await app.client.call("HSET", keys.job(MARKUP), "pb", long, "progress", json.dumps(long), "name", MARKUP)
    await app.client.call("HSET", keys.job(MARKUP), "returnvalue", json.dumps([long]))
    for act in ("", "/cancel", "/remove", "/again"):
        page = await client.get(f"{address_of(enqueued)}{act}")
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert "<img" not in page.text
        assert "\u202e" not in page.text


async def test_who_asked_is_in_the_audit_log_with_what_came_of_it(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await client.post(f"{address_of(enqueued)}/retry", headers={"x-request-id": "abc"})
    [entry] = (await Inspector(app).audit()).entries
    assert isinstance(entry.actor, str)
    assert Actor(entry.actor, "local", "abc").request_id == entry.request_id
    assert (entry.action, entry.queue, entry.target) == ("retry", "jobs", enqueued.job_id)
    assert (entry.outcome or "").startswith("refused")
