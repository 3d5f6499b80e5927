"""Plugin: what the fixtures of pytest_jobqueue are made of, loaded when a test asks for one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import pytest

from jobqueue.context import Resources
from jobqueue.registry import Registry
from jobqueue.testing.jobs import Jobs
from jobqueue.testing.private_redis import private_redis


@pytest.fixture(scope="session", name="_jobqueue_redis")
def redis_of_this_run() -> Iterator[str]:
    """One server for each process of pytest-xdist."""
    with private_redis() as url:
        yield url


async def opened_jobs(
    jobqueue_redis: str,
    jobqueue_registry: Registry | str,
    jobqueue_settings: dict[str, object],
    jobqueue_resources: Resources | None,
) -> AsyncGenerator[Jobs]:
    """The kit for the length of a test. Who runs async fixtures differs, so each makes a fixture of it."""
    async with Jobs(
        jobqueue_registry, redis_url=jobqueue_redis, settings=jobqueue_settings, resources=jobqueue_resources
    ) as jobs:
        yield jobs


on_anyio = pytest.fixture(name="_jobqueue_jobs")(opened_jobs)
