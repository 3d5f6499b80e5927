"""Pages: what a person sees, and that nothing a job holds becomes more than text."""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from board import create_app
from jobqueue.app import App
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.job import MAX_PRIORITY
from jobqueue.upgrades import upgrade
from tests.board.support import client_of, complete, fail, heartbeat, note
from tests.conftest import MakeSettings

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
BOARD = "/bullBoard"
OWN_SCRIPT = f'<script type="module" src="{BOARD}/static/board.js"></script>'
"""The one script that a page has."""


def addresses(page: str) -> list[str]:
    """Every address that the page names."""
    return re.findall(r'(?:href|src|action)="([^"]*)"', page)


async def test_the_queues_are_listed_with_their_counts(client: httpx.AsyncClient, app: App) -> None:
    for _ in range(3):
        await app.enqueue_job(heartbeat)
    page = (await client.get(BOARD)).text
    assert f'href="{BOARD}/queues/jobs/waiting">3</a>' in page
    assert f'href="{BOARD}/queues/notes/failed">0</a>' in page


async def test_a_failed_job_shows_its_data_error_stack_log_and_a_retry_button(
    client: httpx.AsyncClient, app: App
) -> None:
    enqueued = await app.enqueue_job(note, {"order": 17, "password": "s3cr3t"})
    await app.queue("notes").add_log(enqueued.job_id, "step one", 10)
    await fail(app, enqueued, "it broke", "Traceback: deep down")
    page = (await client.get(f"{BOARD}/queues/notes/jobs/{enqueued.job_id}")).text
    for text in ("it broke", "Traceback: deep down", "step one", "&#34;order&#34;: 17", "Retry", "failed"):
        assert text in page
    assert "s3cr3t" not in page
    listed = (await client.get(f"{BOARD}/queues/notes/failed")).text
    assert "it broke" in listed


