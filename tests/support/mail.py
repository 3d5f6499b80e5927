"""The handlers that the tests of enqueueing use, and how their jobs are looked at from outside."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from redis.asyncio import Redis

from jobqueue import Enqueued, Registry, make_job
from jobqueue.context import JobContext


class Mail(BaseModel):
    to: str


@make_job(name="sendMail")
async def send_mail(ctx: JobContext, payload: Mail) -> str:
    return payload.to


@make_job
async def tidy(ctx: JobContext) -> None: ...


@make_job(queue="bulk", priority=7, first_delay_ms=60_000)
async def later(ctx: JobContext) -> None: ...


REGISTRY = Registry([send_mail, tidy, later])
ADA = Mail(to="ada")


async def stored(redis: Redis, prefix: str, enqueued: Enqueued) -> dict[str, Any]:
    """The hash of the job, its JSON read."""
    hash_of_job = await redis.hgetall(f"{prefix}:{enqueued.queue}:{enqueued.job_id}")
    fields: dict[str, Any] = {str(name): value for name, value in hash_of_job.items()}
    return fields | {name: json.loads(fields[name]) for name in ("data", "opts")}
