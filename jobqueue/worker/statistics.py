"""Statistics: what a worker counts of the tries that end in it, in memory, and sends to Redis every few seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from jobqueue import statistics
from jobqueue.background import FAREWELL_S, Periodic
from jobqueue.errors import JobqueueError, RedisReplyError
from jobqueue.job import Job
from jobqueue.packing import pack
from jobqueue.queue import Queue
from jobqueue.redis.retry import is_passing
from jobqueue.scripts import own
from jobqueue.statistics import COMPLETED, FAILED, MAX_HANDLERS, OTHERS, RAN, RETRIED, WAITED, WHOLE_QUEUE, bucket_of
from jobqueue.worker.outcomes import Cancelled, Completed, Failed, Missed, Outcome, Retried, Skipped, Superseded

FLUSH_S: Final = 5.0
MAX_SEALED: Final = 120
_SEAL_AGAIN_S: Final = 60.0
_HANDLERS_AT_ONCE: Final = 25  # Redis needs some 2 ms for them
_SENT_KEEP_MS: Final = 24 * 3_600_000

_log = logging.getLogger("jobqueue.worker")

_CODES: Final[Mapping[type, int]] = {
    Completed: COMPLETED,
    Superseded: COMPLETED,
    Skipped: COMPLETED,
    Missed: COMPLETED,
    Failed: FAILED,
    Cancelled: FAILED,
    Retried: RETRIED,
}
"""As BullMQ counts them; a try of any other outcome goes on, or was none."""

ByHandler: TypeAlias = dict[str, defaultdict[int, int]]


class Figures:
    """Counts the tries of one queue that end in this worker, by handler. Nothing is sent from here."""

    def __init__(self) -> None:
        self._added: ByHandler = {}

    def ended(self, job: Job, outcome: Outcome | None, ran_s: float | None) -> None:
        """One try was recorded; `ran_s` is how long its handler ran, None where it did not.

        A job has waited from when it was due until its first claim; what later tries waited for cannot be told.
        """
        code = _CODES.get(type(outcome))
        if code is None:
            return
        counts = self._added.get(job.name)
        if counts is None:
            counts = self._counts_of(job.name)
        counts[code] += 1
        if job.attempts_started <= 1 and job.processed_at_ms is not None:
            due_ms = job.enqueued_at_ms + job.options.delay_ms
            counts[WAITED + bucket_of(job.processed_at_ms - due_ms)] += 1
        if ran_s is not None:
            counts[RAN + bucket_of(ran_s * 1000)] += 1

    def take(self) -> ByHandler:
        """What was counted since this was called last."""
        taken, self._added = self._added, {}
        return taken

    def __bool__(self) -> bool:
        return bool(self._added)

    def _counts_of(self, name: str) -> defaultdict[int, int]:
        known = statistics.clean_name(name)
        if known not in self._added and len(self._added) >= MAX_HANDLERS:
            known = OTHERS
        return self._added.setdefault(known, defaultdict(int))


class _Batch(NamedTuple):
    """Counts on their way to Redis, by handler. Invariant: sent again under the same number until it was answered."""

    number: int
    sealed_s: float
    handlers: Sequence[tuple[str, Sequence[int]]]


class StatisticsFlush(Periodic):
    """Sends the figures to Redis; while nothing was counted nothing is asked.

    What Redis has not taken is kept and sent again, each batch under its number, so that it is added once. While Redis
    is away a minute's figures are kept apart, up to MAX_SEALED batches; after that they are counted together. A worker
    that is killed loses what it counted since the last flush.
    """

    def __init__(self, queue: Queue, figures: Figures, started: str) -> None:
        super().__init__()
        self._queue = queue
        self._figures = figures
        self._sent_key = queue.keys.statistics_sent(started)
        self._sealed: deque[_Batch] = deque()
        self._sealed_s = 0.0
        self._number = 0

    async def tick(self) -> float:
        if self._figures and self._may_seal():
            self._seal()
        while self._sealed:
            try:
                await self._send(self._sealed[0])
            except RedisReplyError as error:
                if is_passing(error):
                    raise
                _log.warning("figures of queue %s are dropped, since Redis refuses them: %s", self._queue.name, error)
            self._sealed.popleft()
        return FLUSH_S

    async def stop(self) -> None:
        """The last flush: not waited for where Redis is away."""
        await super().stop()
        if not self._queue.client.is_ready:
            return
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.tick()
        except (JobqueueError, TimeoutError) as error:
            _log.info("the figures of the last seconds are lost: %s", error or "Redis does not answer")

    def _may_seal(self) -> bool:
        """An outage makes a batch a minute, not one for each attempt to send."""
        if not self._sealed:
            return True
        return len(self._sealed) < MAX_SEALED and time.monotonic() - self._sealed_s >= _SEAL_AGAIN_S

    def _seal(self) -> None:
        by_handler = self._figures.take()
        handlers = [(WHOLE_QUEUE, statistics.merged(by_handler.values())), *by_handler.items()]
        packed = [(name, statistics.flat(counts)) for name, counts in handlers]
        self._sealed_s = time.monotonic()
        for first in range(0, len(packed), _HANDLERS_AT_ONCE):
            self._number += 1
            self._sealed.append(_Batch(self._number, self._sealed_s, packed[first : first + _HANDLERS_AT_ONCE]))

    async def _send(self, batch: _Batch) -> None:
        asked = {
            "number": batch.number,
            "age": round((time.monotonic() - batch.sealed_s) * 1000),
            "sentKeep": _SENT_KEEP_MS,
            "most": MAX_HANDLERS,
            "others": OTHERS,
            "resolutions": statistics.RESOLUTIONS,
            "handlers": batch.handlers,
        }
        await self._queue.client.run(own("addStatistics"), [self._sent_key], [self._queue.keys.base, pack(asked)])
