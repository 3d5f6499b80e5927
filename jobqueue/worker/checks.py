"""Checks of a queue that come round: jobs whose worker is gone, and data of BullMQ 5."""

from __future__ import annotations

import logging
from collections.abc import Callable

from jobqueue.background import Periodic
from jobqueue.errors import QueueVersionError
from jobqueue.queue import Queue
from jobqueue.worker.reporter import Reporter

_log = logging.getLogger("jobqueue.worker")

VERSION_CHECK_S = 30.0


class StalledCheck(Periodic):
    """Puts jobs whose lock has expired back to waiting, at start and every `interval_ms`.

    One worker at a time does, by a key in Redis. A job that stalls `max_claims` times is failed by the next claim.
    """

    def __init__(
        self, queue: Queue, reporter: Reporter, wake: Callable[[], None], *, interval_ms: int, max_claims: int
    ) -> None:
        super().__init__()
        self._wake = wake
        self._queue = queue
        self._reporter = reporter
        self._interval_ms = interval_ms
        self._max_stalled = max_claims - 1

    async def tick(self) -> float:
        stalled = await self._queue.move_stalled(self._max_stalled, self._interval_ms)
        for job_id in stalled:
            self._reporter.stalled(self._queue.name, job_id)
        if stalled:
            self._wake()
        return self._interval_ms / 1000


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
