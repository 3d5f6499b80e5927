"""Schedulers: makes the next iteration of a job scheduler when its current job is picked up. Node's and ours alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from jobqueue.clock import now_ms
from jobqueue.cron.patterns import epoch_ms, repeat_strategy
from jobqueue.errors import InvalidOption
from jobqueue.job import Job
from jobqueue.queue import Queue

_log = logging.getLogger("jobqueue.worker")


async def advance(queue: Queue, job: Job, token: str | None = None) -> bool:
    """Add the iteration that follows this job's; False where another worker has, or the scheduler is at its end.

    The worker that runs the job says under which `token`, and does nothing where the job is another's by now.

    Concurrency: atomic and safe to repeat; only the current job of a scheduler advances it. A scheduler whose next
    time cannot be computed is logged and left; the job in hand runs all the same. Source: Node upsertJobScheduler.
    """
    try:
        following = _following(job, now_ms())
    except (InvalidOption, ValueError, TypeError, LookupError) as error:
        _log.error("scheduler %s of queue %s has no next time: %s", job.scheduler_id, queue.name, error)
        return False
    return following is not None and await queue.advance_scheduler(job, following.slot_ms, following.options, token)


class _Iteration(NamedTuple):
    """When it is due, where the scheduler has a pattern, and its job's options; the script adds its id and delay."""

    slot_ms: int
    options: dict[str, Any]


def _following(job: Job, now: int) -> _Iteration | None:
    """The next iteration; None where the scheduler's limit or end is reached."""
    repeat = _mapping(job.options.get("repeat"))
    pattern, every = repeat.get("pattern"), repeat.get("every")
    if bool(pattern) == bool(every):
        raise ValueError(f"it must have a pattern or an interval, and has {pattern!r:.100} and {every!r:.100}")
    count = int(repeat.get("count") or 0) + 1
    limit, end_ms = repeat.get("limit"), epoch_ms("endDate", repeat.get("endDate"))
    if (limit is not None and count > int(limit)) or (end_ms is not None and now > end_ms):
        return None
    after_ms = max(now, int(job.options.get("prevMillis") or 0))
    # Where there is an interval the script reckons, and no job of it says when the one before it was due.
    slot_ms = repeat_strategy(after_ms, {**repeat, "immediately": False}) if pattern else after_ms
    if slot_ms is None:
        return None
    changes = {
        "offset": repeat.get("offset") if every else None,
        "count": count,
        "startDate": epoch_ms("startDate", repeat.get("startDate")),
        "endDate": end_ms,
        "immediately": None,
    }
    options = {
        **job.options,
        "tm": None,  # each slot is a trace of its own
        "timestamp": now,
        "prevMillis": slot_ms if pattern else None,
        "repeatJobKey": job.scheduler_id,
        "repeat": _without_nones({**repeat, **changes}),
    }
    return _Iteration(slot_ms, _without_nones(options))


def _without_nones(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"its job has no usable 'repeat' option but {value!r:.100}")
    return cast(Mapping[str, Any], value)
