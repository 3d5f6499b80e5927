"""Keys: every Redis key, one function each, with its Redis type. BullMQ's own first, ours after them."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from jobqueue.errors import InvalidOption
from jobqueue.job import QUEUE_NAME


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """The keys of one queue.

    Invariant: every key starts with `base`, `{prefix}:{queue}:`, so queues and tests never meet.
    Raises: InvalidOption for a name that would reach into another queue.
    """

    prefix: str
    queue: str
    base: str = field(init=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(QUEUE_NAME, self.queue):
            raise InvalidOption("queue", f"must be 1 to 200 characters without ':' or braces, not {self.queue!r:.100}")
        object.__setattr__(self, "base", f"{self.prefix}:{self.queue}:")

    # BullMQ's (Source: bullmq queue_keys)

    def of(self, name: str) -> str:
        """One of BullMQ's fixed keys by its own word: wait, active, meta, events, …"""
        return self.base + name

    def job(self, job_id: str) -> str:
        """hash: the job."""
        return self.base + job_id

    def job_lock(self, job_id: str) -> str:
        """string: the token of the worker that holds the active job; expires."""
        return f"{self.base}{job_id}:lock"

    def job_logs(self, job_id: str) -> str:
        """list: the job's log lines."""
        return f"{self.base}{job_id}:logs"

    def metrics(self, state: str) -> str:
        """hash: count, prevTS, prevCount; the per-minute points are the list beside it, `:data`."""
        return f"{self.base}metrics:{state}"

    def client_name(self, worker: str) -> str:
        """What a worker's blocking connection calls itself, so that Node's getWorkers finds it.

        Source: Node create-backend, QueueGetters.getWorkers.
        """
        return f"{self.prefix}:{base64.b64encode(self.queue.encode()).decode()}:w:{worker}"

    # Ours: three parts (`job:<kind>:<id>`), which Node's removeOrphanedJobs passes over

    def superseded(self, job_id: str) -> str:
        """string: the id of the job that superseded this one. Ends with the superseded job."""
        return f"{self.base}job:superseded:{job_id}"

    def lane(self, handler: str, dedupe_key: str) -> str:
        """hash: holder (job id), rank (epoch ms of the claim). Ends with its holder."""
        return f"{self.base}job:lane:{handler}:{dedupe_key}"

    def singleton_lock(self, identity: str) -> str:
        """hash: job, token, fence. Expires unless renewed."""
        return f"{self.base}job:lock:{identity}"

    def singleton_fence(self, identity: str) -> str:
        """string: the last fence number given out for this lock. Expires long after the lock."""
        return f"{self.base}job:fence:{identity}"

    def signals(self) -> str:
        """channel: `superseded`, job id and newer id, a line each, the moment that it happens."""
        return f"{self.base}job:signals"
