"""Run: one execution of a handler, as a task or in a thread, with its time limit and the signal that stops it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from jobqueue.context import AbortReason, JobContext
from jobqueue.errors import JobCancelled
from jobqueue.handler import Handler
from jobqueue.worker.outcomes import Ending, Raised, Returned
from jobqueue.worker.scope import Scope, current_scope

_log = logging.getLogger("jobqueue.worker")

_STUBBORN_S = 5.0


class Stragglers:
    """Runs that ignored their cancellation and are still at work in this process, counted by handler."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()

    @property
    def running(self) -> dict[str, int]:
        return dict(self._running)

    def add(self, handler: str) -> None:
        self._running[handler] += 1
        _log.error("%s ignores its cancellation; its try has ended without it", handler)

    def remove(self, handler: str) -> None:
        self._running[handler] -= 1
        self._running += Counter()
        _log.warning("%s, which had ignored its cancellation, has returned", handler)


class Run:
    """A handler at work.

    The signal comes first; after the grace a task is cancelled, and a thread, which cannot be, is left alone: its try
    ends and the thread is counted and named until it returns. The same goes for a task that swallows its cancellation.
    """

    def __init__(self, handler: Handler[Any], context: JobContext, payload: Any, stragglers: Stragglers) -> None:
        self._handler = handler
        self._stragglers = stragglers
        self._context = context
        self._arguments = (context,) if handler.payload is None else (context, payload)
        self._loop = asyncio.get_running_loop()
        self._ending: asyncio.Future[Ending] = self._loop.create_future()
        self._task: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def grace_s(self) -> float:
        return self._handler.policy.grace_ms / 1000

    async def finish(self, timeout_ms: int | None) -> Ending:
        """Start the handler and wait for its end, which may be a failure but is never an exception."""
        if timeout_ms is not None:
            reason = AbortReason("timeout", f"timed out after {timeout_ms} ms")
            self._timers.append(self._loop.call_later(timeout_ms / 1000, self.abort, reason))
        scope = Scope(self._handler.name, self._context.job.id, self._context.log)
        if self._handler.is_async:
            name = f"{self._handler.name}:{self._context.job.id}"
            self._task = self._loop.create_task(self._run_task(scope), name=name)
        else:
            _start_thread(self._run_thread, scope)
        try:
            return await self._ending
        except asyncio.CancelledError:
            self.cancel()  # the slot is given up; its handler must not outlive it
            raise
        finally:
            for timer in self._timers:
                timer.cancel()

    def abort(self, reason: AbortReason) -> None:
        """Tell the run to stop; after the grace its task is cancelled. Only the first reason counts."""
        if self._context.signal.abort(reason):
            self._timers.append(self._loop.call_later(self.grace_s, self.cancel))

    def cancel(self) -> None:
        """Cancel the task now, or leave the thread to itself."""
        if self._ending.done():
            return
        if self._task is None:
            self.abandon()
            return
        self._task.cancel()
        self._timers.append(self._loop.call_later(_STUBBORN_S, self.abandon))

    def abandon(self) -> None:
        """End the try without its task or thread, which is counted until it returns."""
        if self._ending.done():
            return
        self._stragglers.add(self._handler.name)
        self._ending.set_result(Raised(JobCancelled(self._context.signal.reason)))

    def _settle(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(ending)
        else:
            self._stragglers.remove(self._handler.name)

    async def _run_task(self, scope: Scope) -> None:
        """Nothing gets out: not CancelledError, not SystemExit, which would end the worker with this one job."""
        current_scope.set(scope)
        try:
            ending: Ending = Returned(await self._handler.function(*self._arguments))
        except BaseException as error:
            ending = Raised(error)
        self._settle(ending)

    def _run_thread(self, scope: Scope) -> None:
        current_scope.set(scope)
        try:
            ending: Ending = Returned(self._handler.function(*self._arguments))
        except BaseException as error:
            ending = Raised(error)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, ending)


def _start_thread(function: Callable[[Scope], None], scope: Scope) -> None:
    """A daemon thread of its own: a pool's threads would be joined at exit, and one that hangs would hang the exit."""
    context = contextvars.copy_context()
    name = f"{scope.handler}:{scope.job_id}"
    threading.Thread(target=context.run, args=(function, scope), name=name, daemon=True).start()
