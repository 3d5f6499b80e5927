"""A worker that serves cron jobs, and slots that come when a test wants them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from jobqueue import App, Handler, Job, Registry, Settings
from jobqueue.clock import now_ms
from jobqueue.cron import CronJob, CronJobs
from jobqueue.cron.migrations import FOLDER
from jobqueue.database import Database, open_database
from jobqueue.packing import pack
from jobqueue.scripts import shipped
from jobqueue.upgrades import upgrade
from jobqueue.wire import pairs
from tests.cron.scheduled import FAR
from tests.patterns.working import serving
from tests.support.eventually import eventually
from tests.worker.harness import end_of

WAIT_S: Final = 20.0
_KEYS: Final = (
    *("repeat", "delayed", "wait", "paused", "meta", "prioritized"),
    *("marker", "id", "events", "pc", "active"),
)


@dataclass(frozen=True, slots=True)
class Site:
    """An app, its database and its cron jobs."""

    app: App
    database: Database
    cron: CronJobs

    async def slot(self, row: CronJob, at_ms: int | None = None) -> str:
        """Let a slot of the row come, now or as if its time had been `at_ms`; returns the id of its job.

        The slot that the scheduler waits for is given up for it, as where Node's upsertJobScheduler changes one.
        """
        keys, at = self.app.queue().keys, now_ms() if at_ms is None else at_ms
        stored = pairs(await self.app.client.call("HGETALL", keys.of(f"repeat:{row.job_id}")))
        options = json.loads(stored["opts"])
        schedule = {name: stored[name] for name in ("name", "pattern", "tz")}
        of_job = {
            "timestamp": at,
            "prevMillis": at,
            "repeatJobKey": row.job_id,
            "repeat": {"pattern": row.pattern, "tz": row.timezone, "count": 1},
        }
        packed = (pack(schedule), row.job_id, stored["data"], pack(options), pack({**options, **of_job}))
        args = (at, *packed, now_ms(), keys.base, "")
        job_id, _ = await self.app.client.run(shipped("addJobScheduler"), keys.each(_KEYS), args)
        assert job_id == f"repeat:{row.job_id}:{at}"
        return str(job_id)

    async def ended(self, job_id: str) -> tuple[str, str | None]:
        """Wait until the job has ended; returns its state and its result's JSON or its reason."""
        return await end_of(self.app, job_id, WAIT_S)

    async def is_in(self, job_id: str, state: str) -> None:
        """Wait until the job is in that state."""

        async def there() -> bool:
            return await self.app.queue().state(job_id) == state

        await eventually(there, WAIT_S)

    async def row_says(self, row: CronJob, status: str, job_id: str | None = None) -> CronJob:
        """Wait until the row tells of that status, of that job where it is named."""

        async def told() -> CronJob | None:
            read = await self.cron.get(row.id)
            return read if read.last_status == status and job_id in (None, read.last_job_id) else None

        return await eventually(told, WAIT_S)

    async def job(self, job_id: str) -> Job:
        return await self.app.queue().job(job_id)


@asynccontextmanager
async def site(settings: Settings, *handlers: Handler[Any]) -> AsyncGenerator[Site]:
    """An app with a database that has its tables; nobody works."""
    await upgrade(settings.database_url, [FOLDER])
    async with open_database(settings.database_url) as database, App(Registry(handlers), settings) as app:
        yield Site(app, database, CronJobs(app, database))


@asynccontextmanager
async def at_work(settings: Settings, *handlers: Handler[Any]) -> AsyncGenerator[Site]:
    """The same with a worker."""
    async with site(settings, *handlers) as made, serving(made.app):
        yield made


async def far_row(made: Site, handler: str, **fields: Any) -> CronJob:
    """A row whose own slots are too far away to come by themselves."""
    return await made.cron.create(name="nightly", pattern=FAR, handler=handler, **fields)


async def overlap_key(redis: Redis, prefix: str, row_id: str) -> dict[str, str]:
    """What holds the other slots of a row off."""
    return {
        str(name): str(value) for name, value in (await redis.hgetall(f"{prefix}:jobs:job:overlap:{row_id}")).items()
    }


def skipped_for(holder: str) -> tuple[str, str]:
    """How a slot's job ends that is skipped for another one."""
    return "completed", json.dumps({"skipped": True, "holder": holder}, separators=(",", ":"))
