"""Queue acts: what is done to a whole queue from outside: paused, resumed, emptied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from jobqueue.queue import Queue
from jobqueue.scripts import around, shipped

BATCH: Final = 100
"""Jobs that one step of `drain` looks at: Redis does nothing else meanwhile, and needs some 3 ms for it."""

_PAUSE_KEYS: Final = ("meta", "prioritized", "events", "delayed", "marker")
_DRAINED: Final = ("wait", "prioritized")


async def pause(queue: Queue) -> None:
    """No worker begins a job of the queue until it is resumed; those that run go on. Twice is fine.

    Raises: QueueVersionError. Source: pause; Node Queue.pause.
    """
    await queue.check_version()
    keys = queue.keys.each(("wait", "paused", *_PAUSE_KEYS))
    await queue.client.run(shipped("pause"), keys, ("paused", "1"))


async def resume(queue: Queue) -> None:
    """Workers begin jobs again. Twice is fine. Raises: QueueVersionError. Source: pause; Node Queue.resume."""
    await queue.check_version()
    keys = queue.keys.each(("paused", "wait", *_PAUSE_KEYS))
    await queue.client.run(shipped("pause"), keys, ("resumed", "1"))


async def drain(queue: Queue, *, delayed: bool = False, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Remove all jobs that wait to run, with `delayed` those that are delayed, too; returns how many.

    As in Node these stay: what is active or finished; the next job of a job scheduler; a parent that waits for others,
    but for one that waits for removed jobs alone, which goes with them; and so, too, a job that is parked before an
    order key or a limit: when what stood before it is gone, its turn comes within seconds.
    Concurrency: a batch is one step in Redis; a job that comes meanwhile may stay. Between two `goes_on` is asked.
    Raises: QueueVersionError. Source: drain, which Node lets remove all jobs in one step, however many.
    """
    await queue.check_version()
    removed = 0
    for word in (*_DRAINED, "delayed") if delayed else _DRAINED:
        stay = 0
        while goes_on():
            looked_at, gone = await _drain_some(queue, word, stay)
            removed, stay = removed + gone, stay + looked_at - gone
            if looked_at < BATCH:
                break
    return removed


async def _drain_some(queue: Queue, word: str, skip: int) -> tuple[int, int]:
    """How many jobs were looked at, and how many of them are gone."""
    keys = queue.keys.each((word, "repeat"))
    args = (queue.keys.base, word, BATCH, skip)
    looked_at, gone = cast(list[Any], await queue.client.run(around("drainSome", "drain"), keys, args))
    return looked_at, gone
