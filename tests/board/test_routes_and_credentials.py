"""Every route of the app, asked with every kind of credentials, from here and from elsewhere: the answer is by rule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
from starlette.applications import Starlette
from starlette.types import Message

from board import create_app
from jobqueue.app import App
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.upgrades import upgrade
from tests.board.route_list import ASKED, OWN, Asked, Place, bare_app, listed, page
from tests.board.support import REGISTRY
from tests.board.test_access import CREDENTIALS, TOKEN
from tests.conftest import MakeSettings

PAGE: Final = Path(__file__).parents[2] / "docs" / "routes.md"
HOSTS: Final[Mapping[Place, str]] = {"local": "localhost", "closed": "jobs.example", "protected": "jobs.example"}

Boards = Mapping[Place, Starlette]


@pytest.fixture
async def boards(settings: MakeSettings) -> AsyncIterator[Boards]:
    """One app for each place, all on the same Redis."""
    made = {
        "local": settings(environment="local"),
        "closed": settings(),
        "protected": settings(**CREDENTIALS, admin_api_token=TOKEN),
    }
    await upgrade(made["local"].database_url, MIGRATIONS)
    async with AsyncExitStack() as stack:
        apps = {place: await stack.enter_async_context(App(REGISTRY, one)) for place, one in made.items()}
        yield {place: create_app(apps[place]) for place in HOSTS}


async def status_of(board: Starlette, method: str, address: str, headers: Mapping[str, str]) -> int:
    """The status of an answer, which may be a stream without end: the client leaves when it has begun."""
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    parts: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if parts:
            return parts.pop()
        await begun
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            begun.set_result(message["status"])

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope: dict[str, object] = {"type": "http", "method": method, "path": address, "raw_path": address.encode()}
    scope |= {"headers": raw, "query_string": b"", "scheme": "http", "http_version": "1.1", "root_path": ""}
    await board(scope, receive, send)
    return begun.result()


async def ask(boards: Boards, method: str, address: str, asked: Asked) -> int:
    headers = {"host": HOSTS[asked.place]} | dict(asked.headers)
    return await status_of(boards[asked.place], method, address, headers)


async def test_every_route_answers_each_kind_of_credentials_by_rule(boards: Boards) -> None:
    routes = listed(boards["local"])
    assert len(routes) > 60
    wrong: list[tuple[str, str, str, int]] = []
    for one in routes:
        own = await ask(boards, one.method, one.address, ASKED[0])
        if own in (401, 403) or own >= 500:
            wrong.append((one.method, one.path, "its own answer", own))
        for asked in ASKED:
            by_rule = one.by_rule(asked)
            answered = await ask(boards, one.method, one.address, asked)
            if answered != (own if by_rule == OWN else int(by_rule)):
                wrong.append((one.method, one.path, asked.title, answered))
    assert wrong == []


async def test_an_address_that_is_no_route_is_behind_the_same_gate(boards: Boards) -> None:
    for address in ("/nowhere", "/api", "/bullBoard/nowhere", "/metrics/x", "/api/openapi.jsonx", "/API/admin/job"):
        answers = [await ask(boards, "GET", address, asked) for asked in ASKED]
        expected = [404 if asked.read == OWN else int(asked.read) for asked in ASKED]
        assert answers == expected, address


def test_the_page_lists_the_routes_that_there_are() -> None:
    made = page(bare_app())
    assert PAGE.read_text() == made, "run: python -m tests.board.route_list > docs/routes.md"
