"""Shutdown: how active jobs come to their end when the worker stops: ask, wait, signal, cancel, put back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from jobqueue.context import AbortReason
from jobqueue.worker.execution import Execution
from jobqueue.worker.served import ServedQueue

_log = logging.getLogger("jobqueue.worker")

_CANCEL_S = 0.2
_RECORD_S = 0.2


class Shutdown:
    """One shutdown of one worker. `urged` is set by whoever will not wait: then signal and grace are skipped."""

    def __init__(self, queues: Sequence[ServedQueue], urged: asyncio.Event) -> None:
        self._queues = queues
        self._urged = urged

    async def run(self, patience_s: float) -> None:
        """Returns when no job runs here any more; within `patience_s`, the longest grace and a second.

        Waiting for a last claim's answer is a part of the patience, though it may outlast a short one.
        """
        out_of_patience_s = time.monotonic() + patience_s
        await asyncio.gather(*(queue.fetcher.stop_claiming() for queue in self._queues))
        drained = asyncio.ensure_future(self._drained())
        if not await self._ended(drained, max(out_of_patience_s - time.monotonic(), 0)):
            await self._end_what_runs(drained)
        if not drained.done():
            _log.error("jobs could not be put back; their locks expire and another worker takes them")
            await asyncio.gather(*(queue.fetcher.abandon() for queue in self._queues))
        await drained

    async def _end_what_runs(self, drained: asyncio.Future[None]) -> None:
        for queue in self._queues:
            queue.executor.stop(AbortReason("shutdown", "the worker stops"))
        grace_s = max((execution.grace_s for execution in self._executions()), default=0.0)
        if await self._ended(drained, grace_s):
            return
        for execution in self._executions():
            execution.cancel()
        await asyncio.wait({drained}, timeout=_CANCEL_S)
        for execution in self._executions():
            execution.abandon()
        await asyncio.wait({drained}, timeout=_RECORD_S)

    def _executions(self) -> list[Execution]:
        return [execution for queue in self._queues for execution in queue.executor.active]

    async def _drained(self) -> None:
        await asyncio.gather(*(queue.fetcher.drained() for queue in self._queues))

    async def _ended(self, drained: asyncio.Future[None], wait_s: float) -> bool:
        """Wait for the jobs to end, but no longer than `wait_s`, nor once urged."""
        urged = asyncio.ensure_future(self._urged.wait())
        either: set[asyncio.Future[Any]] = {drained, urged}
        await asyncio.wait(either, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        urged.cancel()
        return drained.done()
