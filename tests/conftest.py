"""The fixtures that every test may name: Redis, a key prefix, databases and settings."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import hypothesis
import pytest
from redis.asyncio import Redis

from jobqueue.settings import Settings
from tests.support.postgres_server import PostgresServer, running_postgres
from tests.support.redis_server import RedisServer, running_redis


class MakeSettings(Protocol):
    """Settings for this test's Redis and prefix; `changes`, by field name, win."""

    def __call__(self, **changes: object) -> Settings: ...


def pytest_configure() -> None:
    """Let an example of hypothesis take as long as it takes: a busy machine is no failure."""
    hypothesis.settings.register_profile("jobqueue", hypothesis.settings(), deadline=None)
    hypothesis.settings.load_profile("jobqueue")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis that all tests share, each under its own prefix; none may stop or configure it."""
    with running_redis(appendonly=False) as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis with an append-only file, for a test that stops, kills, pauses or configures it."""
    with running_redis(appendonly=True) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def prefix() -> str:
    """A prefix of keys that no other test has."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """A client of its own for the shared Redis, to look at the keys behind the product's back."""
    async with redis_server.client() as client:
        yield client


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL cluster that all tests share."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An SQLite database of this test's own; the file is made by the first connection."""
    return f"sqlite+aiosqlite:///{tmp_path / 'jobqueue.db'}"


@pytest.fixture(params=["sqlite_url", "postgres_url"], ids=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of this test's own: the test runs once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def settings(redis_url: str, prefix: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> MakeSettings:
    """Makes settings that know nothing of the environment in which the tests run."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def make_settings(**changes: object) -> Settings:
        own = {"redis_url": redis_url, "jobs_prefix": prefix, "database_url": sqlite_url}
        return Settings.load(**own | changes)

    return make_settings
