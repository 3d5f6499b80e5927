"""Admin routes of cron jobs when something is away, old or too much: an answer that says so, never a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest

from board.api.jobs import ROOM_BESIDE_PAYLOAD_BYTES
from tests.board.cron_support import CRON, NIGHTLY, CronBoard, cron_board, data_of
from tests.conftest import MakeSettings
from tests.support.redis_server import RedisServer

ONE: Final = f"{CRON}/0198c5a0-0000-7000-8000-000000000000"
NO_POSTGRES: Final = "postgresql://ann:s3cr3t@127.0.0.1:1/jobs"
REQUESTS: Final = (
    ("GET", CRON, None),
    ("POST", CRON, NIGHTLY),
    ("GET", ONE, None),
    ("PATCH", ONE, {"enabled": False}),
    ("DELETE", ONE, None),
    ("POST", f"{ONE}/trigger", None),
)


@pytest.fixture
async def board(settings: MakeSettings) -> AsyncIterator[CronBoard]:
    async with cron_board(settings(environment="local")) as board:
        yield board


async def answers_of(client: httpx.AsyncClient) -> list[httpx.Response]:
    """One answer of every route."""
    return [await client.request(method, path, json=body) for method, path, body in REQUESTS]


# The database


async def test_a_database_that_is_away_is_a_503_that_gives_no_password_away(settings: MakeSettings) -> None:
    made = settings(environment="local", database_url=NO_POSTGRES)
    async with cron_board(made, upgraded=False) as board:
        for answer in await answers_of(board.client):
            assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
            assert "s3cr3t" not in answer.text
        assert (await board.client.get("/readyz")).status_code == 503


async def test_a_database_without_its_tables_is_a_503_that_says_what_to_run(
    settings: MakeSettings, database_url: str
) -> None:
    made = settings(environment="local", database_url=database_url)
    async with cron_board(made, upgraded=False) as board:
        for answer in await answers_of(board.client):
            assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
            assert "jobqueue db upgrade" in answer.json()["message"]


# Redis


async def test_what_is_saved_while_redis_is_away_is_followed_when_it_is_back(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    async with cron_board(settings(environment="local", redis_url=own_redis.url)) as board:
        own_redis.kill()
        created = await board.created()
        assert (await board.changed(created["id"], maxAttempts=9))["maxAttempts"] == 9
        own_redis.start()
        await board.created(name="another")
        repeat = board.app.queue().keys.of("repeat")
        assert await board.app.client.call("ZSCORE", repeat, "nightly") is not None


async def test_a_trigger_while_redis_is_away_is_a_503(settings: MakeSettings, own_redis: RedisServer) -> None:
    async with cron_board(settings(environment="local", redis_url=own_redis.url)) as board, asyncio.timeout(20):
        created = await board.created()
        own_redis.kill()
        answer = await board.client.post(f"{CRON}/{created['id']}/trigger")
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")


async def test_a_trigger_into_a_queue_of_bullmq_5_is_refused(board: CronBoard) -> None:
    created = await board.created(enabled=False)
    await board.app.client.call("RPUSH", board.app.queue().keys.of("paused"), "1")
    answer = await board.client.post(f"{CRON}/{created['id']}/trigger")
    assert (answer.status_code, answer.json()["error"]) == (409, "queue_version")


# Rows that SQL has spoiled


async def spoil(board: CronBoard, spoiling: str) -> None:
    """Change the row `bad` behind our back."""
    async with board.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(f"UPDATE cron_job SET {spoiling} WHERE name = 'bad'")


async def test_a_row_that_cannot_be_read_is_a_409_and_may_be_deleted(settings: MakeSettings, database_url: str) -> None:
    """It was a 500 of every route, of the whole list too, and there was no way to be rid of it."""
    async with cron_board(settings(environment="local", database_url=database_url)) as board:
        bad, good = await board.created(name="bad"), await board.created(name="good")
        await spoil(board, r"""payload = '{"tag": "\ud800"}'""")

        path = f"{CRON}/{bad['id']}"
        for answer in (
            await board.client.get(path),
            await board.client.patch(path, json={"payload": None}),
            await board.client.post(f"{path}/trigger"),
        ):
            assert (answer.status_code, answer.json()["error"]) == (409, "unreadable")
            assert bad["id"] in answer.json()["message"]
        listed = (await board.client.get(CRON)).json()
        assert (listed["data"], listed["total"]) == ([good], 2)
        assert (await board.changed(good["id"], priority=1))["priority"] == 1

        assert (await board.client.delete(path)).status_code == 204
        assert (await board.client.get(CRON)).json()["total"] == 1


@pytest.mark.parametrize(
    ("spoiling", "field"),
    [("priority = -5", "priority"), ("backoff_ms = -1", "backoffMs"), ("payload = '[]'", "payload")],
)
async def test_a_trigger_of_a_spoiled_row_is_a_400_that_names_the_field(
    settings: MakeSettings, database_url: str, spoiling: str, field: str
) -> None:
    """It was a 500, or a job was stored with a priority that BullMQ does not have."""
    async with cron_board(settings(environment="local", database_url=database_url)) as board:
        bad = await board.created(name="bad", enabled=False)
        await spoil(board, spoiling)
        answer = await board.client.post(f"{CRON}/{bad['id']}/trigger")
        assert (answer.status_code, list(answer.json()["fieldErrors"])) == (400, [field])


# The address


async def test_query_parameters_that_are_not_known_are_passed_over(board: CronBoard) -> None:
    query = "?colour=red&limit=7&state[]=failed&&=&%00=%ff"
    created = data_of(await board.client.post(f"{CRON}{query}", json=NIGHTLY))
    path = f"{CRON}/{created['id']}"
    assert (await board.client.get(f"{CRON}{query}")).json() == {"data": [created], "total": 1}
    assert data_of(await board.client.get(f"{path}{query}")) == created
    assert data_of(await board.client.patch(f"{path}{query}", json={"priority": 2}))["priority"] == 2
    assert (await board.client.post(f"{path}/trigger{query}")).status_code == 202
    assert (await board.client.delete(f"{path}{query}")).status_code == 204


# The body


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_that_any_page_could_send_is_refused(board: CronBoard, content_type: str) -> None:
    path = f"{CRON}/{(await board.created())['id']}"
    headers = {"content-type": content_type}
    for method, where in (("POST", CRON), ("PATCH", path), ("DELETE", path), ("POST", f"{path}/trigger")):
        answer = await board.client.request(method, where, content=b'{"name": "x"}', headers=headers)
        assert answer.status_code == 400
        assert "application/json" in answer.json()["message"]
    assert (await board.client.get(path)).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"text"', b"5", b'{"payload":NaN}', b'{"name":"\\ud800"}', b"[" * 5_000]
)
async def test_a_body_that_cannot_be_meant_is_a_400(board: CronBoard, body: bytes) -> None:
    path = f"{CRON}/{(await board.created())['id']}"
    for method, where in (("POST", CRON), ("PATCH", path)):
        answer = await board.client.request(method, where, content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid")


async def test_a_body_that_is_too_large_is_a_413(settings: MakeSettings) -> None:
    async with cron_board(settings(environment="local", jobs_max_payload_bytes=1_000)) as board:
        path = f"{CRON}/{(await board.created())['id']}"
        body = {"description": "x" * (1_000 + ROOM_BESIDE_PAYLOAD_BYTES)}
        for answer in (await board.client.post(CRON, json=body), await board.client.patch(path, json=body)):
            assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
