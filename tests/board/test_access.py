"""Access: who may ask what. Each test is a way in which a board was once opened, or a way that must stay open."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import httpx
import pytest
from starlette.types import ASGIApp, Message

from board import create_app
from board.access import Access, Asked
from jobqueue.app import App
from jobqueue.errors import SettingsError
from tests.board.support import REGISTRY, client_of, fail, heartbeat
from tests.conftest import MakeSettings

USER, PASSWORD, TOKEN = "ann", "pä:ss:wörd", "t0ken-ü"
CREDENTIALS = {"bull_board_username": USER, "bull_board_password": PASSWORD}
ADMIN = ("/api/admin/handler", "/api/admin/job/1")
BOARD = ("/bullBoard", "/bullBoard/queues/jobs/failed", "/bullBoard/static/board.css", "/", "/metrics", "/nowhere")
HEALTH = ("/healthz", "/readyz")


HeaderMap: TypeAlias = dict[str, str] | dict[bytes, bytes]


def basic(user: str | bytes = USER, password: str | bytes = PASSWORD, scheme: str = "Basic") -> dict[str, str]:
    parts = (part.encode() if isinstance(part, str) else part for part in (user, password))
    return {"authorization": f"{scheme} {base64.b64encode(b':'.join(parts)).decode()}"}


def bearer(token: str = TOKEN) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + token.encode()}


@asynccontextmanager
async def board_with(
    make: MakeSettings, host: str = "http://jobs.example", **changes: object
) -> AsyncGenerator[httpx.AsyncClient]:
    async with App(REGISTRY, make(**changes)) as app, client_of(create_app(app), host) as client:
        yield client


async def status(client: httpx.AsyncClient, path: str, headers: HeaderMap | None = None, method: str = "GET") -> int:
    return (await client.request(method, path, headers=headers)).status_code


# Local


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8000", "127.0.0.1:1", "[::1]", "[::1]:65535"])
async def test_local_is_open_for_this_machine(client: httpx.AsyncClient, host: str) -> None:
    for path in ("/bullBoard", "/api/admin/handler", "/bullBoard/static/board.css"):
        assert await status(client, path, {"host": host}) == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "evil-localhost", "localhost.", "127.0.0.1.", "127.1", "::1"),
        *("127.0.0.1.nip.io", "localhost:80:80", "localhost:", "localhost:x", "user@localhost", "0x7f.1", "[::]", ""),
        *(
            "localhost, evil.example",
            "evil.example#localhost",
            "localhost\tx",
            "[::ffff:127.0.0.1]",
            "２localhost".encode(),
        ),
    ],
)
async def test_local_is_closed_for_any_other_host_name(client: httpx.AsyncClient, host: str | bytes) -> None:
    value = host if isinstance(host, bytes) else host.encode()
    for path in (*BOARD, *ADMIN):
        assert await status(client, path, {b"host": value}) == 403
    assert await status(client, "/healthz", {b"host": value}) == 200


@pytest.mark.parametrize("hosts", [[], [b"localhost", b"evil.example"], [b"localhost", b"localhost"]])
async def test_local_is_closed_without_exactly_one_host(app: App, hosts: Sequence[bytes]) -> None:
    assert await ask_raw(create_app(app), "/bullBoard", [(b"host", host) for host in hosts]) == 403


async def ask_raw(app: ASGIApp, path: str, headers: Sequence[tuple[bytes, bytes]]) -> int:
    """A request that no HTTP library would send."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, object] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
    }
    scope |= {"headers": list(headers), "scheme": "http", "http_version": "1.1", "root_path": "", "server": None}
    await app(scope, receive, send)
    answered: int = sent[0]["status"]
    return answered


# Elsewhere


