"""Handlers to schedule, and what tests look at in Redis."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.cron import CronFields

FAR: Final = "0 0 1 1 *"
"""A pattern whose next slot is far enough away from any test, but for those that run over New Year."""


class Cleanup(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    days: int = Field(5, gt=0)
    also_failed: bool = False


@make_job(name="cleanUp")
async def clean_up(ctx: JobContext, payload: Cleanup) -> int:
    return payload.days


@make_job(name="tick")
async def tick(ctx: JobContext) -> str:
    return ctx.job.id


@make_job(name="mail", queue="mails")
async def mail(ctx: JobContext) -> None:
    """Its queue is not the default one."""


REGISTRY = Registry([clean_up, tick, mail])


def fields(**given: Any) -> CronFields:
    """The fields of a cron job that could be saved, but for those that are `given`, of whatever type."""
    return cast(CronFields, {"name": "nightly", "pattern": FAR, "handler": "cleanUp", **given})


@dataclass(frozen=True, slots=True)
class Scheduler:
    """A job scheduler as Redis has it. `next_ms` is its slot, `pending` the state of that slot's job."""

    fields: dict[str, str]
    next_ms: int
    pending: str

    @property
    def data(self) -> Any:
        return json.loads(self.fields["data"])

    @property
    def options(self) -> Any:
        return json.loads(self.fields["opts"])


async def scheduler_of(app: App, scheduler_id: str, queue: str = "jobs") -> Scheduler | None:
    keys = app.queue(queue).keys
    flat = await app.client.call("HGETALL", keys.of(f"repeat:{scheduler_id}"))
    slot = await app.client.call("ZSCORE", keys.of("repeat"), scheduler_id)
    if not flat and slot is None:
        return None
    state = await app.queue(queue).state(f"repeat:{scheduler_id}:{slot}")
    return Scheduler(dict(zip(flat[::2], flat[1::2], strict=True)), int(slot or 0), state)


async def scheduler_there(app: App, scheduler_id: str, queue: str = "jobs") -> Scheduler:
    found = await scheduler_of(app, scheduler_id, queue)
    assert found is not None
    return found


async def jobs_of(app: App, scheduler_id: str) -> list[str]:
    """Every job that the scheduler has made and Redis still has, in whatever state."""
    keys = app.queue().keys
    found = await app.client.call("KEYS", keys.of(f"repeat:{scheduler_id}:*[0-9]"))
    return sorted(key.removeprefix(keys.base) for key in found)
