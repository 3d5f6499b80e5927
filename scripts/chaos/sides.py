"""Sides: who enqueues the jobs of R1, R2 and R3 and who runs them: ours, or Python's `bullmq` as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, cast

import bullmq
from redis.exceptions import RedisError as PlainRedisError

from jobqueue import App, OutcomeUnknown
from jobqueue.errors import RedisReplyError, RedisUnavailable
from scripts.chaos.crew import WORKER
from scripts.chaos.ground import Ground
from scripts.chaos.numbered import Numbered, numbered

REGISTRY: Final = "scripts.chaos.numbered:registry"
PLAIN_WORKER: Final = "scripts.chaos.plain_worker"
_PLAIN_OPTIONS: Final = {"attempts": 3, "backoff": {"type": "fixed", "delay": 50}}


class NotStored(Exception):
    """The job was refused, or nothing was sent."""


class InDoubt(Exception):
    """The answer was lost: the job may be stored or not."""


class Side(Protocol):
    """One library. `module` is what its worker processes run."""

    module: str

    async def add(self, one: Numbered, job_id: str | None = None) -> str:
        """Store a job; its id. Raises: NotStored, InDoubt."""
        ...


class Ours:
    """What this repository has."""

    module = WORKER

    def __init__(self, app: App) -> None:
        self._app = app

    async def add(self, one: Numbered, job_id: str | None = None) -> str:
        try:
            if job_id is None:
                return (await self._app.enqueue_job(numbered, one)).job_id
            return (await self._app.enqueue_job(numbered, one, job_id=job_id)).job_id
        except OutcomeUnknown as error:
            raise InDoubt(str(error)) from error
        except (RedisUnavailable, RedisReplyError) as error:
            raise NotStored(str(error)) from error


class Plain:
    """`bullmq`'s own Queue and Worker, with the same tries, locks and checks. It does not tell whether it was sent."""

    module = PLAIN_WORKER

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    async def add(self, one: Numbered, job_id: str | None = None) -> str:
        options = _PLAIN_OPTIONS if job_id is None else {**_PLAIN_OPTIONS, "jobId": job_id}
        try:
            job = await self._queue.add(numbered.name, one._asdict(), options)
        except (PlainRedisError, OSError) as error:
            raise InDoubt(str(error)) from error
        return str(job.id)


@asynccontextmanager
async def side_of(site: Ground, plain: int) -> AsyncGenerator[Side]:
    """The side that is asked for, on this ground, for the block."""
    if not plain:
        yield Ours(site.app)
        return
    queue = cast(Any, bullmq).Queue(
        site.settings.jobs_queue, {"connection": site.server.url, "prefix": site.settings.jobs_prefix}
    )
    try:
        yield Plain(queue)
    finally:
        await queue.close()
