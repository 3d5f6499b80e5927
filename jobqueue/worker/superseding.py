"""Superseding: tells running jobs that a newer one took their lane, by a push at once and by a poll every 500 ms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from jobqueue import lanes
from jobqueue.background import Periodic
from jobqueue.queue import Queue
from jobqueue.redis.client import Client, PushListener
from jobqueue.redis.connection import Connection

POLL_S = 0.5
_PING_S = 10.0

OnSuperseded: TypeAlias = Callable[[str], None]
"""Told the id of the newer job."""


class SupersedeWatch:
    """The superseding jobs of one queue that run here."""

    def __init__(self) -> None:
        self._watched: dict[str, list[OnSuperseded]] = {}

    @property
    def job_ids(self) -> tuple[str, ...]:
        return tuple(self._watched)

    def watch(self, job_id: str, on_superseded: OnSuperseded) -> Callable[[], None]:
        """Tell it when the job is superseded; returns the function that ends just that."""
        self._watched.setdefault(job_id, []).append(on_superseded)

        def forget() -> None:
            listeners = self._watched.get(job_id, [])
            if on_superseded in listeners:
                listeners.remove(on_superseded)
            if not listeners:
                self._watched.pop(job_id, None)

        return forget

    def tell(self, job_id: str, by: str) -> None:
        for on_superseded in tuple(self._watched.get(job_id, ())):
            on_superseded(by)


class MarkPoll(Periodic):
    """Reads the marks of all watched jobs: what the push may have missed."""

    def __init__(self, queue: Queue, watch: SupersedeWatch) -> None:
        super().__init__()
        self._queue = queue
        self._watch = watch

    async def tick(self) -> float:
        job_ids = self._watch.job_ids
        if job_ids:
            for job_id, by in (await lanes.marks(self._queue, job_ids)).items():
                self._watch.tell(job_id, by)
        return POLL_S


class MarkPush(Periodic):
    """Stays subscribed to the queue's signals, on a connection of its own."""

    def __init__(self, queue: Queue, watch: SupersedeWatch, new_subscriber: Callable[[PushListener], Client]) -> None:
        super().__init__()
        self._queue = queue
        self._watch = watch
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
        match push[2].split("\n"):
            case ["superseded", job_id, by]:
                self._watch.tell(job_id, by)
            case _:
                return
