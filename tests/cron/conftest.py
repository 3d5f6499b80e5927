"""An app with handlers to schedule, a database with its tables, and the API over both."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jobqueue import App
from jobqueue.cron import CronJobs
from jobqueue.cron.table import CronBase
from jobqueue.database import Database, open_database
from tests.conftest import MakeSettings
from tests.cron.scheduled import REGISTRY


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(REGISTRY, settings()) as app:
        yield app


@pytest.fixture
async def database(app: App) -> AsyncIterator[Database]:
    """The app's database with the tables of the model, which are those of the migrations."""
    async with open_database(app.settings.database_url) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(CronBase.metadata.create_all)
        yield database


@pytest.fixture
def cron(app: App, database: Database) -> CronJobs:
    return CronJobs(app, database)
