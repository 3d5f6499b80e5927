"""Bodies and headers as no good client sends them: a clear answer, in time, and never more than was asked for."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from jobqueue.app import App
from tests.board.support import serving

JOB = "/api/admin/job"
BODY = json.dumps({"handler": "heartbeat"})
JSON = {"content-type": "application/json"}


async def waiting(app: App) -> int:
    length: int = await app.client.call("LLEN", app.queue().keys.of("wait"))
    return length


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8"])
async def test_json_is_in_utf_8(client: httpx.AsyncClient, charset: str) -> None:
    headers = {"content-type": f"application/json; charset={charset}"}
    assert (await client.post(JOB, content=BODY, headers=headers)).status_code == 201


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "ascii", "utf-7", "%00", "x" * 1_000])
async def test_json_in_any_other_charset_is_refused(client: httpx.AsyncClient, app: App, charset: str) -> None:
    headers = {"content-type": f"application/json; charset={charset}"}
    answer = await client.post(JOB, content=BODY, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid")
    assert "UTF-8" in answer.json()["message"]
    assert await waiting(app) == 0


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
async def test_an_encoded_body_is_refused_and_never_unpacked(
    client: httpx.AsyncClient, app: App, encoding: str
) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    answer = await client.post(JOB, content=bomb, headers=JSON | {"content-encoding": encoding})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid")
    assert "encoded" in answer.json()["message"]
    assert await waiting(app) == 0


async def test_a_body_in_chunks_is_read_as_one(client: httpx.AsyncClient, app: App) -> None:
    async def letters() -> AsyncIterator[bytes]:
        for letter in BODY:
            yield letter.encode()

    assert (await client.post(JOB, content=letters(), headers=JSON)).status_code == 201
    assert await waiting(app) == 1


@pytest.mark.parametrize("path", ["1/retry", "1/promote", "1/cancel"])
async def test_a_change_without_a_body_takes_no_form_either(client: httpx.AsyncClient, path: str) -> None:
    for answer in (
        await client.post(f"{JOB}/{path}", data={"a": "b"}),
        await client.post(f"{JOB}/{path}", content="x", headers={"content-type": "text/plain"}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid")


async def test_a_body_with_a_question_is_passed_over(client: httpx.AsyncClient) -> None:
    for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        headers = {"content-type": content_type}
        answer = await client.request("GET", "/api/admin/handler", content=b"{", headers=headers)
        assert answer.status_code == 200


# Methods


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (JOB, {"GET", "HEAD", "POST"}),
        (f"{JOB}/1", {"GET", "HEAD", "DELETE"}),
        (f"{JOB}/1/retry", {"POST"}),
        ("/api/admin/cronJob/1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/api/admin/queue/jobs/pause", {"POST"}),
        ("/api/openapi.json", {"GET", "HEAD"}),
        ("/metrics", {"GET", "HEAD"}),
    ],
)
async def test_a_method_that_is_not_there_is_a_405_that_names_all_that_are(
    client: httpx.AsyncClient, path: str, allowed: set[str]
) -> None:
    for method in {"OPTIONS", "PUT", "TRACE", "BREW", "GET", "DELETE"} - allowed:
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")
        assert set(answer.headers["allow"].split(", ")) == allowed


async def test_head_is_answered_as_get_without_its_body(app: App) -> None:
    async with serving(app) as address, httpx.AsyncClient(base_url=httpx.URL(address).join("/")) as client:
        for path in (JOB, "/api/admin/handler", "/metrics", "/api/openapi.json", "/healthz"):
            head, get = await client.head(path), await client.get(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("header", ["x-http-method-override", "x-method-override", "x-http-method"])
async def test_the_method_of_an_admin_route_cannot_be_overridden(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.get(f"{JOB}/1/retry?_method=POST", headers={header: "POST"})
    assert answer.status_code == 405
    assert (await client.post(JOB, headers={header: "GET"})).status_code == 400


# Slow and broken off


async def sent(port: int, data: bytes) -> bytes:
    """All that the server answers to these bytes until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def head(path: str, content_type: str, framing: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n{framing}\r\n\r\n".encode()


@pytest.mark.parametrize("framing", ["content-length: 100", "transfer-encoding: chunked"])
async def test_a_body_that_never_comes_is_a_408_and_the_server_hangs_up(
    app: App, monkeypatch: pytest.MonkeyPatch, framing: str
) -> None:
    """It was waited for without end, and with it a connection was held."""
    monkeypatch.setattr("board.app.BODY_S", 0.2)
    async with serving(app) as address, asyncio.timeout(10):
        answer = await sent(httpx.URL(address).port or 0, head(JOB, "application/json", framing))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "too_slow"


async def test_a_form_that_never_comes_is_a_408_too(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("board.app.BODY_S", 0.2)
    path = "/bullBoard/queues/jobs/clean"
    async with serving(app) as address, asyncio.timeout(10):
        request = head(path, "application/x-www-form-urlencoded", "content-length: 100")
        answer = await sent(httpx.URL(address).port or 0, request)
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_comes_drop_by_drop_is_not_waited_for_longer(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("board.app.BODY_S", 0.5)
    async with serving(app) as address, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(address).port)
        writer.write(head(JOB, "application/json", "content-length: 1000000"))

        async def drip() -> None:
            while True:
                writer.write(b" ")
                await asyncio.sleep(0.05)  # slowly, and never with a pause as long as the limit

        dripping = asyncio.create_task(drip())
        status = await reader.readline()
        dripping.cancel()
        writer.close()
    assert status.startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_is_cut_short_does_nothing(app: App) -> None:
    async with serving(app) as address:
        _, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(address).port)
        writer.write(head(JOB, "application/json", f"content-length: {len(BODY) + 1}") + BODY.encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with httpx.AsyncClient(base_url=httpx.URL(address).join("/")) as client:
            assert (await client.get("/healthz")).status_code == 200
    assert await waiting(app) == 0
