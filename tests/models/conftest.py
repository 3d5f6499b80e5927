"""What the models share: the stage that they play on, and how many steps they took, said at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from jobqueue import Settings, clock
from tests.conftest import MakeSettings, say_at_the_end
from tests.models.stage import IS_LONG, HandClock, Stage
from tests.support.redis_server import RedisServer, running_redis


def pytest_itemcollected(item: pytest.Item) -> None:
    """The long form takes minutes."""
    if IS_LONG:
        item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(scope="session")
def empty_redis() -> Iterator[RedisServer]:
    """A Redis of the models' own: each example empties it, and looks at all its keys after each step."""
    with running_redis(appendonly=False) as server:
        yield server


@pytest.fixture
def stage(
    empty_redis: RedisServer, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    hands = HandClock()
    monkeypatch.setattr(clock, "time", hands)
    loop = asyncio.new_event_loop()
    stage = Stage(loop, _settings_for(empty_redis, settings), hands)
    yield stage
    loop.close()
    took = f"{stage.steps} steps in {stage.examples} examples, {stage.took_s:.1f} s"
    say_at_the_end(request.node, f"{request.node.name}: {took}")


def _settings_for(server: RedisServer, settings: MakeSettings) -> Settings:
    return settings(redis_url=server.unix_url)
