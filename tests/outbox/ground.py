"""The jobs that the tests of the outbox enqueue, and a look at where they are."""

from __future__ import annotations

import json

from pydantic import BaseModel
from redis.asyncio import Redis
from sqlalchemy import func, select

from jobqueue import App
from jobqueue.database import Database
from jobqueue.outbox import OutboxRow


class Note(BaseModel):
    number: int = 0
    lane: str = ""


async def rows(database: Database) -> int:
    """How many jobs stand in the table."""
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(OutboxRow)) or 0


async def waiting(app: App, redis: Redis, queue: str | None = None) -> list[int]:
    """The numbers of the jobs that wait, those that run next first."""
    keys = app.queue(queue).keys
    ids = list(reversed(await redis.lrange(keys.of("wait"), 0, -1)))
    return [await number_of(redis, keys.job(str(job_id))) for job_id in ids]


async def number_of(redis: Redis, job_key: str) -> int:
    data = await redis.hget(job_key, "data")
    assert data is not None
    number: int = json.loads(data)["payload"]["number"]
    return number
