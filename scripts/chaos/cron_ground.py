"""Cron ground: the table of cron jobs on a program's ground, and everything that Redis knows of a row's slots."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from jobqueue import App
from jobqueue.cron import CronJobs, migrations
from jobqueue.database import open_database
from jobqueue.upgrades import upgrade
from scripts.chaos.ground import Ground
from scripts.chaos.slots import scheduler_of, slot_ms


class Made(NamedTuple):
    """A slot's job as Redis has it. Units: epoch milliseconds; 0 where it has not happened.

    `made_ms` is when the job of the slot before was picked up: that makes the next one.
    """

    job_id: str
    slot_ms: int
    made_ms: int
    picked_ms: int
    finished_ms: int
    result: Any
    failed: str | None


_upgrading: Final = WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]()
"""Alembic keeps its environment in a global: two databases of one process are upgraded one after the other. A lock for
each event loop, since one that was waited for belongs to its loop, and each test has a loop of its own."""


@asynccontextmanager
async def cron_jobs(app: App) -> AsyncGenerator[CronJobs]:
    """The cron jobs of the app's database, its tables made, for the block."""
    async with _upgrading.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        await upgrade(app.settings.database_url, [migrations.FOLDER])
    async with open_database(app.settings.database_url) as database:
        yield CronJobs(app, database)


async def slot_jobs(site: Ground, scheduler_id: str) -> list[Made]:
    """The jobs that were made of a scheduler and are still there, in the order of their slots."""
    ids = [key for key in await site.all_keys() if scheduler_of(key) == scheduler_id and key.count(":") == 2]
    found = await site.hashes(ids, "timestamp", "processedOn", "finishedOn", "returnvalue", "failedReason")
    jobs = [_made(job_id, *fields) for job_id, fields in found.items()]
    return sorted(jobs, key=lambda job: job.slot_ms)


def _made(job_id: str, *fields: str | None) -> Made:
    made_ms, picked_ms, finished_ms = (int(text or 0) for text in fields[:3])
    result, failed = fields[3:]
    return Made(job_id, slot_ms(job_id) or 0, made_ms, picked_ms, finished_ms, json.loads(result or "null"), failed)
