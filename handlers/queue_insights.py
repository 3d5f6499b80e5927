"""queueInsights: how much waits, is scheduled, runs and has failed, in each queue.

The pattern it shows: a job that only looks, and returns what it saw; its results are a record, hour by hour.
"""

from __future__ import annotations

import logging
from typing import TypeAlias, TypedDict

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from handlers.queues import QueueNames, look_at
from jobqueue import App, JobContext, make_job
from jobqueue.inspector import Inspector, QueueView

_log = logging.getLogger(__name__)


class QueueInsights(BaseModel):
    """The payload of `queueInsights`. Without `queues` it is about all."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
    )

    queues: QueueNames | None = None


class Insight(TypedDict):
    """Jobs of one queue: `pending` may start now, `scheduled` start later."""

    pending: int
    scheduled: int
    active: int
    failed: int


InsightByQueue: TypeAlias = dict[str, Insight]


@make_job(name="queueInsights", seeded_cron="0 * * * *")
async def queue_insights(ctx: JobContext, payload: QueueInsights) -> InsightByQueue:
    """Count, log and return. A queue of BullMQ 5, whose jobs are stored otherwise, is passed over."""
    insights: InsightByQueue = {}
    for view in await look_at(Inspector(ctx.resources[App]), payload.queues):
        if view.refused is not None:
            _log.warning("%s is passed over: %s", view.name, view.refused)
            continue
        insight = insights[view.name] = _insight(view)
        _log.info("%s: %s", view.name, ", ".join(f"{count} {word}" for word, count in insight.items()))
    return insights


def _insight(view: QueueView) -> Insight:
    counts = view.counts
    return Insight(
        pending=counts["waiting"] + counts["prioritized"],
        scheduled=counts["delayed"],
        active=counts["active"],
        failed=counts["failed"],
    )
