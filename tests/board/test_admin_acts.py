"""Admin routes that act: on one job, on a queue, on many jobs at once. Each act is in the audit log."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from jobqueue.app import App
from tests.board.support import activate, complete, fail, heartbeat, note

JOB = "/api/admin/job"
QUEUE = "/api/admin/queue"
HOUR_MS = 3_600_000


async def state_of(app: App, job_id: str) -> str:
    return await app.queue().state(job_id)


async def done(client: httpx.AsyncClient, path: str, body: object = None) -> Any:
    """What an act answers under `data`."""
    answer = await client.post(path) if body is None else await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def failed_jobs(app: App, count: int) -> list[str]:
    jobs = [await app.enqueue_job(heartbeat) for _ in range(count)]
    for job in jobs:
        await fail(app, job, "it broke")
    return [job.job_id for job in jobs]


# One job


async def test_a_delayed_job_is_promoted(client: httpx.AsyncClient, app: App) -> None:
    job = await app.enqueue_job(heartbeat, delay_ms=HOUR_MS)
    assert (await done(client, f"{JOB}/{job.job_id}/promote"))["state"] == "waiting"
    again = await client.post(f"{JOB}/{job.job_id}/promote")
    assert (again.status_code, again.json()["error"]) == (409, "job_is_waiting")


async def test_a_job_is_removed(client: httpx.AsyncClient, app: App) -> None:
    job = await app.enqueue_job(heartbeat)
    answer = await client.delete(f"{JOB}/{job.job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await client.delete(f"{JOB}/{job.job_id}")).status_code == 404


async def test_an_active_job_is_not_removed(client: httpx.AsyncClient, app: App) -> None:
    job = await app.enqueue_job(heartbeat)
    await activate(app, job)
    await app.client.call("SET", app.queue().keys.job_lock(job.job_id), "token")
    answer = await client.delete(f"{JOB}/{job.job_id}")
    assert (answer.status_code, answer.json()["error"]) == (409, "job_is_active")


async def test_an_act_on_a_job_of_no_queue_is_a_404(client: httpx.AsyncClient, app: App) -> None:
    for path in ("retry", "promote", "cancel"):
        assert (await client.post(f"{JOB}/1/{path}?queue=nowhere")).status_code == 404
    assert (await client.delete(f"{JOB}/1?queue=nowhere")).status_code == 404
    assert await app.client.call("KEYS", "*nowhere*") == []


# A queue


async def test_a_queue_is_paused_and_resumed(client: httpx.AsyncClient) -> None:
    assert (await done(client, f"{QUEUE}/notes/pause"))["paused"] is True
    assert (await done(client, f"{QUEUE}/notes/pause"))["paused"] is True
    assert (await done(client, f"{QUEUE}/notes/resume"))["paused"] is False


async def test_a_queue_is_cleaned_by_state_age_and_number(client: httpx.AsyncClient, app: App) -> None:
    for _ in range(3):
        await complete(app, await app.enqueue_job(heartbeat), "1")
    old: dict[str, Any] = {"state": "completed", "olderThanMs": HOUR_MS}
    every: dict[str, Any] = {"state": "completed", "olderThanMs": 0}
    assert await done(client, f"{QUEUE}/jobs/clean", old) == {"removed": 0, "complete": True}
    assert await done(client, f"{QUEUE}/jobs/clean", every | {"limit": 2}) == {"removed": 2, "complete": True}
    assert await done(client, f"{QUEUE}/jobs/clean", every) == {"removed": 1, "complete": True}


async def test_a_queue_is_drained_of_delayed_jobs_where_that_is_asked_for(client: httpx.AsyncClient, app: App) -> None:
    await app.enqueue_job(heartbeat)
    later = await app.enqueue_job(heartbeat, delay_ms=HOUR_MS)
    assert await done(client, f"{QUEUE}/jobs/drain") == {"removed": 1, "complete": True}
    assert await state_of(app, later.job_id) == "delayed"
    assert await done(client, f"{QUEUE}/jobs/drain", {"delayed": True}) == {"removed": 1, "complete": True}


async def test_all_failed_jobs_are_retried_and_all_delayed_ones_promoted(client: httpx.AsyncClient, app: App) -> None:
    await failed_jobs(app, 2)
    await app.enqueue_job(heartbeat, delay_ms=HOUR_MS)
    every: dict[str, Any] = {"refused": 0, "problems": {}, "complete": True}
    assert await done(client, f"{QUEUE}/jobs/retry-failed") == {"done": 2} | every
    assert await done(client, f"{QUEUE}/jobs/promote-delayed") == {"done": 1} | every
    assert (await client.get(f"{QUEUE}/jobs")).json()["data"]["counts"]["waiting"] == 3


@pytest.mark.parametrize("queue", ["nowhere", "a%3Ab", "%00", "..%2fjobs"])
async def test_a_queue_that_is_not_there_is_a_404(client: httpx.AsyncClient, app: App, queue: str) -> None:
    bodies = {"clean": {"state": "failed", "olderThanMs": 0}, "jobs": {"act": "retry", "state": "failed"}}
    assert (await client.get(f"{QUEUE}/{queue}")).status_code == 404
    for act in ("pause", "resume", "clean", "drain", "retry-failed", "promote-delayed", "jobs"):
        answer = await client.post(f"{QUEUE}/{queue}/{act}", json=bodies.get(act, {}))
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found"), act
    assert await app.client.call("KEYS", "*nowhere*") == []


@pytest.mark.parametrize("act", ["pause", "resume", "drain", "retry-failed", "promote-delayed"])
async def test_a_queue_of_bullmq_5_is_not_touched(client: httpx.AsyncClient, app: App, act: str) -> None:
    await app.client.call("RPUSH", app.queue().keys.of("paused"), "1")
    answer = await client.post(f"{QUEUE}/jobs/{act}")
    assert (answer.status_code, answer.json()["error"]) == (409, "queue_version")


# Many jobs


async def test_the_jobs_that_are_named_are_treated(client: httpx.AsyncClient, app: App) -> None:
    first, second, third = await failed_jobs(app, 3)
    outcome = await done(client, f"{QUEUE}/jobs/jobs", {"act": "retry", "ids": [first, third, "nope"]})
    assert (outcome["done"], outcome["refused"], outcome["complete"]) == (2, 1, True)
    assert outcome["problems"].keys() == {"nope"}
    assert [await state_of(app, job) for job in (first, second, third)] == ["waiting", "failed", "waiting"]


async def test_all_that_match_are_treated(client: httpx.AsyncClient, app: App) -> None:
    jobs = await failed_jobs(app, 2)
    await app.enqueue_job(heartbeat, job_id="mine", created_by="ann", delay_ms=HOUR_MS)
    await app.enqueue_job(heartbeat, job_id="other", delay_ms=HOUR_MS)
    body = {"act": "remove", "state": "delayed", "matching": {"createdBy": "ann", "name": "heartbeat"}}
    assert (await done(client, f"{QUEUE}/jobs/jobs", body))["done"] == 1
    assert [await state_of(app, job) for job in ("mine", "other", *jobs)] == ["unknown", "delayed", "failed", "failed"]


async def test_many_are_cancelled_for_a_reason(client: httpx.AsyncClient, app: App) -> None:
    job = await app.enqueue_job(heartbeat)
    await done(client, f"{QUEUE}/jobs/jobs", {"act": "cancel", "state": "waiting", "reason": "not wanted"})
    shown = (await client.get(f"{JOB}/{job.job_id}")).json()["data"]
    assert (shown["cancelled"], shown["failedReason"]) == (True, "Cancelled: not wanted")


@pytest.mark.parametrize(
    ("act", "body", "field"),
    [
        ("clean", {"olderThanMs": 0}, "state"),
        ("clean", {"state": "failed"}, "olderThanMs"),
        ("clean", {"state": "failed", "olderThanMs": None}, "olderThanMs"),
        ("clean", {"state": "waiting-children", "olderThanMs": 0}, "state"),
        ("clean", {"state": "failed", "olderThanMs": -1}, "olderThanMs"),
        ("clean", {"state": "failed", "olderThanMs": 1.5}, "olderThanMs"),
        ("clean", {"state": "failed", "olderThanMs": "1"}, "olderThanMs"),
        ("clean", {"state": "failed", "olderThanMs": 2**63}, "olderThanMs"),
        ("clean", {"state": "failed", "olderThanMs": 0, "limit": 0}, "limit"),
        ("clean", {"state": "failed", "olderThanMs": 0, "limit": True}, "limit"),
        ("clean", {"state": "failed", "olderThanMs": 0, "limit": 2**63}, "limit"),
        ("clean", {"state": "failed", "age": 1}, "age"),
        ("drain", {"delayed": "yes"}, "delayed"),
        ("drain", {"delayed": None}, "delayed"),
        ("drain", {"x": 1}, "x"),
        ("jobs", {"act": "explode", "state": "failed"}, "act"),
        ("jobs", {"act": "retry", "ids": []}, "ids"),
        ("jobs", {"act": "retry", "ids": ["a"] * 1_001}, "ids"),
        ("jobs", {"act": "retry", "ids": "1"}, "ids"),
        ("jobs", {"act": "retry", "ids": [1]}, "ids.0"),
        ("jobs", {"act": "retry", "state": "wait"}, "state"),
        ("jobs", {"act": "retry", "state": "completed"}, "act"),
        ("jobs", {"act": "cancel", "state": "waiting", "reason": "a\nb"}, "reason"),
        ("jobs", {"act": "retry", "state": "failed", "matching": {"from": "x"}}, "matching.from"),
        ("jobs", {"act": "retry", "state": "failed", "matching": {"related": "a:b"}}, "matching.related"),
        ("jobs", {"act": "retry", "state": "failed", "matching": {"x": 1}}, "matching.x"),
        ("jobs", {"act": "remove", "state": "failed", "matching": {"q": ""}}, "matching.q"),
        ("jobs", {"act": "remove", "state": "failed", "matching": {"name": ""}}, "matching.name"),
        ("jobs", {"act": "remove", "state": "failed", "matching": {"createdBy": ""}}, "matching.createdBy"),
        ("jobs", {"act": "remove", "state": "failed", "matching": {"orderKey": ""}}, "matching.orderKey"),
        ("jobs", {"act": "retry", "state": "failed", "matching": []}, "matching"),
        ("jobs", {"act": "retry", "state": "failed", "offset": 1}, "offset"),
    ],
)
async def test_what_is_wrong_is_named_before_anything_is_done(
    client: httpx.AsyncClient, app: App, act: str, body: object, field: str
) -> None:
    (job,) = await failed_jobs(app, 1)
    answer = await client.post(f"{QUEUE}/jobs/{act}", json=body)
    assert (answer.status_code, list(answer.json()["fieldErrors"])) == (400, [field])
    assert await state_of(app, job) == "failed"


@pytest.mark.parametrize(
    "body",
    [
        {"act": "retry"},
        {"act": "retry", "ids": ["1"], "state": "failed"},
        {"act": "retry", "state": None},
        {"act": "retry", "ids": ["1"], "state": None},
    ],
)
async def test_which_jobs_is_said_in_one_way(client: httpx.AsyncClient, app: App, body: object) -> None:
    (job,) = await failed_jobs(app, 1)
    answer = await client.post(f"{QUEUE}/jobs/jobs", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid")
    assert await state_of(app, job) == "failed"


async def test_what_was_done_and_what_was_refused_is_in_the_audit_log(client: httpx.AsyncClient, app: App) -> None:
    (job,) = await failed_jobs(app, 1)
    await app.enqueue_job(note, {"a": 1})
    await client.post(f"{JOB}/{job}/retry")
    await client.post(f"{JOB}/{job}/retry")
    await client.post(f"{QUEUE}/notes/drain")
    entries = (await client.get("/api/admin/audit")).json()["data"]
    told = [(entry["action"], entry["queue"], entry["target"], entry["count"]) for entry in entries]
    assert told == [("drain", "notes", None, 1), ("retry", "jobs", job, None), ("retry", "jobs", job, None)]
    assert [entry["outcome"].partition(":")[0] for entry in entries] == ["done", "refused", "done"]
