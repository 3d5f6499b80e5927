"""Pages of what ties jobs together: parked jobs, cancelled ones apart from failed ones, and a job's links."""

from __future__ import annotations

import re

import httpx
import pytest
from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.inspector import MAX_LOOKED_AT
from tests.board.support import fail, heartbeat
from tests.board.test_pages import BOARD, MARKUP, OWN_SCRIPT, addresses

FAILED = f"{BOARD}/queues/jobs/failed"


async def one_failed_and_one_cancelled(app: App) -> None:
    await fail(app, await app.enqueue_job(heartbeat, job_id="broken"), "it broke")
    await app.enqueue_job(heartbeat, job_id="unwanted")
    await app.cancel_job("unwanted", "not wanted")


# Failed and cancelled


async def test_failed_jobs_are_listed_all_or_failed_or_cancelled(client: httpx.AsyncClient, app: App) -> None:
    await one_failed_and_one_cancelled(app)
    page = (await client.get(FAILED)).text
    links = dict(re.findall(r'<a href="([^"]*)"[^>]*>(All|Failed|Cancelled)</a>', page))
    assert links == {FAILED: "All", f"{FAILED}?cancelled=false": "Failed", f"{FAILED}?cancelled=true": "Cancelled"}
    listed = {text: (await client.get(address)).text for address, text in links.items()}
    seen = {text: ("it broke" in page, "Cancelled: not wanted" in page) for text, page in listed.items()}
    assert seen == {"All": (True, True), "Failed": (True, False), "Cancelled": (False, True)}
    assert f'href="{FAILED}?cancelled=true" aria-current="true">Cancelled' in listed["Cancelled"]


async def test_a_page_that_follows_keeps_the_filter(client: httpx.AsyncClient, app: App) -> None:
    await one_failed_and_one_cancelled(app)
    await app.enqueue_job(heartbeat, job_id="unwanted too")
    await app.cancel_job("unwanted too")
    page = (await client.get(f"{FAILED}?cancelled=true&limit=1")).text
    assert "1–1 of 2" in page
    assert f"{FAILED}?cancelled=true&amp;offset=1&amp;limit=1" in addresses(page)


async def test_a_filter_that_stopped_says_so_and_goes_on_by_pages(
    client: httpx.AsyncClient, redis: Redis, prefix: str
) -> None:
    await redis.zadd(f"{prefix}:jobs:failed", {f"old-{number}": number for number in range(MAX_LOOKED_AT + 1)})
    page = (await client.get(f"{FAILED}?cancelled=false")).text
    assert f"Only the latest {MAX_LOOKED_AT:,} failed jobs were looked at; there are more." in page
    assert f"{FAILED}?cancelled=false&amp;offset=50" in addresses(page)
    last = (await client.get(f"{FAILED}?cancelled=false&offset={MAX_LOOKED_AT - 10}")).text
    assert 'rel="next"' not in last
    none = (await client.get(f"{FAILED}?cancelled=true")).text
    assert "No jobs on this page." in none


@pytest.mark.parametrize("query", ["cancelled=1", "cancelled=<b>", "cancelled=", "cancelled=TRUE"])
async def test_a_filter_that_is_none_shows_all(client: httpx.AsyncClient, app: App, query: str) -> None:
    await one_failed_and_one_cancelled(app)
    page = (await client.get(f"{FAILED}?{query}")).text
    assert "it broke" in page
    assert "not wanted" in page
    assert "<b></b>" not in page


async def test_a_filter_is_offered_for_failed_jobs_alone(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{BOARD}/queues/jobs/completed?cancelled=true")
    assert answer.status_code == 200
    assert "Cancelled" not in answer.text


# One job


async def test_a_cancelled_job_is_said_to_be_and_can_be_retried(client: httpx.AsyncClient, app: App) -> None:
    await one_failed_and_one_cancelled(app)
    path = f"{BOARD}/queues/jobs/jobs/unwanted"
    page = (await client.get(path)).text
    assert re.search(r'<span class="badge cancelled">.*cancelled</span>', page, re.DOTALL)
    assert "Cancelled: not wanted" in page
    assert (await client.post(f"{path}/retry", data={})).status_code == 303
    assert "cancelled" not in (await client.get(path)).text


async def test_a_job_shows_its_object_order_key_creator_and_expiry(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_job(heartbeat, job_id="maker")
    await app.enqueue_job(
        heartbeat,
        job_id="made",
        order_key="channel:42",
        related=("order", "7"),
        created_by="maker",
        expires_in_ms=60_000,
    )
    page = (await client.get(f"{BOARD}/queues/jobs/jobs/made")).text
    for fact in ("<dt>Related</dt><dd>order 7</dd>", "<dt>Order key</dt><dd>channel:42</dd>", "<dt>Expires</dt>"):
        assert fact in page
    assert f'href="{BOARD}/queues/jobs/jobs/maker">maker</a>' in page


async def test_a_creator_that_is_no_job_of_the_queue_is_no_link(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_job(heartbeat, job_id="made", created_by="alice")
    page = (await client.get(f"{BOARD}/queues/jobs/jobs/made")).text
    assert "alice" in page
    assert f"{BOARD}/queues/jobs/jobs/alice" not in addresses(page)


async def test_a_parked_job_says_what_it_waits_for_and_links_to_the_holder(client: httpx.AsyncClient, app: App) -> None:
    for job_id in ("head", "parked"):
        await app.enqueue_job(heartbeat, job_id=job_id, order_key="channel:42")
    for path in ("jobs/parked", "waiting-children"):
        page = (await client.get(f"{BOARD}/queues/jobs/{path}")).text
        assert "waiting-children" in page
        assert "waits for its turn: order key channel:42" in page
        assert f'href="{BOARD}/queues/jobs/jobs/head">job head</a>' in page
    assert "waits for its turn" not in (await client.get(f"{BOARD}/queues/jobs/jobs/head")).text


async def test_nothing_that_ties_a_job_becomes_markup(client: httpx.AsyncClient, app: App) -> None:
    for job_id in (MARKUP, f"{MARKUP}2"):
        await app.enqueue_job(heartbeat, job_id=job_id, order_key=MARKUP, related=(MARKUP, MARKUP), created_by=MARKUP)
    listed = (await client.get(f"{BOARD}/queues/jobs/waiting-children")).text
    [address] = [one for one in addresses(listed) if "/jobs/jobs/" in one and one.endswith("2")]
    for page in (listed.replace(OWN_SCRIPT, "", 1), (await client.get(address)).text.replace(OWN_SCRIPT, "", 1)):
        assert "&lt;script&gt;" in page
        assert "<script" not in page
        assert "<img" not in page
        assert all(re.fullmatch(r"/bullBoard[A-Za-z0-9/._~%?=&;-]*|#main", one) for one in addresses(page))
