"""Workers: who serves the queues, of ours and of Node's, and what they are at."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, TypeAlias

from jobqueue.inspector.serving import Connection, Serving, serving_of
from jobqueue.inspector.stored import clean
from jobqueue.queue import Queue
from jobqueue.redis.client import Client
from jobqueue.scripts import own

MAX_SHOWN: Final = 10
"""Jobs of a worker that are named."""

_LOOK: Final = 500  # at a time: Redis needs some 2 ms for it
_MAX_LOOKED_AT: Final = 5_000

Language: TypeAlias = Literal["python", "node", "unknown"]
_LANGUAGES: Final[Mapping[str, Language]] = {"ioredis": "node", "node-redis": "node", "redis-py": "python"}
"""By the client library that a connection names; before Redis 7.2 none is told."""


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker is at. Units: epoch milliseconds."""

    queue: str
    id: str
    name: str
    started_at_ms: int | None


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker as a screen shows it; what nobody tells is None.

    Of ours everything is known; one that was killed is listed for up to 30 s. Others are known by the name of their
    connection to one queue: `host` is its address. `active` are the first MAX_SHOWN of `active_count` jobs, the oldest
    first; None where they cannot be told from another worker's, or where more are active than are looked at.
    Units: epoch milliseconds; `seen_at_ms` by Redis's clock.
    """

    name: str
    host: str | None
    pid: int | None
    version: str | None
    language: Language
    queues: tuple[str, ...]
    concurrency: int | None
    started_at_ms: int | None
    seen_at_ms: int
    active: tuple[RunningJob, ...] = ()
    active_count: int | None = None


class _Active(NamedTuple):
    """The active jobs of one queue, by the start that claimed them and by the name of its worker."""

    is_whole: bool
    by_start: Mapping[str, Sequence[RunningJob]]
    by_name: Mapping[str, Sequence[RunningJob]]


async def time_of(client: Client) -> int:
    """Epoch ms by Redis's clock, which is one for all."""
    seconds, micros = await client.call("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


async def read_workers(client: Client, queues: Sequence[Queue]) -> tuple[WorkerView, ...]:
    """Every worker of the queues, by name."""
    now_ms = await time_of(client)
    serving = await serving_of(client, queues, now_ms)
    served = [queue for queue in queues if any(serving[queue.name])]
    active = {queue.name: jobs for queue, jobs in zip(served, await asyncio.gather(*map(_active, served)), strict=True)}
    others = [view for name, jobs in active.items() for view in _others(name, serving[name].connections, jobs, now_ms)]
    return tuple(sorted([*_ours(serving, active), *others], key=lambda view: (view.name, view.queues)))


def _ours(serving: Mapping[str, Serving], active: Mapping[str, _Active]) -> list[WorkerView]:
    """One view for each worker, though it has a record in each of its queues."""
    views: dict[str, WorkerView] = {}
    for queue, jobs in active.items():
        for start, told, seen_at_ms in serving[queue].records:
            held = jobs.by_start.get(start, ())
            view = views.get(told.start) or WorkerView(
                name=told.name,
                host=told.host,
                pid=told.pid,
                version=told.version,
                language="python",
                queues=told.queues,
                concurrency=told.concurrency,
                started_at_ms=told.started_at_ms,
                seen_at_ms=seen_at_ms,
                active_count=0,
            )
            views[told.start] = _with_jobs(view, held, max(view.seen_at_ms, seen_at_ms), is_whole=jobs.is_whole)
    return list(views.values())


def _with_jobs(view: WorkerView, held: Sequence[RunningJob], seen_at_ms: int, *, is_whole: bool) -> WorkerView:
    count = None if view.active_count is None or not is_whole else view.active_count + len(held)
    active = _first([*view.active, *held])
    return replace(view, active=active, active_count=count, seen_at_ms=seen_at_ms)


def _first(jobs: Iterable[RunningJob]) -> tuple[RunningJob, ...]:
    return tuple(sorted(jobs, key=lambda job: job.started_at_ms or 0)[:MAX_SHOWN])


# Active jobs


async def _active(queue: Queue) -> _Active:
    by_start: defaultdict[str, list[RunningJob]] = defaultdict(list)
    by_name: defaultdict[str, list[RunningJob]] = defaultdict(list)
    first, count, seen = 0, 1, set[str]()
    while first < min(count, _MAX_LOOKED_AT):
        args = (queue.keys.base, first, first + _LOOK - 1)
        count, *told = await queue.client.run(own("runningJobs"), [queue.keys.of("active")], args)
        parts = iter(told)
        for job_id, name, claimed_at, worker, token in zip(parts, parts, parts, parts, parts, strict=True):
            if job_id not in seen:  # a job that was claimed meanwhile moves the others on, into the next look too
                seen.add(job_id)
                job = RunningJob(
                    queue.name, clean(job_id), clean(name), int(claimed_at) if claimed_at.isdecimal() else None
                )
                by_start[token.rpartition(":")[0]].append(job)
                by_name[worker].append(job)
        first += _LOOK
    return _Active(count <= _MAX_LOOKED_AT, by_start, by_name)


# Others


def _others(queue: str, connections: Sequence[Connection], jobs: _Active, now_ms: int) -> list[WorkerView]:
    names = Counter(one.worker for one in connections)
    return [_other(queue, one, jobs if one.worker and names[one.worker] == 1 else None, now_ms) for one in connections]


def _other(queue: str, connection: Connection, jobs: _Active | None, now_ms: int) -> WorkerView:
    """`jobs` is None where the worker has no name of its own by which they could be told."""
    name, line = connection
    address, age_s = line.get("addr", ""), line.get("age", "")
    held = () if jobs is None else jobs.by_name.get(name, ())
    return WorkerView(
        name=clean(name) or address,
        host=address.rpartition(":")[0] or None,
        pid=None,
        version=None,
        language=_LANGUAGES.get(line.get("lib-name", "").partition("(")[0], "unknown"),
        queues=(queue,),
        concurrency=None,
        started_at_ms=now_ms - int(age_s) * 1000 if age_s.isdecimal() else None,
        seen_at_ms=now_ms,
        active=_first(held),
        active_count=None if jobs is None or not jobs.is_whole else len(held),
    )
