"""Admin routes: enqueue, show, retry and list handlers, as a program asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from board import create_app
from board.api.jobs import ROOM_BESIDE_PAYLOAD_BYTES
from jobqueue.app import App
from jobqueue.masking import MASK
from tests.board.support import REGISTRY, activate, client_of, complete, fail, heartbeat, note, serving
from tests.conftest import MakeSettings
from tests.support.redis_server import RedisServer

JOB = "/api/admin/job"


async def post(client: httpx.AsyncClient, body: object) -> httpx.Response:
    return await client.post(JOB, json=body)


# Enqueue


async def test_a_job_is_stored_and_can_be_read_back(client: httpx.AsyncClient) -> None:
    created = await post(client, {"handler": "note", "payload": {"a": [1, "ü"]}, "options": {"priority": 3}})
    assert created.status_code == 201
    data = created.json()["data"]
    assert (data["name"], data["created"], data["queue"]) == ("note", True, "notes")

    shown = (await client.get(f"{JOB}/{data['jobId']}", params={"queue": "notes"})).json()["data"]
    assert shown["enqueuedAt"] == data["enqueuedAt"]
    expected = {"jobId": data["jobId"], "name": "note", "state": "prioritized", "payload": {"a": [1, "ü"]}}
    unfinished = {"result": None, "failedReason": None, "attemptsMade": 0, "progress": 0}
    times = {"runAt": None, "processedAt": None, "finishedAt": None}
    assert shown.items() >= (expected | unfinished | times).items()


async def test_an_existing_job_id_answers_200_and_stores_nothing(client: httpx.AsyncClient) -> None:
    body = {"handler": "heartbeat", "options": {"jobId": "once"}}
    first, second = await post(client, body), await post(client, body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["data"] == first.json()["data"] | {"created": False}


async def test_a_payload_is_validated_by_the_rules_of_json(client: httpx.AsyncClient) -> None:
    answer = await post(
        client, {"handler": "syncData", "payload": {"resource_id": "r", "due": "2030-01-31", "pinCode": "12"}}
    )
    assert answer.status_code == 201
    job_id = answer.json()["data"]["jobId"]
    shown = (await client.get(f"{JOB}/{job_id}")).json()["data"]
    assert shown["payload"] == {"resource_id": "r", "due": "2030-01-31", "pinCode": MASK}


async def test_a_wrong_payload_names_its_fields(client: httpx.AsyncClient, app: App) -> None:
    answer = await post(client, {"handler": "syncData", "payload": {"due": "soon"}})
    assert answer.status_code == 400
    error = answer.json()
    assert error["error"] == "invalid"
    assert error["fieldErrors"].keys() == {"payload.resource_id", "payload.due"}
    assert error["requestId"] == answer.headers["x-request-id"]
    assert await app.client.call("EXISTS", app.queue().keys.of("id")) == 0


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"delayMs": -1}, "options.delayMs"),
        ({"delayMs": True}, "options.delayMs"),
        ({"delayMs": 1.5}, "options.delayMs"),
        ({"priority": 2**21}, "options.priority"),
        ({"attempts": 0}, "options.attempts"),
        ({"backoffMs": "1s"}, "options.backoffMs"),
        ({"timeoutMs": 0}, "options.timeoutMs"),
        ({"jobId": "12"}, "options.jobId"),
        ({"jobId": "a:b"}, "options.jobId"),
        ({"jobId": "a\r\nb"}, "options.jobId"),
        ({"queue": "a:b"}, "options.queue"),
        ({"queue": 5}, "options.queue"),
        ({"runAt": "2030-01-31T12:00:00"}, "options.runAt"),
        ({"runAt": "tomorrow"}, "options.runAt"),
        ({"runAt": 1e12}, "options.runAt"),
        ({"runAt": "0001-01-01T00:00:00+14:00"}, "options.runAt"),
        ({"runAt": 1, "delayMs": 1}, "options.runAt"),
        ({"orderKey": ""}, "options.orderKey"),
        ({"orderKey": "x" * 201}, "options.orderKey"),
        ({"createdBy": "a\nb"}, "options.createdBy"),
        ({"createdBy": 7}, "options.createdBy"),
        ({"expiresInMs": 0}, "options.expiresInMs"),
        ({"related": "order:7"}, "options.related"),
        ({"related": ["order", "7"]}, "options.related"),
        ({"related": {"type": "order"}}, "options.related.id"),
        ({"related": {"type": "order", "id": 7}}, "options.related.id"),
        ({"related": {"type": "", "id": "7"}}, "options.related.type"),
        ({"related": {"type": "order", "id": "7", "name": "x"}}, "options.related.name"),
        ({"bypassOutbox": True}, "options.bypassOutbox"),
        ([], "options"),
    ],
)
async def test_an_option_that_is_wrong_or_not_built_is_refused_by_name(
    client: httpx.AsyncClient, options: object, field: str
) -> None:
    answer = await post(client, {"handler": "heartbeat", "options": options})
    assert answer.status_code == 400
    assert list(answer.json()["fieldErrors"]) == [field]


async def test_options_arrive_where_they_belong(client: httpx.AsyncClient, app: App) -> None:
    options = {"attempts": 7, "backoffMs": 250, "timeoutMs": 900, "jobId": "mine", "queue": "aside", "delayMs": None}
    assert (await post(client, {"handler": "heartbeat", "options": options})).status_code == 201
    job = await app.queue("aside").job("mine")
    assert (job.attempts, job.options["backoff"], job.envelope.timeout_ms, job.delay_ms) == (
        7,
        {"type": "fixed", "delay": 250},
        900,
        0,
    )


@pytest.mark.parametrize("form", ["Z", "+02:00", "epoch milliseconds"])
async def test_run_at_takes_iso_8601_with_a_zone_and_epoch_milliseconds(client: httpx.AsyncClient, form: str) -> None:
    tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    in_paris = tomorrow.astimezone(timezone(timedelta(hours=2))).isoformat()
    run_at_ms = int(tomorrow.timestamp() * 1000)
    given = {"Z": in_paris.replace("+02:00", "Z"), "+02:00": in_paris}.get(form, run_at_ms)
    expected_ms = run_at_ms + (2 * 60 * 60 * 1000 if form == "Z" else 0)
    answer = await post(client, {"handler": "heartbeat", "options": {"runAt": given}})
    shown = (await client.get(f"{JOB}/{answer.json()['data']['jobId']}")).json()["data"]
    assert shown["state"] == "delayed"
    assert abs(shown["runAt"] - expected_ms) < 1_000


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b'"text"', b"5", b'{"handler":"heartbeat","payload":NaN}'),
        *(b'{"handler":"note","payload":{"a":1e999}}', b'{"handler":"note","payload":{"a":"\\ud800"}}'),
        *(b"\xff{}", b'{"handler":5}', b'{"payload":{}}', b'{"handler":"nope"}', b'{"handler":"heartbeat","x":1}'),
        *(b'{"handler":"heartbeat","payload":{}}', b"[" * 5_000, b'{"handler":"note","payload":' + b"[" * 5_000),
    ],
)
async def test_a_body_that_cannot_be_meant_is_a_400(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(JOB, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid"


async def test_of_names_that_occur_twice_the_last_counts(client: httpx.AsyncClient) -> None:
    body = b'{"handler":"nope","handler":"note","payload":{"a":1,"a":2}}'
    answer = await client.post(JOB, content=body, headers={"content-type": "application/json; charset=utf-8"})
    shown = await client.get(f"{JOB}/{answer.json()['data']['jobId']}?queue=notes")
    assert shown.json()["data"]["payload"] == {"a": 2}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_that_any_page_could_send_is_refused(client: httpx.AsyncClient, content_type: str) -> None:
    body = json.dumps({"handler": "heartbeat"}).encode()
    answer = await client.post(JOB, content=body, headers={"content-type": content_type})
    assert answer.status_code == 400
    assert "application/json" in answer.json()["message"]


async def test_a_body_that_is_too_large_is_refused_before_it_is_read_wholly(settings: MakeSettings) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 10_000

    small = settings(environment="local", jobs_max_payload_bytes=1_000)
    async with App(REGISTRY, small) as app, client_of(create_app(app)) as client:
        json_type = {"content-type": "application/json"}
        streamed = await client.post(JOB, content=endless(), headers=json_type)
        announced = await client.post(JOB, content=endless(), headers=json_type | {"content-length": "9" * 30})
        payload = await client.post(JOB, json={"handler": "note", "payload": {"a": "x" * 1_000}})
    assert [answer.status_code for answer in (streamed, announced, payload)] == [413, 413, 413]
    assert sent <= ROOM_BESIDE_PAYLOAD_BYTES // 10_000 + 3
    assert payload.json()["fieldErrors"].keys() == {"payload"}


async def test_the_server_hangs_up_on_a_body_without_end(app: App) -> None:
    """It once answered 413 and then went on to read gigabytes, only to throw them away."""
    async with serving(app) as address:
        port = httpx.URL(address).port
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {JOB} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        with pytest.raises(ConnectionError):
            await pour(writer)
        writer.close()


async def pour(writer: asyncio.StreamWriter) -> None:
    for _ in range(10_000):
        writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        await writer.drain()


# Show and retry


async def test_a_job_that_does_not_exist_is_a_404(client: httpx.AsyncClient) -> None:
    for path in (f"{JOB}/nope", f"{JOB}/nope?queue=nowhere", f"{JOB}/meta", f"{JOB}/%00", f"{JOB}/%ff", f"{JOB}/.."):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_an_id_with_slashes_dots_and_percents_is_one_name(client: httpx.AsyncClient, app: App) -> None:
    for job_id in ("a/b", "../x", "..%2f", "//evil", "a/retry", "%252e", "a b?c#d"):
        await app.enqueue_job(heartbeat, job_id=job_id)
        assert (await client.get(f"{JOB}/{quote(job_id, safe='')}")).json()["data"]["jobId"] == job_id


async def test_a_queue_that_cannot_be_is_a_400(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{JOB}/1", params={"queue": "a:b"})
    assert answer.status_code == 400
    assert answer.json()["fieldErrors"].keys() == {"queue"}


async def test_a_malformed_job_is_shown_with_its_raw_fields(client: httpx.AsyncClient, app: App) -> None:
    keys = app.queue().keys
    await app.client.call("HSET", keys.job("bad"), "name", "heartbeat", "data", "{", "timestamp", "5")
    shown = (await client.get(f"{JOB}/bad")).json()["data"]
    assert shown["raw"] == {"name": "heartbeat", "data": "{", "timestamp": "5"}
    assert "'data'" in shown["problem"]


async def test_a_failed_job_is_retried(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(note, {"a": 1})
    await fail(app, enqueued, "it broke", "Traceback")
    before = (await client.get(f"{JOB}/{enqueued.job_id}?queue=notes")).json()["data"]
    assert (before["state"], before["failedReason"], before["stacktrace"]) == ("failed", "it broke", ["Traceback"])
    answer = await client.post(f"{JOB}/{enqueued.job_id}/retry?queue=notes")
    assert answer.status_code == 200
    assert answer.json()["data"]["state"] == "waiting"


async def test_finished_active_and_missing_jobs_are_refused_with_distinct_errors(
    client: httpx.AsyncClient, app: App
) -> None:
    done, running = await app.enqueue_job(heartbeat), await app.enqueue_job(heartbeat)
    await complete(app, done, "1")
    await activate(app, running)
    seen: list[tuple[int, str]] = []
    for job_id in (done.job_id, running.job_id, "nope"):
        answer = await client.post(f"{JOB}/{job_id}/retry")
        seen.append((answer.status_code, answer.json()["error"]))
    assert seen == [(409, "job_is_completed"), (409, "job_is_active"), (404, "not_found")]


async def test_a_queue_of_bullmq_5_is_refused(client: httpx.AsyncClient, app: App) -> None:
    await app.client.call("RPUSH", app.queue().keys.of("paused"), "1")
    for answer in (
        await post(client, {"handler": "heartbeat"}),
        await client.get(f"{JOB}/1"),
        await client.post(f"{JOB}/1/retry"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (409, "queue_version")


async def test_numbers_that_json_does_not_have_become_null(client: httpx.AsyncClient, app: App) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await complete(app, enqueued, '{"a":1e999}')
    assert (await client.get(f"{JOB}/{enqueued.job_id}")).json()["data"]["result"] == {"a": None}


# Handlers


async def test_handlers_are_listed_with_policy_and_schema(client: httpx.AsyncClient) -> None:
    listed: list[dict[str, Any]] = (await client.get("/api/admin/handler")).json()["data"]
    handlers = {one["name"]: one for one in listed}
    assert list(handlers) == ["syncData", "note", "heartbeat"]
    assert handlers["syncData"]["pattern"] == "superseding"
    assert handlers["syncData"]["payloadSchema"]["required"] == ["resource_id"]
    assert handlers["heartbeat"]["payloadSchema"] is None
    policy = handlers["note"]["policy"]
    assert (policy["queue"], policy["attempts"], policy["timeoutMs"]) == ("notes", 5, 2_000)
    assert policy["backoff"] == {"type": "exponential", "delayMs": 5_000, "jitter": 0.0}


# Redis away


async def test_redis_away_is_a_503_in_time(settings: MakeSettings) -> None:
    away = settings(environment="local", redis_url="redis://127.0.0.1:1/0")
    async with App(REGISTRY, away) as app, client_of(create_app(app)) as client, asyncio.timeout(6):
        answers = [
            await post(client, {"handler": "heartbeat"}),
            await client.get(f"{JOB}/1"),
            await client.post(f"{JOB}/1/retry"),
            await client.get("/readyz"),
        ]
        assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(503, "unavailable")] * 4
        assert (await client.get("/bullBoard")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200


async def test_a_redis_that_no_longer_answers_is_a_503_until_it_does(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    frozen = settings(environment="local", redis_url=own_redis.url, redis_call_ms=300)
    async with App(REGISTRY, frozen) as app, client_of(create_app(app)) as client:
        assert (await post(client, {"handler": "heartbeat"})).status_code == 201
        own_redis.pause()
        async with asyncio.timeout(20):
            assert (await post(client, {"handler": "heartbeat"})).status_code == 503
            assert (await client.get(f"{JOB}/1")).status_code == 503
            assert (await client.get("/bullBoard/queues/jobs/waiting")).status_code == 503
        own_redis.resume()
        assert (await client.get(f"{JOB}/1")).status_code == 200
        own_redis.kill()
        assert (await client.get(f"{JOB}/1")).status_code == 503
        own_redis.start()
        assert (await post(client, {"handler": "heartbeat"})).status_code == 201


async def test_a_redis_that_is_loading_or_read_only_is_a_503(settings: MakeSettings, own_redis: RedisServer) -> None:
    replica = settings(environment="local", redis_url=own_redis.url)
    async with App(REGISTRY, replica) as app, client_of(create_app(app)) as client:
        await app.client.call("REPLICAOF", "127.0.0.1", "1")
        assert (await post(client, {"handler": "heartbeat"})).status_code == 503
