"""An app whose database has its tables, a relay, and what stands in table and queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from jobqueue import App, JobContext, Registry, make_job, make_superseding_job
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.database import Database, open_database
from jobqueue.outbox import Relay
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.outbox.ground import Note


@make_job
async def note(ctx: JobContext, payload: Note) -> int:
    return payload.number


@make_superseding_job(dedupe_key=lambda payload: payload.lane)
async def latest(ctx: JobContext, payload: Note) -> int:
    return payload.number


@make_job(duplicates="reject")
async def only_one(ctx: JobContext, payload: Note) -> int:
    return payload.number


REGISTRY = Registry([note, latest, only_one])


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The tables as the migrations make them, on both databases."""
    await upgrade(database_url, MIGRATIONS)
    async with open_database(database_url) as database:
        yield database


class MakeApp(Protocol):
    """An app on the test's database; `changes`, by field name, win."""

    def __call__(self, **changes: object) -> App: ...


@pytest.fixture
async def make_app(settings: MakeSettings, database_url: str, database: Database) -> AsyncIterator[MakeApp]:
    made: list[App] = []

    def make(**changes: object) -> App:
        made.append(App(REGISTRY, settings(**{"database_url": database_url} | changes)))
        return made[-1]

    yield make
    for app in made:
        await app.close()


@pytest.fixture
def app(make_app: MakeApp) -> App:
    return make_app()


def relay_of(app: App, database: Database) -> Relay:
    return Relay(database, app.settings, app.queue, app.queue_names(), "relay")


@pytest.fixture
async def relay(app: App, database: Database) -> AsyncIterator[Relay]:
    """One that a test turns by hand."""
    relay = relay_of(app, database)
    yield relay
    await relay.stop()
