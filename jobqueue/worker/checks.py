"""Checks of a queue that come round: jobs whose worker is gone, and data of BullMQ 5."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from jobqueue import steering
from jobqueue.background import Periodic
from jobqueue.errors import QueueVersionError
from jobqueue.policy import Policy
from jobqueue.queue import Queue
from jobqueue.registry import Registry
from jobqueue.worker.care import CARE_MS
from jobqueue.worker.reporter import Reporter

_log = logging.getLogger("jobqueue.worker")

VERSION_CHECK_S: Final = 30.0
REPAIR_S: Final = 2.0
_REPAIR_MS: Final = 1_500
_AFTER_S: Final = 0.005
"""A check that comes before the last one's time is over does nothing."""


class StalledCheck(Periodic):
    """Puts jobs whose lock has expired back to waiting, at start and every `interval_ms`.

    One worker at a time does, by a key in Redis, and all wait for that key's end: of workers that each kept a rhythm of
    their own the one that made the check may die, and another's turn come nearly an interval too late. A job that
    stalls `max_claims` times is failed by the next claim.
    """

    def __init__(
        self, queue: Queue, reporter: Reporter, wake: Callable[[], None], registry: Registry, *, interval_ms: int
    ) -> None:
        super().__init__()
        self._wake = wake
        self._queue = queue
        self._reporter = reporter
        self._interval_ms = interval_ms
        self._registry = registry

    async def tick(self) -> float:
        max_claims = max((handler.policy.max_claims for handler in self._registry), default=Policy().max_claims)
        stalled = await self._queue.move_stalled(max(max_claims - 1, 1), self._interval_ms, CARE_MS)
        for job_id in stalled.job_ids:
            self._reporter.stalled(self._queue.name, job_id)
        if stalled.job_ids:
            self._wake()
        return stalled.next_ms / 1000 + _AFTER_S


class GateRepair(Periodic):
    """Lets parked jobs through whose order key or limit is held by a job that is gone (removed by hand, or ended by a
    worker that knows nothing of it), or whose limit was raised or taken away.
    """

    def __init__(self, queue: Queue, registry: Registry) -> None:
        super().__init__()
        self._queue = queue
        self._registry = registry

    async def tick(self) -> float:
        limits = {one.name: one.policy.concurrency.max if one.policy.concurrency else 0 for one in self._registry}
        await steering.repair_gates(self._queue, limits, _REPAIR_MS)
        return REPAIR_S


class VersionCheck(Periodic):
    """Holds claiming while the queue has data of BullMQ 5, which a resume would lose."""

    def __init__(self, queue: Queue, hold: Callable[[bool], None]) -> None:
        super().__init__()
        self._queue = queue
        self._hold = hold

    async def tick(self) -> float:
        try:
            await self._queue.check_version()
        except QueueVersionError as error:
            _log.error("claiming is on hold: %s", error)
            self._hold(True)
        else:
            self._hold(False)
        return VERSION_CHECK_S
