"""What the tests of the cron routes share: a board with its database, and cron jobs to send to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from board import create_app
from jobqueue.app import App
from jobqueue.cron.migrations import FOLDER
from jobqueue.database import Database, open_database
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.upgrades import upgrade
from tests.board.support import LOCAL, REGISTRY, client_of

CRON = "/api/admin/cronJob"
NIGHTLY: dict[str, Any] = {"name": "nightly", "pattern": "0 3 * * *", "handler": "heartbeat"}


@dataclass(frozen=True, slots=True)
class CronBoard:
    """A board with cron jobs, and what is behind it."""

    app: App
    database: Database
    client: httpx.AsyncClient

    async def created(self, **fields: object) -> dict[str, Any]:
        """The nightly cron job, but for these fields, as the route answers it."""
        answer = await self.client.post(CRON, json=NIGHTLY | fields)
        assert answer.status_code == 201, answer.text
        return data_of(answer)

    async def shown(self, cron_job_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"{CRON}/{cron_job_id}")
        assert answer.status_code == 200, answer.text
        return data_of(answer)

    async def changed(self, cron_job_id: str, **fields: object) -> dict[str, Any]:
        answer = await self.client.patch(f"{CRON}/{cron_job_id}", json=fields)
        assert answer.status_code == 200, answer.text
        return data_of(answer)


@asynccontextmanager
async def cron_board(
    settings: Settings, host: str = LOCAL, *, registry: Registry = REGISTRY, upgraded: bool = True
) -> AsyncGenerator[CronBoard]:
    """The board on the database of the settings, whose tables are made first."""
    if upgraded:
        await upgrade(settings.database_url, [FOLDER])
    async with (
        App(registry, settings) as app,
        open_database(settings.database_url) as database,
        client_of(create_app(app, database=database), host) as client,
    ):
        yield CronBoard(app, database, client)


def data_of(answer: httpx.Response) -> dict[str, Any]:
    data: dict[str, Any] = answer.json()["data"]
    return data
