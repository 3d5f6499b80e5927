"""Turns: what a parked job waits for. It is in waiting-children, as a flow's parent is, but in a gate of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, assert_never

from jobqueue import ties
from jobqueue.handler import Handler
from jobqueue.inspector.views import Turn
from jobqueue.job import Job
from jobqueue.keys import QueueKeys
from jobqueue.queue import Queue
from jobqueue.ties import LimitTie, OrderTie

MAX_HOLDERS: Final = 3
_HOLDER = 0


async def turn_of(queue: Queue, job: Job, handler: Handler[Any] | None) -> Turn | None:
    """The gate that the job is parked before; None where it waits for something else.

    Without its handler, or with a payload that this refuses, a job's limit cannot be told: then None, too.
    """
    for tie in _gates_of(queue.keys, job, handler):
        place = await queue.client.call("ZSCORE", tie.key, job.id)
        if place is not None and float(place) > _HOLDER:
            return await _turn(queue, tie)
    return None


async def _turn(queue: Queue, tie: OrderTie | LimitTie) -> Turn:
    holders: Sequence[str] = await queue.client.call(
        "ZRANGEBYSCORE", tie.key, _HOLDER, _HOLDER, "LIMIT", 0, MAX_HOLDERS
    )
    count: int = await queue.client.call("ZCOUNT", tie.key, _HOLDER, _HOLDER)
    match tie:
        case OrderTie():
            return Turn("order key", tie.key.removeprefix(queue.keys.order("")), tuple(holders), count)
        case LimitTie():
            return Turn("limit", tie.key.removeprefix(queue.keys.limit("", "")), tuple(holders), count)
        case _:
            assert_never(tie)


def _gates_of(keys: QueueKeys, job: Job, handler: Handler[Any] | None) -> list[OrderTie | LimitTie]:
    return [tie for tie in ties.of_any_job(keys, job, handler) if isinstance(tie, OrderTie | LimitTie)]
