"""Reading: the jobs under the test's prefix that have not ended, and whether one of them may start."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final, cast

from jobqueue.app import App
from jobqueue.errors import JobNotFound
from jobqueue.job import State
from jobqueue.queue import Queue
from jobqueue.testing.clock import ms_of
from jobqueue.testing.records import EnqueuedJob, enqueued_job

_DUE: Final = 4096
"""A delayed job's score is when it is due, times this; what is left holds its place among those of one millisecond."""
_LISTS: Final[Sequence[tuple[State, str]]] = (("active", "active"), ("waiting", "wait"))
_SETS: Final[Sequence[State]] = ("prioritized", "delayed", "waiting-children")
_GLOB = re.compile(r"([\\*?\[\]])")
_AT_ONCE = 1_000


async def queues_of(app: App) -> tuple[str, ...]:
    """The queues of the registry, and the others under the prefix that a job was ever added to."""
    start, end = f"{app.settings.jobs_prefix}:", ":events"
    keys = await keys_like(app, f"{escaped(start)}*{end}")
    others = {key[len(start) : -len(end)] for key in keys}
    own = app.queue_names()
    return (*own, *sorted(name for name in others.difference(own) if ":" not in name))


async def keys_like(app: App, pattern: str) -> list[str]:
    """All keys that a pattern fits."""
    cursor, found = "0", list[str]()
    while True:
        cursor, keys = await app.client.call("SCAN", cursor, "MATCH", pattern, "COUNT", _AT_ONCE)
        found += map(str, cast(list[str], keys))
        if str(cursor) == "0":
            return found


def escaped(text: str) -> str:
    """Text as a pattern that fits nothing else."""
    return _GLOB.sub(r"\\\1", text)


async def jobs_of(queue: Queue) -> list[EnqueuedJob]:
    """The jobs of a queue that have not ended, the oldest first."""
    found: list[EnqueuedJob | None] = []
    for state, word in _LISTS:
        ids = cast(list[str], await queue.client.call("LRANGE", queue.keys.of(word), 0, -1))
        found += await asyncio.gather(*(_job(queue, job_id, state) for job_id in ids))
    for state in _SETS:
        key = queue.keys.of(state)
        ids = cast(list[str], await queue.client.call("ZRANGE", key, 0, -1))
        found += await asyncio.gather(*(_job(queue, job_id, state) for job_id in ids))
    return sorted((job for job in found if job is not None), key=_age)


async def _job(queue: Queue, job_id: str, state: State) -> EnqueuedJob | None:
    """None where the job has ended, or was removed, since its id was read."""
    try:
        job = await queue.job(job_id)
    except JobNotFound:
        return None
    if state != "delayed":
        return enqueued_job(job, state)
    score = await queue.client.call("ZSCORE", queue.keys.of("delayed"), job_id)
    return enqueued_job(job, state, None if score is None else due_ms(score))


def due_ms(score: object) -> int:
    """When the delayed job with that score may start."""
    return int(float(str(score))) // _DUE


def _age(job: EnqueuedJob) -> tuple[int, int, str]:
    """Ids of one millisecond are numbers, where the caller named none."""
    return ms_of(job.enqueued_at), len(job.job_id), job.job_id


async def may_start(queue: Queue, now_ms: int) -> bool:
    """True while a job of the queue runs, or one could be claimed at this time."""
    call, of = queue.client.call, queue.keys.of
    active, waiting, prioritized, due, is_paused = await asyncio.gather(
        call("LLEN", of("active")),
        call("LLEN", of("wait")),
        call("ZCARD", of("prioritized")),
        call("ZCOUNT", of("delayed"), "-inf", (now_ms + 1) * _DUE - 1),
        call("HEXISTS", of("meta"), "paused"),
    )
    return bool(active or (not is_paused and (waiting or prioritized or due)))
