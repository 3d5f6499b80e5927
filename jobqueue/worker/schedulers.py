"""Schedulers: makes the next iteration of a job scheduler when its current job is picked up. Node's and ours alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from bullmq.job_scheduler import default_repeat_strategy
from bullmq.types import RepeatOptions

from jobqueue.clock import now_ms
from jobqueue.job import Job
from jobqueue.queue import Queue

_log = logging.getLogger("jobqueue.worker")


async def advance(queue: Queue, job: Job) -> None:
    """Add the iteration that follows this job's, unless another worker has, or the scheduler is at its end.

    Concurrency: atomic and safe to repeat; only the current job of a scheduler advances it. A scheduler whose next
    time cannot be computed is logged and left; the job in hand runs all the same. Source: Node upsertJobScheduler.
    """
    try:
        options = _next_options(job, now_ms())
    except (ValueError, TypeError, LookupError) as error:
        _log.error("scheduler %s of queue %s has no next time: %s", job.scheduler_id, queue.name, error)
        return
    if options is not None:
        await queue.advance_scheduler(job, options["prevMillis"], options)


def _next_options(job: Job, now: int) -> dict[str, Any] | None:
    """The options of the next iteration's job; None where the scheduler's limit or end is reached."""
    repeat = _mapping(job.options.get("repeat"))
    count = int(repeat.get("count") or 0) + 1
    limit, end_ms = repeat.get("limit"), _epoch_ms(repeat.get("endDate"))
    if (limit is not None and count > int(limit)) or (end_ms is not None and now > end_ms):
        return None
    after = max(now, int(job.options.get("prevMillis") or 0))
    slot = _next_slot(repeat, after)
    kept = {name: value for name, value in repeat.items() if value is not None and name != "immediately"}
    return {
        **job.options,
        "jobId": f"repeat:{job.scheduler_id}:{slot}",
        "delay": max(slot + int(repeat.get("offset") or 0) - now, 0),
        "timestamp": now,
        "prevMillis": slot,
        "repeatJobKey": job.scheduler_id,
        "repeat": {**kept, "count": count},
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"its job has no usable 'repeat' option but {value!r:.100}")
    return cast(Mapping[str, Any], value)


def _next_slot(repeat: Mapping[str, Any], after: int) -> int:
    if not repeat.get("pattern"):
        return after
    strategy_options = {name: value for name, value in repeat.items() if name != "immediately"}
    slot = default_repeat_strategy(after, cast(RepeatOptions, strategy_options))
    if slot is None:
        raise ValueError(f"the pattern {repeat['pattern']!r} never fires")
    return max(int(slot), after)


def _epoch_ms(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, int | float):
        return int(value)
    return int(datetime.fromisoformat(str(value)).timestamp() * 1000)
