"""The fixtures of the channels' tests: a stage on the tests' Redis and on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from handlers.channel.stage import Stage, open_stage
from tests.conftest import MakeSettings
from tests.patterns.working import serving

BLOCK_S = 0.05
ACCOUNT = "ada"


@pytest.fixture
async def stage(settings: MakeSettings) -> AsyncGenerator[Stage]:
    """A stage without a worker, on which an account has money."""
    async with open_stage(settings(), {}, seed=1, block_s=BLOCK_S) as opened:
        await opened.desk.add_account(ACCOUNT)
        yield opened


@pytest.fixture
async def staffed(stage: Stage) -> AsyncGenerator[Stage]:
    """The same with a worker."""
    async with serving(stage.app):
        yield stage
