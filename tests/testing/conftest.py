"""The kit, on the Redis that all tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jobqueue.testing import Jobs
from tests.testing import shop


@pytest.fixture
async def jobs(redis_url: str) -> AsyncIterator[Jobs]:
    async with Jobs(shop.registry_without_cron, redis_url=redis_url) as kit:
        yield kit
