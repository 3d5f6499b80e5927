"""Fixtures of the documented blocks: the desk of one page."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from handlers.webhooks.signing import generate_signing_key
from jobqueue import Settings
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.upgrades import upgrade
from tests.docs.desk import DATABASE, Desk, environment_of, settings_of
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

DeskOf: TypeAlias = Callable[[Path], Desk]


@pytest.fixture(scope="session")
def signing_key_pem() -> str:
    """One key for all pages, since making one takes a while."""
    return generate_signing_key()


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables, to be copied."""
    file = tmp_path_factory.mktemp("upgraded") / "jobqueue.db"
    asyncio.run(upgrade(f"sqlite+aiosqlite:///{file}", MIGRATIONS))
    return file


@pytest.fixture
def desk_of(
    redis_server: RedisServer,
    upgraded: Path,
    signing_key_pem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> DeskOf:
    """Makes the desk for a page. Redis is empty, and its keys have BullMQ's own prefix, as a reader's would."""

    def make(page: Path) -> Desk:
        folder, programs = tmp_path / "desk", tmp_path / "programs"
        folder.mkdir()
        programs.mkdir()
        redis_server.empty()
        shutil.copy(upgraded, folder / DATABASE)
        settings = {
            "ENVIRONMENT": "local",
            "REDIS_URL": redis_server.url,
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder / DATABASE}",
            "WEBHOOK_SIGNING_PRIVATE_KEY": signing_key_pem,
            "FILES_URL": (folder / "files").as_uri(),
            "WORKER_SHUTDOWN_MS": "500",
            **settings_of(page, folder),
        }
        port = free_port()
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PORT", str(port))
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(folder)
        desk = Desk(page, folder, redis_server, port, environment_of(settings, port, programs))
        desk.lay_out()
        return desk

    return make
