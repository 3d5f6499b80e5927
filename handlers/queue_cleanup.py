"""queueCleanup: remove finished jobs that are older than some days, in the queues of the service.

The pattern it shows: housekeeping at night. A payload whose fields all have defaults, so that a cron job needs none;
long work in batches that stops when it is told to; an unknown field refused, since a misspelt one would delete more.
"""

from __future__ import annotations

import logging
from typing import Annotated, TypeAlias, TypedDict

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from handlers.queues import QueueNames, look_at
from jobqueue import App, JobContext, make_job
from jobqueue.cleaning import clean
from jobqueue.inspector import Inspector
from jobqueue.job import DAY_S

MAX_DAYS = 10_000

_log = logging.getLogger(__name__)


class QueueCleanup(BaseModel):
    """The payload of `queueCleanup`. Units: days; half a day is 0.5. Without `queues` it is about the service's own."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
    )

    queue_history_in_days: Annotated[float, Field(gt=0, le=MAX_DAYS)] = 5
    queues: QueueNames | None = None


class Removed(TypedDict):
    """How many jobs of one queue were removed, by state."""

    completed: int
    failed: int


RemovedByQueue: TypeAlias = dict[str, Removed]


@make_job(name="queueCleanup", seeded_cron="0 1 * * *")
async def queue_cleanup(ctx: JobContext, payload: QueueCleanup) -> RemovedByQueue:
    """Clean one queue after another. A queue of BullMQ 5, which nobody here may write to, is passed over."""
    older_than_ms = int(payload.queue_history_in_days * DAY_S * 1000)
    removed: RemovedByQueue = {}
    app = ctx.resources[App]
    for view in await look_at(Inspector(app), payload.queues or app.queue_names()):
        if view.refused is not None:
            _log.warning("%s is passed over: %s", view.name, view.refused)
            continue
        gone = removed[view.name] = await _clean(ctx, view.name, older_than_ms)
        _log.info("%s: removed %d completed and %d failed jobs", view.name, gone["completed"], gone["failed"])
    return removed


async def _clean(ctx: JobContext, name: str, older_than_ms: int) -> Removed:
    queue = ctx.resources[App].queue(name)

    def stop_when_told(_removed: int) -> None:
        ctx.raise_if_cancelled()

    return Removed(
        completed=await clean(queue, "completed", older_than_ms, on_cleaned=stop_when_told),
        failed=await clean(queue, "failed", older_than_ms, on_cleaned=stop_when_told),
    )
