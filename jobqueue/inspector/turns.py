"""Turns: what a parked job waits for, and what makes a job one of a kind.

A parked job is in waiting-children, as a flow's parent is, but in a gate of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Literal

from jobqueue import ties
from jobqueue.handler import Handler
from jobqueue.inspector.stored import read
from jobqueue.inspector.views import Dedupe, Turn
from jobqueue.job import Job
from jobqueue.keys import QueueKeys
from jobqueue.queue import Queue
from jobqueue.ties import LaneTie, LimitTie, OrderTie, UniqueTie

MAX_HOLDERS: Final = 3
_HOLDER = 0


async def turn_of(queue: Queue, job: Job, handler: Handler[Any] | None) -> Turn | None:
    """The gate that the job is parked before; None where it waits for something else.

    Without its handler, or with a payload that this refuses, a job's limit cannot be told: then None, too.
    """
    for tie in ties.of_any_job(queue.keys, job, handler):
        if isinstance(tie, OrderTie | LimitTie):
            place = await read(queue.client, "ZSCORE", tie.key, job.id)
            if place is not None and float(place) > _HOLDER:
                kind, name = gate_name(queue.keys, tie.key)
                return Turn(kind, name, *await holders_of(queue, tie.key))
    return None


async def holders_of(queue: Queue, gate: str) -> tuple[tuple[str, ...], int]:
    """Some of the jobs that go first, and how many there are."""
    some: Sequence[str] | None
    count: int | None
    some, count = await asyncio.gather(
        read(queue.client, "ZRANGEBYSCORE", gate, _HOLDER, _HOLDER, "LIMIT", 0, MAX_HOLDERS),
        read(queue.client, "ZCOUNT", gate, _HOLDER, _HOLDER),
    )
    return tuple(some or ()), count or 0


def gate_name(keys: QueueKeys, gate: str) -> tuple[Literal["order key", "limit"], str]:
    """What a gate is called outside Redis."""
    order = keys.order("")
    if gate.startswith(order):
        return "order key", gate.removeprefix(order)
    return "limit", gate.removeprefix(keys.limit("", ""))


async def dedupes_of(
    queue: Queue, job: Job, handler: Handler[Any] | None, bullmq_key: str | None
) -> tuple[Dedupe, ...]:
    """What keeps other jobs from being beside this one, with the present holder. `bullmq_key` is Node's own, if any."""
    found: list[Dedupe] = []
    for tie in ties.of_any_job(queue.keys, job, handler):
        if isinstance(tie, LaneTie | UniqueTie):
            kind: Literal["superseding", "unique"] = "superseding" if isinstance(tie, LaneTie) else "unique"
            holder = await read(queue.client, "HGET", tie.key, "holder")
            found.append(Dedupe(kind, _own_name(queue.keys, tie.key), holder))
    if bullmq_key is not None:
        holder = await read(queue.client, "GET", queue.keys.of(f"de:{bullmq_key}"))
        found.append(Dedupe("bullmq", bullmq_key, holder))
    return tuple(found)


def _own_name(keys: QueueKeys, key: str) -> str:
    """Without the words that every such key begins with: `handler:key` of a lane, `handler:type:id` of an object."""
    return key.removeprefix(keys.of("job:")).partition(":")[2]
