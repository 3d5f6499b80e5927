"""Steps: what a relay and those who spill do to one queue, each one step in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from jobqueue.queue import Queue
from jobqueue.scripts import own

_HOLD_MS: Final = 60 * 60 * 1000
"""A hold guards as long as nobody takes another; it has an end so that the key has one."""


class QueueState(NamedTuple):
    """What a relay must know of a queue.

    `depth` jobs wait or run. Where it overflows, `refused` counts the jobs that found it full since, `settled` those of
    them that are in the table or were given up; `unchanged_ms` is the time since one was refused or settled.
    """

    depth: int
    refused: int
    settled: int
    unchanged_ms: int

    @property
    def overflows(self) -> bool:
        return bool(self.refused or self.settled)

    @property
    def has_some_on_their_way(self) -> bool:
        return self.refused > self.settled


async def hold(queue: Queue, name: str) -> QueueState:
    """Take hold of the queue, and look at it. Concurrency: what was sent under an earlier hold is void from here on."""
    keys = [queue.keys.outbox_hold(), queue.keys.overflow()]
    return QueueState(*await queue.client.run(own("holdOutbox"), keys, [queue.keys.base, name, _HOLD_MS]))


async def leave(queue: Queue, token: str) -> None:
    """Give the lease back, if it is the token's."""
    await queue.client.run(own("dropLease"), [queue.keys.outbox_lease()], [token])


async def moved_rows(queue: Queue) -> Sequence[str]:
    """The keys of the rows that are in Redis and may be in the table still."""
    rows: Sequence[str] = await queue.client.call("HKEYS", queue.keys.outbox_moved())
    return rows


async def forget_moved(queue: Queue, name: str, rows: Sequence[str]) -> bool:
    """Rows that are deleted need no marker. False where the hold is not the latest: then nobody may forget anything."""
    if not rows:
        return True
    keys = [queue.keys.outbox_hold(), queue.keys.outbox_moved()]
    return bool(await queue.client.run(own("forgetMoved"), keys, [name, *rows]))


async def note_spilled(queue: Queue, count: int, *, written: bool) -> None:
    """So many jobs that were refused are settled. Where they were written, whatever comes later comes behind them."""
    await queue.client.run(own("noteSpilled"), [queue.keys.overflow()], [queue.keys.base, count, int(written)])


async def close_overflow(queue: Queue, for_ms: int) -> None:
    """Ask those who enqueue to wait for a moment: the overflow is about to end."""
    await queue.client.run(own("closeOverflow"), [queue.keys.overflow()], [queue.keys.base, for_ms])


async def end_overflow(queue: Queue, state: QueueState) -> bool:
    """New jobs may come in again, unless the queue has changed since."""
    args = [state.refused, state.settled]
    return bool(await queue.client.run(own("endOverflow"), [queue.keys.overflow()], args))
