"""Frames: what is to be seen of queues and workers at one moment, as data."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jobqueue.inspector import Inspector, JobView, QueueView, Statistics, WorkerView

MAX_FIGURES: Final = 30
"""Queues whose figures and failures are read for one frame."""
MAX_FAILED: Final = 10
MAX_ACTIVE: Final = 50
WORKERS_EVERY_S: Final = 1.0
"""Who works costs Redis a list of its clients."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment. `figures` are of the last hour, of some queues; `failed` the latest of these; `active` of one queue.

    Units: `at_ms` epoch milliseconds.
    """

    at_ms: int
    queues: Sequence[QueueView]
    figures: Mapping[str, Statistics]
    workers: Sequence[WorkerView]
    failed: Sequence[JobView]
    active: Sequence[JobView]

    @property
    def names(self) -> Sequence[str]:
        return [queue.name for queue in self.queues]


class Frames:
    """Reads frames."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._workers: Sequence[WorkerView] = ()
        self._looked_at_s: float | None = None

    async def read(self, first: int = 0, opened: str | None = None) -> Frame:
        """Figures of MAX_FIGURES queues from `first` on, and the active jobs of the queue that is opened.

        Raises: RedisUnavailable and its kin.
        """
        queues = await self._inspector.queues()
        served = [queue for queue in queues[first : first + MAX_FIGURES] if queue.refused is None]
        figures, failed, workers, active = await asyncio.gather(
            asyncio.gather(*(self._inspector.statistics(queue.name, "hour") for queue in served)),
            asyncio.gather(*(self._failed(queue.name) for queue in served if queue.counts["failed"])),
            self._who_works(),
            self._active(opened),
        )
        latest = sorted((job for jobs in failed for job in jobs), key=_finished_at_ms, reverse=True)
        by_name = dict(zip((queue.name for queue in served), figures, strict=True))
        now_ms = round(time.time() * 1000)
        return Frame(now_ms, queues, by_name, workers, latest[:MAX_FAILED], active)

    async def _failed(self, queue: str) -> Sequence[JobView]:
        return (await self._inspector.jobs(queue, "failed", 0, MAX_FAILED)).jobs

    async def _active(self, queue: str | None) -> Sequence[JobView]:
        return () if queue is None else (await self._inspector.jobs(queue, "active", 0, MAX_ACTIVE)).jobs

    async def _who_works(self) -> Sequence[WorkerView]:
        now_s = time.monotonic()
        if self._looked_at_s is None or now_s - self._looked_at_s >= WORKERS_EVERY_S:
            self._workers, self._looked_at_s = await self._inspector.workers(), now_s
        return self._workers


def _finished_at_ms(view: JobView) -> int:
    return 0 if view.job is None else view.job.finished_at_ms or 0
