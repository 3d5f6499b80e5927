"""Run: one call of a handler, in the job's own task or in a thread, and the signal that stops it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from jobqueue.context import AbortReason, JobContext
from jobqueue.errors import JobCancelled
from jobqueue.handler import Handler
from jobqueue.worker.outcomes import Ending, Raised, Returned
from jobqueue.worker.scope import Scope, current_scope

_log = logging.getLogger("jobqueue.worker")

_STUBBORN_S = 5.0


class LeftBehind(Exception):
    """The try has ended without this run, which had ignored its cancellation."""


class JobTask(asyncio.Task[None]):
    """The task of one job, from its claim to its record. It can be cancelled while its handler is at work; what comes
    later (a timer or a task that the handler left behind) must not reach the record.
    """

    __slots__ = ("_open", "was_cancelled")

    def __init__(self, steps: Coroutine[Any, Any, None], name: str | None, context: contextvars.Context) -> None:
        self._open = False
        self.was_cancelled = False
        super().__init__(steps, loop=asyncio.get_running_loop(), name=name, context=context)

    def open_to_cancel(self, is_open: bool) -> None:
        """Whether cancelling it cancels anything."""
        self._open = is_open

    def cancel(self, msg: object = None) -> bool:
        """False where it comes too late."""
        if not self._open:
            return False
        self.was_cancelled = True
        return super().cancel(msg)

    def give_up(self) -> None:
        """Cancel what is left of the job, whatever that is."""
        super().cancel()


class Stragglers:
    """Runs that ignored their cancellation and are still at work in this process, counted by handler."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def running(self) -> dict[str, int]:
        return dict(self._running)

    def add(self, handler: str, task: asyncio.Task[Any]) -> None:
        self._running[handler] += 1
        self._tasks.add(task)  # asyncio itself does not keep it alive
        task.add_done_callback(self._tasks.discard)
        _log.error("%s ignores its cancellation; its try has ended without it", handler)

    def remove(self, handler: str) -> None:
        self._running[handler] -= 1
        self._running += Counter()
        _log.warning("%s, which had ignored its cancellation, has returned", handler)


class Run:
    """A handler at work in the current task, which is the job's own.

    The signal comes first; after the grace the task is cancelled. A thread, which cannot be, is left behind, and so is
    a task that swallows its cancellation: `on_left_behind` is told how the try ends, and the straggler is counted and
    named until it returns.
    """

    def __init__(
        self,
        handler: Handler[Any],
        context: JobContext,
        payload: Any,
        stragglers: Stragglers,
        on_left_behind: Callable[[Ending], None],
    ) -> None:
        self._handler = handler
        self._context = context
        self._arguments = (context,) if handler.payload is None else (context, payload)
        self._task = _current_task()
        self._stragglers = stragglers
        self._on_left_behind = on_left_behind
        self._timers: list[asyncio.TimerHandle] = []
        self._left_behind = False

    @property
    def grace_s(self) -> float:
        return self._handler.policy.grace_ms / 1000

    async def finish(self) -> Ending:
        """Call the handler and wait for its end, which may be a failure but is never an exception: not CancelledError,
        not SystemExit, which would end the worker with this one job.

        Raises: LeftBehind where the try has been ended without it.
        """
        handler = self._handler
        current_scope.set(Scope(handler.name, self._context.job.id, self._context.log))
        self._task.open_to_cancel(True)
        if handler.is_async:
            try:
                ending: Ending = Returned(await handler.function(*self._arguments))
            except BaseException as error:
                ending = Raised(error)
        else:
            ending = await self._in_thread()
        self._task.open_to_cancel(False)
        current_scope.set(None)
        if self._task.was_cancelled:
            await _forget_cancellations(self._task)
        for timer in self._timers:  # last: until here something may still come to stop it
            timer.cancel()
        if self._left_behind:
            self._stragglers.remove(handler.name)
            raise LeftBehind
        return ending

    def abort(self, reason: AbortReason) -> None:
        """Tell the run to stop; after the grace its task is cancelled. Only the first reason counts."""
        if self._context.signal.abort(reason):
            self._later(self.grace_s, self.cancel)

    def cancel(self) -> None:
        """Cancel the task now, or leave the thread to itself."""
        if self._left_behind:
            return
        if not self._handler.is_async:
            self.abandon()
            return
        self._task.cancel()
        self._later(_STUBBORN_S, self.abandon)

    def abandon(self) -> None:
        """End the try without its task or thread, which is counted until it returns."""
        if self._left_behind:
            return
        self._left_behind = True
        self._stragglers.add(self._handler.name, self._task)
        self._on_left_behind(Raised(JobCancelled(self._context.signal.reason)))

    def _later(self, wait_s: float, act: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(wait_s, act))

    async def _in_thread(self) -> Ending:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Ending] = loop.create_future()

        def settle(ending: Ending) -> None:
            if not ended.done():
                ended.set_result(ending)
            else:  # the task has not waited for it
                self._stragglers.remove(self._handler.name)

        def call() -> None:
            try:
                ending: Ending = Returned(self._handler.function(*self._arguments))
            except BaseException as error:
                ending = Raised(error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, ending)

        _start_thread(call, f"{self._handler.name}:{self._context.job.id}")
        try:
            return await ended
        except asyncio.CancelledError:
            self.abandon()
            raise LeftBehind from None


def _current_task() -> JobTask:
    match asyncio.current_task():
        case JobTask() as task:
            return task
        case _:
            raise RuntimeError("a handler runs in its job's task")


async def _forget_cancellations(task: asyncio.Task[Any]) -> None:
    """A cancellation that the handler was meant to get, or gave itself, must not reach what comes after it.

    Before Python 3.13 one that has been taken back (`uncancel`) is on its way all the same.
    """
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        _log.debug("a cancellation came as the handler of %s ended", task.get_name())
    while task.cancelling():
        task.uncancel()


def _start_thread(function: Callable[[], None], name: str) -> None:
    """A daemon thread of its own: a pool's threads would be joined at exit, and one that hangs would hang the exit."""
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(function,), name=name, daemon=True).start()
