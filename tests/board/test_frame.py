"""Frame: what every answer has, also those that nobody meant to give."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Message, Scope

from board import create_app
from board.errors import problem_of
from jobqueue.app import App
from jobqueue.errors import DatabaseUnavailable
from tests.board.support import REGISTRY, client_of
from tests.conftest import MakeSettings

PATHS = [
    *(
        "/",
        "/healthz",
        "/healthz/",
        "/api/admin/handler/",
        "/readyz",
        "/bullBoard",
        "/bullBoard/",
        "/bullBoard/static/board.css",
        "/nowhere",
        "//evil",
    ),
    *("/bullBoard/nowhere", "/bullBoard/static/nope.css", "/bullBoard/static/..%2fapp.py", "/bullBoard/static"),
    *("/bullBoard/queues/jobs/failed", "/bullBoard/queues/nope/failed", "/bullBoard/queues/jobs/jobs/nope"),
    *("/api/admin/handler", "/api/admin/job", "/api/admin/job/nope", "/api/openapi.json", "/metrics"),
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_guarded_and_carries_its_request_id(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path, headers={"content-type": "application/json"})
    assert answer.status_code < 500
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-request-id"]
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers.get("location", "/bullBoard") == "/bullBoard"


async def test_unknown_routes_and_wrong_methods_are_answered_as_json(client: httpx.AsyncClient) -> None:
    unknown = await client.get("/nowhere")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")
    wrong = await client.delete("/api/admin/handler")
    assert (wrong.status_code, wrong.json()["error"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]
    assert wrong.json().keys() == {"error", "message", "requestId"}


async def test_a_page_that_fails_is_a_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/bullBoard/queues/nope/failed")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-request-id"] in answer.text


async def test_the_callers_request_id_is_kept_where_it_is_harmless(client: httpx.AsyncClient) -> None:
    kept = await client.get("/healthz", headers={"x-request-id": "abc-1.2_3"})
    assert kept.headers["x-request-id"] == "abc-1.2_3"
    for odd in ("<script>", "a b", "x" * 129, ""):
        replaced = await client.get("/healthz", headers={"x-request-id": odd})
        assert len(replaced.headers["x-request-id"]) == 32


async def test_an_unexpected_error_is_logged_and_answered_without_its_details(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    # given: another program's key where the queue's list should be
    async with App(REGISTRY, settings(environment="local")) as app, client_of(create_app(app)) as client:
        await app.client.call("SET", app.queue().keys.of("failed"), "x")
        answer = await client.get("/api/admin/job/1")
        page = await client.get("/bullBoard/queues/jobs/failed")
    for one in (answer, page):
        assert one.status_code == 500
        assert one.headers["x-request-id"] in caplog.text
        assert "frame-ancestors 'none'" in one.headers["content-security-policy"]
        assert "WRONGTYPE" not in one.text
    assert answer.json()["error"] == "internal"
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 2


def test_a_database_away_is_a_503() -> None:
    """It was a 500 that named no cause."""
    problem = problem_of(DatabaseUnavailable("db:5432", "connection refused"))
    assert (problem.status, problem.error) == (503, "unavailable")


async def test_a_client_that_hangs_up_is_no_failure(app: App, caplog: pytest.LogCaptureFixture) -> None:
    # given: a client that announces a body, and goes
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"10")]
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/admin/job",
        "raw_path": b"/api/admin/job",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    # when
    await create_app(app)(scope, receive, send)

    # then
    assert sent == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# Health


@pytest.fixture
async def refusing_database(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async def database_ready() -> None:
        raise OSError("no route to 10.0.0.7")

    async with client_of(create_app(app, database_ready=database_ready)) as client:
        yield client


async def test_readyz_asks_redis_and_the_database(app: App) -> None:
    asked: list[str] = []

    async def database_ready() -> None:
        asked.append("database")

    async with client_of(create_app(app, database_ready=database_ready)) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"data": {"status": "ok", "redis": "ok", "database": "ok"}}
    assert asked == ["database"]


async def test_readyz_is_a_503_that_names_no_address(refusing_database: httpx.AsyncClient) -> None:
    answer = await refusing_database.get("/readyz")
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert answer.json()["message"] == "not ready: database cannot be reached"
    assert "10.0.0.7" not in answer.text
    assert (await refusing_database.get("/healthz")).status_code == 200
