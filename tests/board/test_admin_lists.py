"""Admin routes that list: jobs by what they are, handlers, workers, queues and the audit log."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from jobqueue.app import App
from jobqueue.clock import now_ms
from jobqueue.worker import Worker
from tests.board.support import complete, fail, heartbeat, note
from tests.support.eventually import eventually

JOB = "/api/admin/job"
QUEUE = "/api/admin/queue"
HOUR_MS = 3_600_000


async def listed(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"{JOB}?{query}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def ids(client: httpx.AsyncClient, query: str = "") -> list[str]:
    return [job["jobId"] for job in (await listed(client, query))["data"]]


async def test_the_jobs_of_a_queue_are_listed_with_their_total_and_without_their_logs(
    client: httpx.AsyncClient, app: App
) -> None:
    for number in range(3):
        await app.enqueue_job(heartbeat, job_id=f"j{number}")
    await app.enqueue_job(note, {"a": 1})
    page = await listed(client)
    assert (page["total"], page["complete"], page["scannedTo"]) == (3, True, None)
    assert {job["jobId"] for job in page["data"]} == {"j0", "j1", "j2"}
    assert all("logs" not in job and job["queue"] == "jobs" for job in page["data"])
    assert await ids(client, "queue=notes") == ["1"]


async def test_an_empty_parameter_and_one_that_is_not_known_are_passed_over(
    client: httpx.AsyncClient, app: App
) -> None:
    await app.enqueue_job(heartbeat, job_id="one")
    assert await ids(client, "queue=&name=&state=&related=&createdBy=&from=&to=&q=&x=%00&limit=") == ["one"]


async def test_each_filter_keeps_what_it_names(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_job(heartbeat, job_id="plain")
    await app.enqueue_job(heartbeat, job_id="of-order", related=("order", "7:1"))
    await app.enqueue_job(heartbeat, job_id="by-ann", created_by="ann")
    await app.enqueue_job(heartbeat, job_id="in-line", order_key="channel:42")
    await app.enqueue_job("syncData", {"resource_id": "needle in hay"}, job_id="other")
    await app.enqueue_job(heartbeat, job_id="later", delay_ms=HOUR_MS)
    assert await ids(client, "name=syncData") == ["other"]
    assert await ids(client, f"related={quote('order:7:1')}") == ["of-order"]
    assert await ids(client, "createdBy=ann") == ["by-ann"]
    assert await ids(client, "orderKey=channel:42") == ["in-line"]
    assert await ids(client, "q=NEEDLE") == ["other"]
    assert await ids(client, "state=delayed") == ["later"]
    assert await ids(client, "name=syncData&createdBy=ann") == []


async def test_cancelled_jobs_are_told_apart_from_failed_ones(client: httpx.AsyncClient, app: App) -> None:
    broken, unwanted = await app.enqueue_job(heartbeat), await app.enqueue_job(heartbeat)
    await fail(app, broken, "it broke")
    await client.post(f"{JOB}/{unwanted.job_id}/cancel")
    assert await ids(client, "state=failed&cancelled=true") == [unwanted.job_id]
    assert await ids(client, "state=failed&cancelled=false") == [broken.job_id]


@pytest.mark.parametrize("form", ["{}", "{iso}"])
async def test_a_time_is_epoch_milliseconds_or_iso_8601(client: httpx.AsyncClient, app: App, form: str) -> None:
    old_ms = 1_767_225_600_000  # 2026-01-01
    old, new = await app.enqueue_job(heartbeat), await app.enqueue_job(heartbeat)
    await complete(app, old, "1", old_ms)
    await complete(app, new, "1", old_ms + HOUR_MS)
    moment = form.format(old_ms + 1, iso="2026-01-01T00:00:00.001Z")
    assert await ids(client, f"state=completed&from={moment}") == [new.job_id]
    assert await ids(client, f"state=completed&to={moment}") == [old.job_id]


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=-1", "limit=x", f"limit={'9' * 5_000}", "limit=1.5", "limit=１"),
        *("offset=-1", "offset=x", "offset=%00", "scanFrom=-1", "scanFrom=x", "offset=NaN"),
    ],
)
async def test_a_number_out_of_range_is_clamped(client: httpx.AsyncClient, app: App, query: str) -> None:
    await app.enqueue_job(heartbeat, job_id="one")
    assert await ids(client, query) == ["one"]


async def test_an_offset_beyond_the_end_is_an_empty_page(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_job(heartbeat)
    assert await ids(client, f"offset={'9' * 30}") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=wait", "state"),
        ("state=unknown", "state"),
        ("state=%3Cscript%3E", "state"),
        ("related=order", "related"),
        ("related=:7", "related"),
        ("related=order:", "related"),
        ("from=yesterday", "from"),
        ("from=2026-01-01T00:00:00", "from"),
        ("from=-1", "from"),
        ("to=1e3", "to"),
        (f"to={'9' * 5_000}", "to"),
        ("cancelled=yes", "cancelled"),
        ("queue=a:b", "queue"),
    ],
)
async def test_a_word_that_means_nothing_is_refused_by_name(client: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await client.get(f"{JOB}?{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid")
    assert list(answer.json()["fieldErrors"]) == [field]
    assert len(answer.text) < 2_000


async def test_a_job_that_cannot_be_read_is_listed_with_its_raw_fields(client: httpx.AsyncClient, app: App) -> None:
    keys = app.queue().keys
    await app.client.call("HSET", keys.job("bad"), "name", "heartbeat", "data", "{", "timestamp", "5")
    await app.client.call("ZADD", keys.of("failed"), 5, "bad")
    (job,) = (await listed(client, "state=failed"))["data"]
    assert job["raw"] == {"name": "heartbeat", "data": "{", "timestamp": "5"}


# Queues


async def test_queues_are_listed_with_their_counts(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_job(note, {"a": 1})
    queues = {queue["name"]: queue for queue in (await client.get(QUEUE)).json()["data"]}
    assert queues.keys() == {"jobs", "notes"}
    assert queues["notes"]["counts"]["waiting"] == 1
    assert (queues["notes"]["paused"], queues["notes"]["refused"]) == (False, None)
    assert (await client.get(f"{QUEUE}/notes")).json()["data"] == queues["notes"]


async def test_a_queue_of_bullmq_5_says_why_it_is_refused(client: httpx.AsyncClient, app: App) -> None:
    await app.client.call("RPUSH", app.queue().keys.of("paused"), "1")
    shown = (await client.get(f"{QUEUE}/jobs")).json()["data"]
    assert "BullMQ 5" in shown["refused"]
    assert shown["counts"] == {}


# Workers


async def test_a_worker_is_listed_while_it_runs(client: httpx.AsyncClient, app: App) -> None:
    async def names() -> list[str]:
        return [worker["name"] for worker in (await client.get("/api/admin/worker")).json()["data"]]

    assert await names() == []
    async with Worker(app, name="here:1"):
        await eventually(names)
        (shown,) = (await client.get("/api/admin/worker")).json()["data"]
    assert (shown["language"], shown["active"]) == ("python", [])
    assert "jobs" in shown["queues"]


# Audit


async def test_who_did_what_is_listed_newest_first(client: httpx.AsyncClient) -> None:
    before_ms = now_ms()
    for act in ("pause", "resume"):
        request = await client.post(f"{QUEUE}/jobs/{act}", headers={"x-request-id": f"id-{act}"})
        assert request.status_code == 200
    page = (await client.get("/api/admin/audit")).json()
    assert [entry["action"] for entry in page["data"]] == ["resume", "pause"]
    newest = page["data"][0]
    assert newest.items() >= {"actor": "admin", "via": "local", "outcome": "done", "requestId": "id-resume"}.items()
    assert before_ms - 1_000 <= newest["at"] <= newest["finishedAt"]
    assert page["next"] is None


async def test_the_audit_log_is_read_page_by_page(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await client.post(f"{QUEUE}/jobs/pause")
    first = (await client.get("/api/admin/audit?limit=2")).json()
    second = (await client.get(f"/api/admin/audit?limit=2&before={quote(first['next'])}")).json()
    assert (len(first["data"]), len(second["data"]), second["next"]) == (2, 1, None)
    assert (await client.get("/api/admin/audit?queue=notes")).json()["data"] == []
    refused = await client.get("/api/admin/audit?before=yesterday")
    assert (refused.status_code, list(refused.json()["fieldErrors"])) == (400, ["before"])
