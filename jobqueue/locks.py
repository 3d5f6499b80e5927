"""Locks: the singleton's lock. One holder at a time, by an owner token and a number that only grows.

It is given back in the same step as the end of the try is written (Queue.finish and its kin), so that a job whose
worker died before that finds its own lock and takes it over.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobqueue.queue import Queue
from jobqueue.scripts import own
from jobqueue.transitions import Lock

LOCK_TTL_MS = 300_000
HEARTBEAT_MS = 60_000
_FENCE_KEEP_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Busy:
    """Another job holds the lock."""

    holder: str


async def acquire(queue: Queue, identity: str, job_id: str, token: str) -> Lock | Busy:
    """Take the lock, or say who has it. A job's own lock, left by a worker that died, is taken over.

    Concurrency: atomic; safe to repeat with the same token.
    """
    key = queue.keys.singleton_lock(identity)
    keys, args = (key, queue.keys.singleton_fence(identity)), (job_id, token, LOCK_TTL_MS, _FENCE_KEEP_MS)
    fence, holder = await queue.client.run(own("acquireLock"), keys, args)
    return Busy(holder) if holder else Lock(key, token, fence)
