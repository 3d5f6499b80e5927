"""What the tests of the outbox pages share: a board on a database with all tables, and rows that are set aside."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from board import create_app
from jobqueue.app import App
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.database import open_database
from jobqueue.settings import Settings
from jobqueue.upgrades import upgrade
from tests.board.cron_support import CronBoard
from tests.board.support import LOCAL, REGISTRY, client_of

PAGES = "/bullBoard/outbox"
ROUTES = "/api/admin/outbox"


@asynccontextmanager
async def outbox_board(settings: Settings, *, read_only: bool = False) -> AsyncGenerator[CronBoard]:
    await upgrade(settings.database_url, MIGRATIONS)
    async with (
        App(REGISTRY, settings) as app,
        open_database(settings.database_url) as database,
        client_of(create_app(app, database=database, read_only=read_only), LOCAL) as client,
    ):
        yield CronBoard(app, database, client)