async def test_retry_answers_with_the_jobs_page_and_is_not_offered_again(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    path = f"{BOARD}/queues/jobs/jobs/{enqueued.job_id}"
    answer = await client.post(f"{path}/retry", data={})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert "Retry" not in (await client.get(path)).text
    again = await client.post(f"{path}/retry")
    assert again.status_code == 409
    assert "is waiting, not failed" in again.text


async def test_a_retry_that_is_no_form_is_refused(client: httpx.AsyncClient) -> None:
    for content_type in ("text/plain", "application/json", "multipart/form-data; boundary=x"):
        headers = {"content-type": content_type}
        answer = await client.post(f"{BOARD}/queues/jobs/jobs/1/retry", content=b"x", headers=headers)
        assert answer.status_code == 400


async def test_nothing_that_a_job_holds_becomes_markup(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(note, {MARKUP: [MARKUP, "javascript:alert(1)"]}, job_id=MARKUP)
    keys = app.queue("notes").keys
    await app.queue("notes").add_log(MARKUP, MARKUP, 10)
    await fail(app, enqueued, MARKUP, MARKUP)
    await app.client.call("HSET", keys.job(MARKUP), "name", MARKUP, "pb", MARKUP, "progress", f'["{"<script>"}"]')
    await app.client.call("HSET", app.queue(MARKUP).keys.of("meta"), "version", "bullmq:6.7.0")
    paths = ["", "/queues/notes/failed", f"/queues/notes/jobs/{quote(MARKUP, safe='')}"]
    paths += [f"/queues/{quote(MARKUP, safe='')}/failed", f"/queues/notes/jobs/{quote(MARKUP + 'x', safe='')}"]
    for path in paths:
        page = (await client.get(BOARD + path)).text.replace(OWN_SCRIPT, "", 1)
        assert "<script" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page
        for address in addresses(page):
            assert re.fullmatch(r"/bullBoard[A-Za-z0-9/._~%?=&;-]*|#main", address)


@pytest.mark.parametrize(
    "job_id", ["a/b", "..%2f..%2fetc", "//evil.example", "/\\evil", "%0d%0aset-cookie=a", "a?b#c", "é 漢"]
)
async def test_an_odd_id_is_linked_retried_and_never_leaves_the_board(
    client: httpx.AsyncClient, app: App, job_id: str
) -> None:
    await fail(app, await app.enqueue_job(heartbeat, job_id=job_id), "no")
    listed = (await client.get(f"{BOARD}/queues/jobs/failed")).text
    [address] = [one for one in addresses(listed) if "/jobs/jobs/" in one]
    shown = await client.get(address)
    assert shown.status_code == 200
    [action] = [one for one in addresses(shown.text) if one.endswith("/retry")]
    answer = await client.post(action)
    assert (answer.status_code, answer.headers["location"]) == (303, address)
    assert address.startswith(f"{BOARD}/queues/jobs/jobs/")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("job_id", ["%0d%0aset-cookie:%20a=b", "..%2f..", "%2f%2fevil.example", "%5c%5cevil"])
async def test_an_id_that_does_not_exist_is_no_redirect(client: httpx.AsyncClient, job_id: str) -> None:
    answer = await client.post(f"{BOARD}/queues/jobs/jobs/{job_id}/retry")
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers


async def test_a_name_of_dots_is_shown_without_an_address(client: httpx.AsyncClient, app: App) -> None:
    await fail(app, await app.enqueue_job(heartbeat, job_id=".."), "no")
    page = (await client.get(f"{BOARD}/queues/jobs/failed")).text
    assert '<span class="name">heartbeat</span>' in page
    assert not any(".." in address for address in addresses(page))


@pytest.mark.parametrize(
    "query", ["offset=x&limit=y", f"offset={'9' * 5000}", "offset=-1&limit=0", "limit=²", "offset=<b>"]
)
async def test_a_number_that_is_none_does_no_harm(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{BOARD}/queues/jobs/waiting?{query}")
    assert answer.status_code == 200
    assert "<b>0" in answer.text
    assert "offset=<" not in answer.text


async def test_a_long_list_has_pages(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_jobs([(heartbeat, None)] * 120)
    first = (await client.get(f"{BOARD}/queues/jobs/waiting")).text
    assert "1–50 of 120" in first
    assert f'href="{BOARD}/queues/jobs/waiting?offset=50" rel="next"' in first
    last = (await client.get(f"{BOARD}/queues/jobs/waiting?offset=100")).text
    assert "101–120 of 120" in last
    assert 'rel="next"' not in last
    assert f'href="{BOARD}/queues/jobs/waiting?offset=50" rel="prev"' in last


async def test_times_and_numbers_that_make_no_sense_are_shown_as_they_are(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat, priority=MAX_PRIORITY)
    await complete(app, enqueued, '"' + "x" * 200_000 + '"')
    odd = {"finishedOn": "99999999999999999999", "processedOn": "-5", "timestamp": "1e3", "progress": '{"a":1e999}'}
    for name, value in odd.items():
        await app.client.call("HSET", app.queue().keys.job(enqueued.job_id), name, value)
    page = await client.get(f"{BOARD}/queues/jobs/jobs/{enqueued.job_id}")
    assert page.status_code == 200
    assert "characters more" in page.text
    assert (await client.get(f"{BOARD}/queues/jobs/completed")).status_code == 200


async def test_an_empty_state_and_an_unknown_one(client: httpx.AsyncClient) -> None:
    assert "No waiting-children jobs." in (await client.get(f"{BOARD}/queues/jobs/waiting-children")).text
    for state in ("unknown", "nope", "wait", "jobs"):
        assert (await client.get(f"{BOARD}/queues/jobs/{state}")).status_code == 404


# Mounted


@pytest.mark.parametrize("mount", ["/ops", "/a/b", "/op%20s"])
async def test_mounted_under_a_path_every_link_stays_below_it(app: App, mount: str) -> None:
    await upgrade(app.settings.database_url, MIGRATIONS)  # which the cron page reads
    await fail(app, await app.enqueue_job(heartbeat, job_id="a/b"), "no")
    outer = Starlette(routes=[Mount(mount.replace("%20", " "), create_app(app))])
    async with client_of(outer) as client:
        page = await client.get(f"{mount}{BOARD}/queues/jobs/jobs/a%2Fb")
        assert page.status_code == 200
        assert all(address.startswith(f"{mount}{BOARD}") for address in addresses(page.text) if address != "#main")
        for address in addresses(page.text):
            if not address.endswith(("/retry", "#main")):
                assert (await client.get(address)).status_code == 200
        answer = await client.post(f"{mount}{BOARD}/queues/jobs/jobs/a%2Fb/retry")
        assert answer.headers["location"] == f"{mount}{BOARD}/queues/jobs/jobs/a%2Fb"
        assert (await client.get(f"{mount}/")).headers["location"] == f"{mount}{BOARD}"
        assert (await client.get(f"{mount}/healthz")).status_code == 200
        assert (await client.get(f"{mount}/api/admin/job/a%2Fb")).status_code == 200


async def test_behind_a_proxy_that_strips_a_prefix_links_carry_it(app: App) -> None:
    transport = httpx.ASGITransport(app=create_app(app), root_path="/proxy")
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        page = await client.get(BOARD)
    assert page.status_code == 200
    assert f'href="/proxy{BOARD}"' in page.text


async def test_mounted_elsewhere_without_credentials_it_is_still_closed(settings: MakeSettings) -> None:
    async with App(settings=settings()) as app:
        outer = Starlette(routes=[Mount("/ops", create_app(app))])
        async with client_of(outer) as client:
            assert (await client.get(f"/ops{BOARD}")).status_code == 404
            assert (await client.get("/ops/api/admin/handler")).status_code == 404
            assert (await client.get("/ops/healthz")).status_code == 200


async def test_the_boards_path_is_a_setting(settings: MakeSettings) -> None:
    moved = settings(environment="local", bull_board_path="/ops/board")
    async with App(settings=moved) as app, client_of(create_app(app)) as client:
        page = await client.get("/ops/board")
        assert 'href="/ops/board/static/board.css"' in page.text
        assert (await client.get("/ops/board/static/board.css")).status_code == 200
        assert (await client.get(BOARD)).status_code == 404