@pytest.mark.parametrize("environment", [None, "production", "test", "Local", "local "])
async def test_elsewhere_without_credentials_there_is_nothing_but_health(
    settings: MakeSettings, environment: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with board_with(settings, "http://localhost", environment=environment, bull_board_username="") as client:
        for path in (*BOARD, *ADMIN):
            assert await status(client, path) == 404
            assert await status(client, path, method="POST") == 404
            assert await status(client, path, method="HEAD") == 404
        for path in HEALTH:
            assert await status(client, path) == 200
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "disabled" in warnings[0].message
    assert "BULL_BOARD_USERNAME" in warnings[0].message


async def test_credentials_open_every_route_and_nothing_else_does(settings: MakeSettings) -> None:
    async with board_with(settings, **CREDENTIALS) as client:
        for path in (*BOARD, *ADMIN):
            answer = await client.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == 'Basic realm="BullBoard", charset="UTF-8"'
            assert await status(client, path, method="HEAD") == 401
            assert await status(client, path, basic()) not in (401, 403)
        for path in HEALTH:
            assert await status(client, path) == 200
        for path in ("/healthz/", "/healthz/../bullBoard", "/healthz%2f..%2fbullBoard", "/%68ealthz", "//healthz"):
            assert await status(client, path) == 401


@pytest.mark.parametrize(
    "header",
    [
        *("", "Basic", "Basic ", "Basic !!!", "Basic YW5u", "Basic Og==", "Basic OjpAOg", "Basic \xff"),
        *(f"Bearer {USER}:{PASSWORD}", f"Basic {USER}:{PASSWORD}", "Basic " + "A" * 1_000_000, "Digest x"),
        *(basic(password="wrong")["authorization"], basic(user="bob")["authorization"]),
        *(basic(b"\xff\xfe", b"\xff")["authorization"], basic(USER, PASSWORD + ":")["authorization"]),
        *(basic(USER, "")["authorization"], basic("", PASSWORD)["authorization"], basic("", "")["authorization"]),
        basic(USER.upper())["authorization"],
    ],
)
async def test_a_wrong_or_broken_header_is_a_401(settings: MakeSettings, header: str) -> None:
    async with board_with(settings, **CREDENTIALS) as client:
        value = header.encode("utf-8", "surrogateescape")
        assert await status(client, "/bullBoard", {b"authorization": value}) == 401


async def test_the_scheme_may_be_in_any_case_and_a_password_may_hold_colons(settings: MakeSettings) -> None:
    async with board_with(settings, **CREDENTIALS) as client:
        for scheme in ("basic", "BASIC", "Basic  "):
            assert await status(client, "/bullBoard", basic(scheme=scheme)) == 200


async def test_two_authorization_headers_are_refused(settings: MakeSettings) -> None:
    async with App(REGISTRY, settings(**CREDENTIALS)) as app:
        header = (b"authorization", basic()["authorization"].encode())
        board = create_app(app)
        assert await ask_raw(board, "/bullBoard", [header]) == 200
        assert await ask_raw(board, "/bullBoard", [header, header]) == 401


def test_both_parts_are_compared_whatever_the_first_one_says(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, right: bytes) -> bool:
        compared.append((given, right))
        return given == right

    monkeypatch.setattr("hmac.compare_digest", compare)
    access = Access.of(settings(**CREDENTIALS))
    header = basic("bob", "wrong")["authorization"].encode()
    assert access.refusal(Asked("GET", "/bullBoard", [(b"authorization", header)])) is not None
    assert (b"bob", USER.encode()) in compared
    assert (b"wrong", PASSWORD.encode()) in compared


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"bull_board_username": "ann"}, "BULL_BOARD_PASSWORD"),
        ({"bull_board_password": "x"}, "BULL_BOARD_USERNAME"),
        ({"bull_board_username": "ann", "bull_board_password": ""}, "BULL_BOARD_PASSWORD"),
        ({"bull_board_username": "a:nn", "bull_board_password": "x"}, "BULL_BOARD_USERNAME"),
        ({"bull_board_path": "/api/admin"}, "BULL_BOARD_PATH"),
        ({"bull_board_path": "/healthz"}, "BULL_BOARD_PATH"),
        ({"bull_board_path": "/a/../b"}, "BULL_BOARD_PATH"),
    ],
)
def test_a_setting_that_cannot_protect_stops_the_start(
    settings: MakeSettings, changes: dict[str, object], names: str
) -> None:
    with pytest.raises(SettingsError, match=names):
        create_app(App(REGISTRY, settings(**changes)))


# The admin token


