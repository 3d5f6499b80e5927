"""Results: how a job ended, told to whoever waits for it. Fed by the queue's event stream."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from jobqueue import encoding
from jobqueue.errors import ClientClosed, JobFailed, JobNotFound
from jobqueue.queue import Queue
from jobqueue.redis.retry import until_answered
from jobqueue.stream import EventStreams, Listener, StreamEvent, StreamReader


class Results:
    """Waits for jobs of any queue."""

    def __init__(self, queue_named: Callable[[str], Queue], streams: EventStreams) -> None:
        self._queue_named = queue_named
        self._streams = streams
        self._waiting: dict[str, _Waiting] = {}

    async def wait_for(self, queue: str, job_id: str, timeout_s: float | None, *, is_coming: bool = False) -> Any:
        """The job's return value. One that `is_coming` need not be there yet.

        Raises: JobFailed, JobNotFound, TimeoutError; ClientClosed.
        """
        reader = self._streams.of(queue)
        if queue not in self._waiting:
            self._waiting[queue] = _Waiting(self._queue_named(queue), reader)
        async with asyncio.timeout(timeout_s):
            return await self._waiting[queue].wait_for(job_id, is_coming=is_coming)


class _Waiting(Listener):
    """Those who wait for jobs of one queue.

    Invariant: after attaching and after each lost connection every waiting job is read once, so that an event which
    came meanwhile is not missed.
    """

    def __init__(self, queue: Queue, reader: StreamReader) -> None:
        self._queue = queue
        self._reader = reader
        self._futures: defaultdict[str, set[asyncio.Future[Any]]] = defaultdict(set)
        self._coming: set[asyncio.Future[Any]] = set()
        """Of jobs that may not be there yet."""

    async def wait_for(self, job_id: str, *, is_coming: bool) -> Any:
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(_mark_as_seen)
        if is_coming:
            self._coming.add(outcome)
            outcome.add_done_callback(self._coming.discard)
        self._futures[job_id].add(outcome)
        try:
            await self._reader.attach(self)
            await until_answered(lambda: self._read(job_id))
            return await outcome
        finally:
            self._futures[job_id].discard(outcome)
            if not self._futures[job_id]:
                del self._futures[job_id]
            if not self._futures:
                self._reader.detach(self)

    async def take(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            if event.job_id in self._futures:
                self._take(event)

    async def resume(self, *, missed: bool) -> None:
        await asyncio.gather(*map(self._read, tuple(self._futures)))

    def end(self) -> None:
        for outcomes in self._futures.values():
            for outcome in (one for one in outcomes if not one.done()):
                outcome.set_exception(ClientClosed("the app was closed, so nobody listens for results any more"))

    def _take(self, event: StreamEvent) -> None:
        match event.kind:
            case "completed":
                self._settle(event.job_id, event.fields.get("returnvalue"), None)
            case "failed":
                self._settle(event.job_id, None, JobFailed(event.fields.get("failedReason") or "the job failed"))
            case "removed":
                self._settle(event.job_id, None, JobNotFound(event.job_id, self._queue.name))
            case _:
                return

    async def _read(self, job_id: str) -> None:
        state, value = await self._queue.outcome(job_id)
        if state == "completed":
            self._settle(job_id, value, None)
        elif state == "failed":
            self._settle(job_id, None, JobFailed(value or "the job failed"))
        elif state == "missing":
            self._give_up(job_id)

    def _give_up(self, job_id: str) -> None:
        for outcome in self._futures.get(job_id, set()) - self._coming:
            if not outcome.done():
                outcome.set_exception(JobNotFound(job_id, self._queue.name))

    def _settle(self, job_id: str, result: str | None, error: Exception | None) -> None:
        for outcome in self._futures.get(job_id, ()):
            if outcome.done():
                continue
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(encoding.decode_result(result))


def _mark_as_seen(outcome: asyncio.Future[Any]) -> None:
    """Who waits may have been told otherwise, and would not look at the error."""
    if not outcome.cancelled():
        outcome.exception()
