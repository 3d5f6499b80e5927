"""Run: one call of a handler in a child, as the job's own task sees it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from jobqueue import encoding
from jobqueue.context import AbortReason, JobContext
from jobqueue.errors import JobCancelled, ProcessEnded
from jobqueue.handler import Handler
from jobqueue.worker.outcomes import Completed, Encoded, Ending, Failed, Raised
from jobqueue.worker.process.answering import answer
from jobqueue.worker.process.failures import stand_in
from jobqueue.worker.process.location import location_of
from jobqueue.worker.process.parent import ChildProcess
from jobqueue.worker.process.pool import Processes
from jobqueue.worker.process.wire import (
    Ask,
    AskFamily,
    AskJob,
    CronTold,
    Failure,
    FromChild,
    Line,
    Order,
    Progress,
    Record,
    Result,
    Stop,
    Unfit,
)
from jobqueue.worker.scope import Scope, current_scope

_log = logging.getLogger("jobqueue.worker")

_STUBBORN_S: Final = 5.0


class ProcessRun:
    """A handler at work in a child, which the job's task waits for.

    The signal comes first; after the grace the child is killed, so nothing of it outlives the try.
    """

    def __init__(
        self, handler: Handler[Any], context: JobContext, fields: Mapping[str, str], processes: Processes
    ) -> None:
        self._name = handler.name
        self._handler = handler
        self._context = context
        self._fields = fields
        self._processes = processes
        self._child: ChildProcess | None = None
        self._is_cancelled = False
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._timers: list[asyncio.TimerHandle] = []
        self._asked: set[asyncio.Task[None]] = set()
        self._scope = contextvars.Context()

    @property
    def grace_s(self) -> float:
        return self._handler.policy.grace_ms / 1000

    async def finish(self) -> Ending:
        """Have the handler called and wait for its end, which may be a failure but is never an exception."""
        current_scope.set(Scope(self._handler.name, self._context.job.id, self._context.log))
        self._scope = contextvars.copy_context()  # what comes from the child is heard in no task
        try:
            return await self._call()
        except Exception as error:  # no child can be had, or none could find the handler
            return Raised(error)
        finally:
            current_scope.set(None)
            for timer in self._timers:
                timer.cancel()
            for asked in self._asked:
                asked.cancel()

    def abort(self, reason: AbortReason) -> None:
        """Tell the run to stop; after the grace its child is killed. Only the first reason counts."""
        if self._context.signal.abort(reason):
            if self._child is not None:
                self._tell(self._child, reason)
            self._later(self.grace_s, self.cancel)

    def cancel(self) -> None:
        """Kill the child now."""
        self._kill()
        self._later(_STUBBORN_S, self.abandon)

    def abandon(self) -> None:
        """End the try though the process has not gone yet: killed or not, the kernel may keep it waiting for a disk."""
        self._kill()
        if not self._ended.done():
            _log.error("the process of %s was killed and does not end; its try has ended without it", self._name)
            self._ended.set_result(self._cancelled())

    # What comes from the child

    def hear(self, message: FromChild) -> None:
        self._scope.run(self._take, message)

    def mourn(self, ending: str) -> None:
        if not self._ended.done():
            self._ended.set_result(
                self._cancelled() if self._is_cancelled else Raised(ProcessEnded(f"its process {ending}"))
            )

    def _take(self, message: FromChild) -> None:
        if self._ended.done():
            return
        match message:
            case Line(text):
                self._context.log(text)
            case Record():
                _log_again(message)
            case Progress(value_json):
                self._context.progress(encoding.decode_json(value_json))
            case AskJob() | AskFamily():
                asked = asyncio.get_running_loop().create_task(self._answer(message))
                self._asked.add(asked)
                asked.add_done_callback(self._asked.discard)
            case Result(result_json):
                self._ended.set_result(Encoded(Completed(result_json)))
            case Unfit(reason):
                self._ended.set_result(Encoded(Failed(reason)))
            case Failure(told, is_last):
                self._ended.set_result(Raised(stand_in(told), told.trace))
                if is_last and self._child is not None:
                    self._child.is_retired = True

    # Steps

    async def _call(self) -> Ending:
        """Raises: DefinitionError; OSError."""
        location, limits = location_of(self._handler), self._processes.limits
        child = self._child = await self._processes.take()
        try:
            if self._is_cancelled:
                return self._cancelled()
            child.ears = self
            job, context = self._context.job, self._context
            level = logging.getLogger().getEffectiveLevel()
            fields, worker = dict(self._fields), context.worker_name
            cron = None if context.cron is None else CronTold.of(context.cron)
            child.send(Order(location, job.queue, job.id, fields, worker, context.fence, limits, level, cron))
            if context.signal.why is not None:
                self._tell(child, context.signal.why)
            return await self._ended
        except asyncio.CancelledError:
            child.kill()
            raise
        finally:
            child.ears = None
            self._processes.give_back(child)

    async def _answer(self, ask: Ask) -> None:
        answered = await answer(ask, self._context)
        if self._child is not None:
            self._child.send(answered)

    def _tell(self, child: ChildProcess, reason: AbortReason) -> None:
        child.send(Stop(reason.cause, reason.message, reason.by))

    def _kill(self) -> None:
        self._is_cancelled = True
        if self._child is not None:
            self._child.kill()

    def _cancelled(self) -> Raised:
        return Raised(JobCancelled(self._context.signal.reason))

    def _later(self, wait_s: float, act: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(wait_s, act))


def _log_again(record: Record) -> None:
    """As if it had been logged in this process, so that the worker's handlers and the job's log have it.

    The trace stands where the log's formatters look for a stack: what they do with an error wants the error itself.
    """
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.level):
        name, level, file, line, function = record.name, record.level, record.file, record.line, record.function
        again = logger.makeRecord(name, level, file, line, record.text, (), None, function, sinfo=record.trace)
        again.created = record.created_s
        logger.handle(again)
