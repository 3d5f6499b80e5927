"""Opening: what stands around a test: Redis, a prefix, a database, two Apps, and an environment that says the same."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final
from uuid import uuid4

from jobqueue.app import App, default_app_set
from jobqueue.context import Resources
from jobqueue.database import Database, open_database
from jobqueue.errors import RedisError
from jobqueue.registry import Lifespan, Registry
from jobqueue.settings import Settings
from jobqueue.testing.empty_database import write_empty_database
from jobqueue.testing.errors import KitError
from jobqueue.testing.private_redis import private_redis
from jobqueue.testing.reading import escaped, keys_like

_log = logging.getLogger("jobqueue.testing")

_AT_ONCE: Final = 500
_is_open = Lock()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a test says of its surroundings; see `Jobs`."""

    registry: Registry
    redis_url: str | None
    settings: Mapping[str, object]
    resources: Resources | None


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open. Two Apps: a service may close the one that it is given, as its lifespan ends."""

    loop: asyncio.AbstractEventLoop
    given: App
    own: App
    database: Database


@contextmanager
def one_at_a_time() -> Generator[None]:
    """Raises: KitError inside another such block."""
    if not _is_open.acquire(blocking=False):
        raise KitError(
            "other Jobs are open in this process; one at a time, for the default App, the environment and the clock "
            "are those of the process"
        )
    try:
        yield
    finally:
        _is_open.release()


@asynccontextmanager
async def open_apps(asked: Asked) -> AsyncGenerator[Opened]:
    """Open it all for the length of the block; one App is the default one. Afterwards no key of the test is left.

    Raises: KitError; SettingsError; EmbeddedRedisMissing.
    """
    async with AsyncExitStack() as opened:
        settings = _settings(asked, opened)
        opened.enter_context(_environment(settings))
        database = await opened.enter_async_context(open_database(settings.database_url))
        given = await opened.enter_async_context(App(asked.registry, settings))
        own = await opened.enter_async_context(App(asked.registry, settings, events=given.events))
        if asked.resources is not None:
            own.registry.lifespan = _handing(asked.resources)
        opened.push_async_callback(_remove_keys, own)
        opened.enter_context(default_app_set(given))
        yield Opened(asyncio.get_running_loop(), given, own, database)


def _settings(asked: Asked, opened: AsyncExitStack) -> Settings:
    """Raises: KitError for a field that there is not: Settings passes it over, as it does with the environment."""
    unknown = sorted(asked.settings.keys() - Settings.model_fields.keys())
    if unknown:
        raise KitError(f"settings: there is no {unknown[0]!r}; fields go by names such as 'database_url'")
    own: dict[str, object] = {
        "environment": "test",
        "redis_url": asked.redis_url or opened.enter_context(private_redis()),
        "jobs_prefix": f"test-{uuid4().hex[:12]}",
    }
    if "database_url" not in asked.settings:
        directory = Path(opened.enter_context(TemporaryDirectory(prefix="jobqueue-test-")))
        own["database_url"] = write_empty_database(directory / "jobs.db")
    return Settings.load(**{**own, **asked.settings})


@contextmanager
def _environment(settings: Settings) -> Generator[None]:
    """The environment as it is for a handler in a process of its own; as it was afterwards."""
    values = {
        "ENVIRONMENT": settings.environment or "",
        "REDIS_URL": settings.redis_url,
        "JOBS_PREFIX": settings.jobs_prefix,
        "DATABASE_URL": settings.database_url,
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _handing(resources: Resources) -> Lifespan:
    """In place of what a registry opens, what the test has opened."""

    def handed(settings: Settings) -> AbstractAsyncContextManager[Resources]:
        return nullcontext(resources)

    return handed


async def _remove_keys(app: App) -> None:
    """So that a server that is shared keeps nothing of a test."""
    try:
        keys = await keys_like(app, f"{escaped(app.settings.jobs_prefix)}:*")
        for start in range(0, len(keys), _AT_ONCE):
            await app.client.call("UNLINK", *keys[start : start + _AT_ONCE])
    except RedisError as error:
        _log.warning("the keys of this test stay in Redis: %s", error)
