"""Presence: keeps a worker's record in Redis alive, by which screens know that it serves a queue."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import socket
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from jobqueue._version import __version__
from jobqueue.background import FAREWELL_S, Periodic
from jobqueue.clock import now_ms
from jobqueue.errors import JobqueueError
from jobqueue.presence import GONE_MS, Presence
from jobqueue.queue import Queue
from jobqueue.settings import Settings

BEAT_S: Final = 10.0
_INDEX_KEEP_MS: Final = 3_600_000

_log = logging.getLogger("jobqueue.worker")


def present(worker: str, queues: Sequence[str], settings: Settings) -> Presence:
    """What a worker that starts now in this process tells of itself."""
    return Presence(
        start=uuid4().hex,
        name=worker,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=__version__,
        python=platform.python_version(),
        concurrency=settings.worker_concurrency,
        queues=tuple(queues),
        started_at_ms=now_ms(),
    )


class Heartbeat(Periodic):
    """Renews the record of one queue, and takes it away when the worker stops.

    Plain commands that leave in one write: a record ends by itself, so that no script has to look after it, and an
    idle worker calls none.
    """

    def __init__(self, queue: Queue, started: str, presence: Presence) -> None:
        super().__init__()
        self._client = queue.client
        self._keys = queue.keys
        self._started = started
        self._record = presence.as_json()
        self._has_pruned = False

    async def tick(self) -> float:
        if not self._has_pruned:
            await self._prune()
            self._has_pruned = True
        await asyncio.gather(
            self._client.call("SET", self._keys.worker(self._started), self._record, "PX", GONE_MS),
            self._client.call("SADD", self._keys.workers(), self._started),
            self._client.call("PEXPIRE", self._keys.workers(), _INDEX_KEEP_MS),
        )
        return BEAT_S

    async def stop(self) -> None:
        """The record goes with the worker; where Redis is away it ends by itself."""
        await super().stop()
        if not self._client.is_ready:
            return
        try:
            async with asyncio.timeout(FAREWELL_S):
                await asyncio.gather(
                    self._client.call("DEL", self._keys.worker(self._started)),
                    self._client.call("SREM", self._keys.workers(), self._started),
                )
        except (JobqueueError, TimeoutError) as error:
            _log.info("this worker is listed for %d s more: %s", GONE_MS // 1000, error or "Redis does not answer")

    async def _prune(self) -> None:
        """Take workers out of the index that were killed. One that was only late puts itself back."""
        known: Sequence[str] = await self._client.call("SMEMBERS", self._keys.workers())
        alive = await asyncio.gather(*(self._client.call("EXISTS", self._keys.worker(started)) for started in known))
        dead = [started for started, lives in zip(known, alive, strict=True) if not lives]
        if dead:
            await self._client.call("SREM", self._keys.workers(), *dead)
