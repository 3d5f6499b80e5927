"""The fixtures of the inspector's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jobqueue.app import App
from jobqueue.inspector import Inspector, Operator
from tests.board.support import REGISTRY
from tests.conftest import MakeSettings
from tests.inspector.support import SOMEBODY


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(REGISTRY, settings()) as app:
        yield app


@pytest.fixture
def inspector(app: App) -> Inspector:
    return Inspector(app)


@pytest.fixture
def operator(inspector: Inspector) -> Operator:
    return inspector.acting_as(SOMEBODY)
