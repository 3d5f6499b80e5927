"""Fixtures of the browser tests. All share one browser, and so one event loop; all else is each test's."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from board import create_app
from jobqueue.app import App
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.database import Database, open_database
from jobqueue.upgrades import upgrade
from tests.board.browser.seeing import Seen, browsing, opened
from tests.board.support import REGISTRY, serving_asgi
from tests.conftest import MakeSettings


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as browser:
        yield browser


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, seen: Seen) -> AsyncIterator[Page]:
    """A page that notes its complaints, its dialogs and where it connects to."""
    async with opened(browser, seen) as page:
        yield page


@pytest_asyncio.fixture(loop_scope="session")
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(REGISTRY, settings(environment="local")) as app:
        yield app


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database with all tables and no rows: a copy is made faster than the tables."""
    path = tmp_path_factory.mktemp("tables") / "empty.db"
    await upgrade(f"sqlite+aiosqlite:///{path}", MIGRATIONS)
    return path


@pytest_asyncio.fixture(loop_scope="session")
async def database(app: App, tables: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of the test's own, where its settings say."""
    shutil.copy(tables, tmp_path / "jobqueue.db")
    async with open_database(app.settings.database_url) as database:
        yield database


@pytest_asyncio.fixture(loop_scope="session")
async def board(app: App, database: Database) -> AsyncIterator[str]:
    """The address of the board."""
    async with serving_asgi(create_app(app, database=database)) as origin:
        yield f"{origin}/bullBoard"