async def test_the_token_opens_the_admin_routes_and_not_the_board(settings: MakeSettings) -> None:
    async with board_with(settings, admin_api_token=TOKEN) as client:
        assert await status(client, "/api/admin/handler", bearer()) == 200
        assert await status(client, "/api/admin/handler", {b"authorization": b"bearer  " + TOKEN.encode()}) == 200
        wrong: list[HeaderMap] = [bearer("x"), bearer(""), basic(), {b"authorization": b"Bearer"}, {"x": "y"}]
        for headers in wrong:
            answer = await client.get("/api/admin/handler", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="BullBoard"')
        for path in (*BOARD, "/api/adminx", "/api"):
            assert await status(client, path, bearer()) == 404


async def test_token_and_credentials_stand_side_by_side(settings: MakeSettings) -> None:
    async with board_with(settings, **CREDENTIALS, admin_api_token=TOKEN) as client:
        assert await status(client, "/api/admin/handler", bearer()) == 200
        assert await status(client, "/api/admin/handler", basic()) == 200
        assert await status(client, "/bullBoard", bearer()) == 401
        assert await status(client, "/bullBoard", basic()) == 200
        assert await status(client, "/bullBoard", basic("", TOKEN)) == 401


# Changes


OWN, FOREIGN = "http://jobs.example", "http://evil.example"


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": ""}, False),
        ({"sec-fetch-site": "Same-Origin, none"}, False),
        ({"sec-fetch-site": "same-origin", "origin": FOREIGN}, True),
        ({"sec-fetch-site": "cross-site", "origin": OWN}, False),
        ({"origin": OWN}, True),
        ({"origin": "https://jobs.example"}, True),
        ({"origin": "https://jobs.example:443"}, True),
        ({"origin": FOREIGN}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://jobs.example.evil.example"}, False),
        ({"origin": "http://jobs.example:8080"}, False),
        ({"origin": "jobs.example"}, False),
        ({"origin": "ftp://jobs.example"}, False),
        ({"referer": OWN}, False),
        ({}, False),
    ],
)
async def test_a_change_with_basic_credentials_must_come_from_the_boards_own_pages(
    settings: MakeSettings, headers: dict[str, str], passes: bool
) -> None:
    async with board_with(settings, **CREDENTIALS) as client:
        for path in ("/api/admin/job/nope/retry", "/bullBoard/queues/jobs/jobs/nope/retry"):
            assert await status(client, path, basic() | headers, "POST") == (404 if passes else 403)
        assert await status(client, "/api/admin/handler", basic() | headers) == 200


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"origin": "http://localhost:8000"}, True),
        ({"origin": "http://localhost:3000"}, False),
        ({"origin": FOREIGN}, False),
        ({"authorization": "Bearer anything", "sec-fetch-site": "cross-site"}, False),
    ],
)
async def test_a_local_change_passes_from_curl_and_not_from_a_foreign_page(
    client: httpx.AsyncClient, headers: dict[str, str], passes: bool
) -> None:
    assert await status(client, "/api/admin/job/nope/retry", headers, "POST") == (404 if passes else 403)


async def test_a_change_with_a_bearer_token_passes(settings: MakeSettings) -> None:
    async with board_with(settings, **CREDENTIALS, admin_api_token=TOKEN) as client:
        assert await status(client, "/api/admin/job/nope/retry", bearer(), "POST") == 404
        with_origin = bearer() | {b"origin": FOREIGN.encode()}
        assert await status(client, "/api/admin/job/nope/retry", with_origin, "POST") == 404


@pytest.mark.parametrize("header", ["x-http-method-override", "x-method-override", "x-http-method"])
async def test_the_method_cannot_be_overridden(client: httpx.AsyncClient, app: App, header: str) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await fail(app, enqueued, "no")
    path = f"/bullBoard/queues/jobs/jobs/{enqueued.job_id}/retry"
    assert await status(client, f"{path}?_method=POST", {header: "POST"}) == 405
    assert await status(client, path, {header: "POST"}, "HEAD") == 405
    assert await app.client.call("ZCARD", app.queue().keys.of("failed")) == 1


async def test_an_unknown_method_is_a_change(settings: MakeSettings) -> None:
    async with board_with(settings, **CREDENTIALS) as client:
        assert await status(client, "/bullBoard", basic(), "BREW") == 403
        assert await status(client, "/bullBoard", basic() | {"sec-fetch-site": "same-origin"}, "BREW") == 405
