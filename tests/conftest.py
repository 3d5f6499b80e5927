"""The fixtures that every test may name: Redis, a key prefix, databases and settings."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import Protocol

import hypothesis
import pytest
from redis.asyncio import Redis

from jobqueue.settings import Settings
from tests.interop.node_shared import SharedNode, shared_node
from tests.support.forking import forked_jobqueue
from tests.support.postgres_server import PostgresServer, running_postgres
from tests.support.redis_server import RedisServer, running_redis

SAID_AT_THE_END = "said at the end"


class MakeSettings(Protocol):
    """Settings for this test's Redis and prefix; `changes`, by field name, win."""

    def __call__(self, **changes: object) -> Settings: ...


def pytest_configure() -> None:
    """Let an example of hypothesis take as long as it takes: a busy machine is no failure. And let Ctrl-C be heard: a
    shell's job in the background ignores it, and so does every program that a test starts there to press it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hypothesis.settings.register_profile("jobqueue", hypothesis.settings(), deadline=None)
    hypothesis.settings.load_profile("jobqueue")


def say_at_the_end(item: pytest.Item, line: str) -> None:
    """Print a line below the results. It travels with the test's report: pytest-xdist runs tests in other processes."""
    item.user_properties.append((SAID_AT_THE_END, line))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """A report with question marks for lone surrogates, as are in the log of a test that is about them: pytest-xdist
    sends UTF-8, and one text that is none ended the whole run.
    """
    report = yield
    return json.loads(json.dumps(report, ensure_ascii=False).encode("utf-8", "replace"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = chain.from_iterable(terminalreporter.stats.values())
    for report in reports:
        if isinstance(report, pytest.TestReport) and report.when == "teardown":
            for name, line in report.user_properties:
                if name == SAID_AT_THE_END:
                    terminalreporter.write_line(str(line))


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """The Redis that all tests share; for fixtures that live as long as it does. Tests ask for `redis_server`."""
    with running_redis(appendonly=False) as server:
        yield server


@pytest.fixture(scope="module")
def redis_server(shared_redis: RedisServer) -> RedisServer:
    """The Redis that all tests share, each under its own prefix; none may stop or configure it.

    It is empty when the first test of a file asks for it: what many tests left behind hid a queue from the inspector,
    which looks at so many keys and no more.
    """
    shared_redis.empty()
    return shared_redis


@pytest.fixture(scope="session")
def node_process(shared_redis: RedisServer) -> Iterator[SharedNode]:
    """The Node process that all tests share, each by a peer of its own that leaves it as it was."""
    with shared_node(shared_redis.url) as process:
        yield process


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis with an append-only file, for a test that stops, kills, pauses or configures it."""
    with running_redis(appendonly=True) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture(scope="session")
def jobqueue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The program `jobqueue`, forked from a process that has imported everything."""
    with forked_jobqueue(tmp_path_factory.mktemp("forked")) as program:
        yield program


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
