"""Steps: what a relay and those who spill do to one queue, each one step in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jobqueue.queue import Queue
from jobqueue.scripts import own
from jobqueue.ties import KEEP_MS


class QueueState(NamedTuple):
    """What a relay must know of a queue: whether it has the lease, for how long somebody has it, how full the queue is.

    `spilled` counts the jobs that were spilled since the queue overflowed, 0 where it does not; `spilled_ms` is the
    time since the last one. Units: milliseconds; `depth` jobs that wait or run.
    """

    is_held: bool
    ends_in_ms: int
    depth: int
    spilled: int
    spilled_ms: int


async def hold(queue: Queue, token: str, ttl_ms: int) -> QueueState:
    """Take the lease of the queue's outbox or renew it, and look at the queue."""
    keys = [queue.keys.outbox_lease(), queue.keys.overflow()]
    is_held, *numbers = await queue.client.run(own("holdOutbox"), keys, [queue.keys.base, token, ttl_ms])
    return QueueState(bool(is_held), *numbers)


async def leave(queue: Queue, token: str) -> None:
    """Give the lease back, if it is the token's."""
    await queue.client.run(own("dropLease"), [queue.keys.outbox_lease()], [token])


async def moved_rows(queue: Queue) -> Sequence[str]:
    """The keys of the rows that are in Redis and may be in the table still."""
    rows: Sequence[str] = await queue.client.call("HKEYS", queue.keys.outbox_moved())
    return rows


async def forget_moved(queue: Queue, rows: Sequence[str]) -> None:
    """Rows that are deleted need no marker."""
    if rows:
        await queue.client.call("HDEL", queue.keys.outbox_moved(), *rows)


async def note_spilled(queue: Queue, count: int) -> None:
    """So many jobs stand in the table now, and whatever comes later goes there too."""
    await queue.client.run(own("noteSpilled"), [queue.keys.overflow()], [queue.keys.base, count, KEEP_MS])


async def end_overflow(queue: Queue, spilled: int) -> bool:
    """New jobs may come in again, unless others have been spilled than those that `hold` counted."""
    return bool(await queue.client.run(own("endOverflow"), [queue.keys.overflow()], [spilled]))
