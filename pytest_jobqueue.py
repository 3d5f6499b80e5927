"""pytest plugin: the fixtures of `jobqueue.testing`.

It stands beside the package and imports nothing of it, since every run of pytest loads it where jobqueue is installed.
What the fixtures are made of is loaded when a test asks for one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jobqueue import Registry, Resources
    from jobqueue.testing import Jobs

_ASYNCIO = ("asyncio", "pytest_asyncio.plugin")
"""The name of pytest-asyncio among the plugins: as an entry point, and after `-p`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("jobqueue_registry", 'where the handlers are, for the fixture `jobs`: "shop.jobs:registry"')


@pytest.fixture(scope="session")
def jobqueue_redis(request: pytest.FixtureRequest) -> str:
    """The URL of a real Redis server for this run alone, started when the first test asks for it."""
    url: str = _loaded(request, "jobqueue.testing.plugin", "_jobqueue_redis")
    return url


@pytest.fixture
def jobqueue_registry(request: pytest.FixtureRequest) -> Registry | str:
    """The registry of `jobs`, or where it is: what the option of that name says. To be overridden."""
    location: str = request.config.getini("jobqueue_registry")
    if not location:
        raise pytest.UsageError(
            "the fixture `jobs` needs to know the registry: set jobqueue_registry = shop.jobs:registry in pytest's "
            "configuration, or define a fixture `jobqueue_registry` that returns a Registry"
        )
    return location


@pytest.fixture
def jobqueue_settings() -> dict[str, object]:
    """Settings of `jobs` by field name, such as {"database_url": …}. To be overridden."""
    return {}


@pytest.fixture
def jobqueue_resources() -> Resources | None:
    """What handlers are handed in place of what the registry's lifespan opens. To be overridden."""
    return None


@pytest.fixture
def jobs(request: pytest.FixtureRequest) -> Jobs:
    """A service's jobs on a private Redis, for an async test: see jobqueue.testing.Jobs."""
    if "anyio_backend" in request.fixturenames:
        module, name = "jobqueue.testing.plugin", "_jobqueue_jobs"
    elif any(map(request.config.pluginmanager.hasplugin, _ASYNCIO)):
        module, name = "jobqueue.testing.asyncio_plugin", "_jobqueue_jobs_asyncio"
    else:
        raise pytest.UsageError(
            "the fixture `jobs` is for async tests: mark the test with pytest.mark.anyio, or install pytest-asyncio"
        )
    opened: Jobs = _loaded(request, module, name)
    return opened


def _loaded(request: pytest.FixtureRequest, plugin: str, fixture: str) -> Any:
    """The value of a fixture in a plugin that is loaded now, unless it is."""
    plugins = request.config.pluginmanager
    if not plugins.has_plugin(plugin):
        plugins.register(import_module(plugin), plugin)
    return request.getfixturevalue(fixture)
