"""Marks: tell running jobs what is said of them elsewhere (superseded, cancelled, acknowledged).

By a push at once, and by a poll every 500 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from jobqueue import steering
from jobqueue.background import Periodic
from jobqueue.queue import Queue
from jobqueue.redis.client import Client, PushListener
from jobqueue.redis.connection import Connection
from jobqueue.transitions import Mark
from jobqueue.worker.active import ActiveJobs
from jobqueue.worker.care import Care

POLL_S: Final = 0.5
_PING_S: Final = 10.0


class MarkPoll(Periodic):
    """Reads the marks of all active jobs: what the push may have missed."""

    def __init__(self, queue: Queue, active: ActiveJobs) -> None:
        super().__init__()
        self._queue = queue
        self._active = active

    async def tick(self) -> float:
        job_ids = [execution.job.id for execution in self._active]
        if job_ids:
            for job_id, marks in (await steering.marks(self._queue, job_ids)).items():
                for mark in marks:
                    _tell(self._active, job_id, mark)
        return POLL_S


class MarkPush(Periodic):
    """Stays subscribed to the queue's signals, on a connection of its own."""

    def __init__(
        self, queue: Queue, active: ActiveJobs, care: Care, new_subscriber: Callable[[PushListener], Client]
    ) -> None:
        super().__init__()
        self._queue = queue
        self._active = active
        self._care = care
        self._subscriber = new_subscriber(self._take)
        self._subscribed: Connection | None = None

    async def tick(self) -> float:
        """Subscribe where that is not done, and wait for the connection's end; the ping notices a silent one."""
        connection = await self._subscriber.connect()
        if connection is not self._subscribed:
            await self._subscriber.call("SUBSCRIBE", self._queue.keys.signals())
            self._subscribed = connection
        if not await connection.lost(_PING_S):
            await self._subscriber.call("PING")
        return 0

    async def stop(self) -> None:
        await super().stop()
        await self._subscriber.close()

    def _take(self, push: Sequence[str]) -> None:
        match push[2].split("\n", 2):
            case ["superseded" | "cancelled" | "acknowledged" as kind, job_id, value]:
                _tell(self._active, job_id, Mark(kind, value))
            case ["careful", _, _]:
                self._care.take()
            case _:
                return


def _tell(active: ActiveJobs, job_id: str, mark: Mark) -> None:
    execution = active.find(job_id)
    if execution is not None:
        execution.heed(mark)
