"""Results: how a job ended, told to whoever waits for it. Fed by the queue's event stream."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from jobqueue import encoding, wire
from jobqueue.background import Periodic
from jobqueue.errors import ClientClosed, JobFailed, JobNotFound
from jobqueue.queue import Queue
from jobqueue.redis.client import Client
from jobqueue.redis.retry import until_answered

_BLOCK_S = 5.0
_LINGER_S = 10.0


class Results:
    """Waits for jobs of any queue; one listener and one connection for each queue that is waited on."""

    def __init__(self, queue_named: Callable[[str], Queue], new_client: Callable[[], Client]) -> None:
        self._queue_named = queue_named
        self._new_client = new_client
        self._listeners: dict[str, _Listener] = {}
        self._closed = False

    async def wait_for(self, queue: str, job_id: str, timeout_s: float | None) -> Any:
        """The job's return value. Raises: JobFailed, JobNotFound, TimeoutError; ClientClosed."""
        if self._closed:
            raise ClientClosed("the app is closed, so nobody listens for results")
        if queue not in self._listeners:
            self._listeners[queue] = _Listener(self._queue_named(queue), self._new_client())
        async with asyncio.timeout(timeout_s):
            return await self._listeners[queue].wait_for(job_id)

    async def close(self) -> None:
        self._closed = True
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            await listener.stop()


class _Listener(Periodic):
    """Reads one queue's stream while somebody waits.

    Invariant: after subscribing and after each lost connection every waiting job is read once, so that an event
    which came meanwhile is not missed.
    """

    def __init__(self, queue: Queue, client: Client) -> None:
        super().__init__()
        self._queue = queue
        self._client = client
        self._position: str | None = None
        self._needed_s = 0.0
        self._waiting: defaultdict[str, set[asyncio.Future[Any]]] = defaultdict(set)

    async def wait_for(self, job_id: str) -> Any:
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[job_id].add(outcome)
        self._needed_s = time.monotonic()
        try:
            await self.start()
            await until_answered(lambda: self._read(job_id))
            return await outcome
        finally:
            self._waiting[job_id].discard(outcome)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def tick(self) -> float | None:
        """Read the next events; where that fails the position is found anew. Ends a while after the last waiter."""
        if self._waiting:
            self._needed_s = time.monotonic()
        elif time.monotonic() - self._needed_s > _LINGER_S:
            self._position = None
            return None
        position = self._position or await self._subscribe()
        self._position = None
        self._position = await self._next_events(position)
        return 0

    async def stop(self) -> None:
        await super().stop()
        for outcomes in self._waiting.values():
            for outcome in (one for one in outcomes if not one.done()):
                outcome.set_exception(ClientClosed("the app was closed, so nobody listens for results any more"))
        await self._client.close()

    async def _subscribe(self) -> str:
        last = await self._client.call("XREVRANGE", self._queue.keys.of("events"), "+", "-", "COUNT", 1)
        await asyncio.gather(*map(self._read, tuple(self._waiting)))
        return str(last[0][0]) if last else "0-0"

    async def _next_events(self, position: str) -> str:
        block = ("XREAD", "COUNT", 1_000, "BLOCK", int(_BLOCK_S * 1000), "STREAMS")
        reply = await self._client.call(*block, self._queue.keys.of("events"), position, timeout_s=_BLOCK_S * 2)
        for _, entries in reply or ():
            for entry_id, flat in entries:
                position = str(entry_id)
                self._take(wire.pairs(flat))
        return position

    def _take(self, event: dict[str, str]) -> None:
        job_id = event.get("jobId", "")
        if job_id not in self._waiting:
            return
        if event.get("event") == "completed":
            self._settle(job_id, event.get("returnvalue"), None)
        elif event.get("event") == "failed":
            self._settle(job_id, None, JobFailed(event.get("failedReason") or "the job failed"))
        elif event.get("event") == "removed":
            self._settle(job_id, None, JobNotFound(job_id, self._queue.name))

    async def _read(self, job_id: str) -> None:
        state, value = await self._queue.outcome(job_id)
        if state == "completed":
            self._settle(job_id, value, None)
        elif state == "failed":
            self._settle(job_id, None, JobFailed(value or "the job failed"))
        elif state == "missing":
            self._settle(job_id, None, JobNotFound(job_id, self._queue.name))

    def _settle(self, job_id: str, result: str | None, error: Exception | None) -> None:
        for outcome in self._waiting.get(job_id, ()):
            if outcome.done():
                continue
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(encoding.decode_result(result))
