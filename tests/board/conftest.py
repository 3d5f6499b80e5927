"""Fixtures of the board: an app with its handlers, and clients of the board that is made of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from board import create_app
from jobqueue.app import App
from tests.board.support import REGISTRY, client_of
from tests.conftest import MakeSettings


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(REGISTRY, settings(environment="local")) as app:
        yield app


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Someone at the machine where the board runs."""
    async with client_of(create_app(app)) as client:
        yield client
