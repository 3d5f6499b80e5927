"""Superseding: tells running jobs that a newer one took their lane, by a push at once and by a poll every 500 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from jobqueue import lanes
from jobqueue.queue import Queue
from jobqueue.redis.client import Client, PushListener
from jobqueue.redis.retry import Pause, is_passing

POLL_S = 0.5
_PING_S = 10.0

OnSuperseded: TypeAlias = Callable[[str], None]


class SupersedeWatch:
    """Watches the marks of the superseding jobs that run here, for one queue.

    The push is only faster than the poll: with its connection down nothing is missed.
    """

    def __init__(self, queue: Queue, new_subscriber: Callable[[PushListener], Client]) -> None:
        self._queue = queue
        self._new_subscriber = new_subscriber
        self._subscriber: Client | None = None
        self._watched: dict[str, OnSuperseded] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def watch(self, job_id: str, on_superseded: OnSuperseded) -> None:
        self._watched[job_id] = on_superseded

    def forget(self, job_id: str) -> None:
        self._watched.pop(job_id, None)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._subscriber = self._new_subscriber(self._take)
        self._tasks = [loop.create_task(self._poll()), loop.create_task(self._subscribe(self._subscriber))]

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._subscriber is not None:
            await self._subscriber.close()

    async def tick(self) -> float:
        """Read the marks of all watched jobs; returns the seconds to rest."""
        watched = list(self._watched)
        if watched:
            for job_id, by in (await lanes.marks(self._queue, watched)).items():
                self._tell(job_id, by)
        return POLL_S

    async def _poll(self) -> None:
        pause = Pause()
        while True:
            try:
                await asyncio.sleep(await self.tick())
                pause.reset()
            except Exception as error:
                if not is_passing(error):
                    raise
                await pause.rest()

    async def _subscribe(self, subscriber: Client) -> None:
        """Stay subscribed; the ping notices a connection that died without a word."""
        pause = Pause()
        while True:
            try:
                connection = await subscriber.connect()
                await subscriber.call("SUBSCRIBE", self._queue.keys.signals())
                pause.reset()
                while not await connection.lost(_PING_S):
                    await subscriber.call("PING")
            except Exception as error:
                if not is_passing(error):
                    raise
                await pause.rest()

    def _take(self, push: Sequence[str]) -> None:
        kind, _, rest = push[2].partition(" ")
        if kind == "superseded":
            job_id, _, by = rest.rpartition(" ")
            self._tell(job_id, by)

    def _tell(self, job_id: str, by: str) -> None:
        on_superseded = self._watched.get(job_id)
        if on_superseded is not None:
            on_superseded(by)
