"""Admin routes of what ties jobs together: order keys, related objects, duplicates; and of cancelling."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from board import create_app
from jobqueue import App, JobContext, Registry, limit, make_job
from jobqueue.control import MAX_REASON
from tests.board.support import activate, client_of, complete, fail
from tests.conftest import MakeSettings

JOB = "/api/admin/job"
ORDER_7 = {"type": "order", "id": "7"}


def itself(payload: str) -> str:
    return payload


@make_job
async def step(ctx: JobContext) -> None: ...


@make_job(duplicates="reject")
async def charge(ctx: JobContext) -> None: ...


@make_job(concurrency=limit(3, by=itself), rate_limit=(10, 1_000), ordered=True, ack="manual")
async def send(ctx: JobContext, payload: str) -> None: ...


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(Registry([step, charge, send]), settings(environment="local")) as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(app)) as client:
        yield client


async def stored(client: httpx.AsyncClient, handler: str, **options: object) -> str:
    answer = await client.post(JOB, json={"handler": handler, "options": options})
    assert answer.status_code == 201, answer.text
    job_id: str = answer.json()["data"]["jobId"]
    return job_id


async def shown(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    data: dict[str, Any] = (await client.get(f"{JOB}/{job_id}")).json()["data"]
    return data


# Enqueue


async def test_order_key_related_creator_and_expiry_are_stored_and_shown(client: httpx.AsyncClient) -> None:
    job_id = await stored(client, "step", orderKey="channel:42", related=ORDER_7, createdBy="alice", expiresInMs=60_000)
    job = await shown(client, job_id)
    assert (job["orderKey"], job["related"], job["createdBy"]) == ("channel:42", ORDER_7, "alice")
    assert job["expiresAt"] == job["enqueuedAt"] + 60_000


async def test_what_was_not_asked_for_is_shown_as_null(client: httpx.AsyncClient) -> None:
    job = await shown(client, await stored(client, "step"))
    names = ("orderKey", "related", "createdBy", "expiresAt", "waitsFor")
    assert [job[name] for name in names] == [None] * 5
    assert job["cancelled"] is False


async def test_each_fault_of_a_related_object_is_named(client: httpx.AsyncClient) -> None:
    options = {"related": {"type": None, "id": "a\r\nb", "extra": 1}}
    answer = await client.post(JOB, json={"handler": "step", "options": options})
    assert answer.status_code == 400
    fields = {f"options.related.{name}" for name in ("type", "id", "extra")}
    assert answer.json()["fieldErrors"].keys() == fields


async def test_a_duplicate_is_a_409_with_the_id_of_the_job_that_exists(client: httpx.AsyncClient, app: App) -> None:
    job_id = await stored(client, "charge", related=ORDER_7)
    answer = await client.post(JOB, json={"handler": "charge", "options": {"related": ORDER_7}})
    assert (answer.status_code, answer.json()["error"], answer.json()["jobId"]) == (409, "duplicate", job_id)
    assert await app.client.call("GET", app.queue().keys.of("id")) == "1"


async def test_a_parked_job_says_what_it_waits_for(client: httpx.AsyncClient) -> None:
    head, parked = [await stored(client, "step", orderKey="channel:42") for _ in range(2)]
    job = await shown(client, parked)
    assert job["state"] == "waiting-children"
    assert job["waitsFor"] == {"kind": "orderKey", "name": "channel:42", "holders": [head], "holderCount": 1}


async def test_handlers_are_listed_with_what_their_jobs_must_share(client: httpx.AsyncClient) -> None:
    listed: list[dict[str, Any]] = (await client.get("/api/admin/handler")).json()["data"]
    policies = {one["name"]: one["policy"] for one in listed}
    asked = {"concurrency": {"max": 3, "partitioned": True}, "rateLimit": {"max": 10, "perMs": 1_000}}
    assert policies["send"].items() >= (asked | {"ordered": True, "ack": "manual", "runIn": None}).items()
    assert policies["step"].items() >= {"duplicates": "allow", "concurrency": None, "rateLimit": None}.items()
    assert policies["charge"]["duplicates"] == "reject"


# Cancel


@pytest.mark.parametrize(("body", "reason"), [({"reason": "not wanted"}, "not wanted"), ({}, "no reason given")])
async def test_a_job_that_has_not_started_is_cancelled(
    client: httpx.AsyncClient, body: dict[str, str], reason: str
) -> None:
    job_id = await stored(client, "step")
    answer = await client.post(f"{JOB}/{job_id}/cancel", json=body)
    assert (answer.status_code, answer.json()) == (202, {"data": {"jobId": job_id, "state": "cancelled"}})
    job = await shown(client, job_id)
    assert (job["state"], job["cancelled"], job["failedReason"]) == ("failed", True, f"Cancelled: {reason}")


async def test_cancelling_needs_no_body(client: httpx.AsyncClient) -> None:
    job_id = await stored(client, "step", queue="aside")
    assert (await client.post(f"{JOB}/{job_id}/cancel?queue=aside")).status_code == 202


async def test_the_worker_of_an_active_job_is_told(client: httpx.AsyncClient, app: App) -> None:
    job = await app.enqueue_job(step)
    await activate(app, job)
    answer = await client.post(f"{JOB}/{job.job_id}/cancel", json={"reason": "not wanted"})
    assert (answer.status_code, answer.json()["data"]["state"]) == (202, "cancelling")
    assert (await app.client.call("GET", app.queue().keys.cancelled(job.job_id))).endswith(":not wanted")


async def test_a_job_that_has_ended_or_is_not_there_is_refused_with_distinct_errors(
    client: httpx.AsyncClient, app: App
) -> None:
    done, failed = await app.enqueue_job(step), await app.enqueue_job(step)
    await complete(app, done, "1")
    await fail(app, failed, "it broke")
    seen: list[tuple[int, str]] = []
    for job_id in (done.job_id, failed.job_id, "nope"):
        answer = await client.post(f"{JOB}/{job_id}/cancel")
        seen.append((answer.status_code, answer.json()["error"]))
    assert seen == [(409, "job_is_completed"), (409, "job_is_failed"), (404, "not_found")]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"reason": ""}, ["reason"]),
        ({"reason": 7}, ["reason"]),
        ({"reason": "a\nb"}, ["reason"]),
        ({"reason": "x" * (MAX_REASON + 1)}, ["reason"]),
        ({"why": "not wanted"}, ["why"]),
        ([], None),
        ("not wanted", None),
    ],
)
async def test_a_body_that_cannot_be_meant_is_a_400_and_cancels_nothing(
    client: httpx.AsyncClient, body: object, fields: list[str] | None
) -> None:
    job_id = await stored(client, "step")
    answer = await client.post(f"{JOB}/{job_id}/cancel", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid")
    assert (list(answer.json()["fieldErrors"]) if fields else None) == fields
    assert (await shown(client, job_id))["state"] == "waiting"


async def test_a_form_of_a_foreign_page_cancels_nothing(client: httpx.AsyncClient) -> None:
    job_id = await stored(client, "step")
    answer = await client.post(f"{JOB}/{job_id}/cancel", content="reason=x", headers={"content-type": "text/plain"})
    assert answer.status_code == 400
    assert (await shown(client, job_id))["state"] == "waiting"


async def test_a_cancelled_job_is_retried(client: httpx.AsyncClient) -> None:
    job_id = await stored(client, "step")
    await client.post(f"{JOB}/{job_id}/cancel")
    answer = await client.post(f"{JOB}/{job_id}/retry")
    assert (answer.status_code, answer.json()["data"]["state"]) == (200, "waiting")


async def test_a_retry_that_would_make_a_duplicate_is_a_409_with_the_other_jobs_id(
    client: httpx.AsyncClient,
) -> None:
    cancelled = await stored(client, "charge", related=ORDER_7)
    await client.post(f"{JOB}/{cancelled}/cancel")
    newer = await stored(client, "charge", related=ORDER_7)
    answer = await client.post(f"{JOB}/{cancelled}/retry")
    assert (answer.status_code, answer.json()["error"], answer.json()["jobId"]) == (409, "duplicate", newer)


async def test_a_queue_of_bullmq_5_is_not_touched(client: httpx.AsyncClient, app: App) -> None:
    await app.client.call("RPUSH", app.queue().keys.of("paused"), "1")
    answer = await client.post(f"{JOB}/1/cancel")
    assert (answer.status_code, answer.json()["error"]) == (409, "queue_version")
