"""Call: one try of a job in a child, and what its handler is handed there."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from jobqueue import encoding, wire
from jobqueue.context import AbortReason, AbortSignal, JobContext, Resources
from jobqueue.handler import Handler
from jobqueue.worker.journal import MAX_LINE, MAX_PROGRESS
from jobqueue.worker.process.asking import Asking
from jobqueue.worker.process.wire import FromChild, Line, Order, Progress, Record, Stop

R = TypeVar("R")

_CUT: Final = MAX_LINE - 100


class NoResources(Resources):
    """What the worker's lifespan opened cannot be had from another process."""

    def __getitem__(self, kind: type[R]) -> R:
        raise LookupError(
            f"no resource of type {kind.__name__} here: what the lifespan opened belongs to the worker's own process; "
            'a handler with run_in="process" opens what it needs itself'
        )


class Call:
    """One try.

    Concurrency: `stop` from the thread that listens to the worker, the rest from the handler's threads.
    """

    def __init__(self, order: Order, send: Callable[[FromChild], None]) -> None:
        self.order = order
        self._send = send
        self._signal = AbortSignal()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_begun = False
        self._is_over = False
        self._reason: AbortReason | None = None
        self.asking = Asking(order.limits.payload_bytes, self._say)

    def arguments(self, handler: Handler[Any]) -> tuple[Any, ...]:
        """What the handler is called with. Raises: InvalidPayload; MalformedJob."""
        order = self.order
        job = wire.decode_job(order.queue, order.job_id, order.fields)
        context = JobContext(
            job=job,
            signal=self._signal,
            resources=NoResources(),
            worker_name=order.worker_name,
            fence=order.fence,
            _log=self._log,
            _progress=self._progress,
            _enqueue=self.asking.enqueue,
            _family=self.asking,
            cron=None if order.cron is None else order.cron.context,
        )
        if handler.payload is None:
            return (context,)
        return (context, handler.validate_json(wire.payload_json(order.fields.get("data", ""), job.envelope)))

    def begin(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """The handler is called now, on the loop where that is given."""
        with self._lock:
            self._loop, self._has_begun = loop, True
            if self._reason is not None:
                self._signal.abort(self._reason)

    def stop(self, stop: Stop) -> None:
        """The worker tells the run to stop."""
        with self._lock:
            self._reason = stop.reason
            if not self._has_begun:
                return
        if self._loop is None:
            self._signal.abort(stop.reason)
        else:
            self._loop.call_soon_threadsafe(self._signal.abort, stop.reason)

    def end(self, last: FromChild) -> None:
        """Say how the try ended; what is said after that, by a thread that was left behind, goes nowhere."""
        with self._lock:
            self._is_over = True
            self._send(last)

    def record(self, record: logging.LogRecord) -> None:
        """Pass on what was logged with `logging`."""
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else record.exc_text
        parts = (record.created, record.pathname, record.lineno, record.funcName)
        text, trace = _shortened(record.getMessage()), _shortened(trace) if trace else None
        self._say(Record(record.name, record.levelno, text, trace, *parts))

    def _say(self, message: FromChild) -> bool:
        """False where it comes too late."""
        with self._lock:
            if not self._is_over:
                self._send(message)
            return not self._is_over

    def _log(self, message: str) -> None:
        self._say(Line(_shortened(str(message))))

    def _progress(self, value: Any) -> None:
        value_json = encoding.encode_json(value)
        if len(value_json) > MAX_PROGRESS:
            raise ValueError(f"progress is {len(value_json)} characters of JSON, the limit is {MAX_PROGRESS}")
        self._say(Progress(value_json))


def _shortened(text: str) -> str:
    """A line of a log may be of any length; what crosses is no longer than what is kept."""
    shown = text if len(text) <= MAX_LINE else f"{text[:_CUT]}… ({len(text)} characters)"
    return shown.encode(errors="replace").decode()


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The call that this code works for."""


class ToTheWorker(logging.Handler):
    """Passes what is logged inside a job to the worker, which logs it as its own; the rest goes to standard error."""

    def __init__(self) -> None:
        super().__init__()
        self._otherwise = logging.StreamHandler()

    def emit(self, record: logging.LogRecord) -> None:
        call = current_call.get()
        if call is None:
            self._otherwise.handle(record)
            return
        try:
            call.record(record)
        except Exception:
            self.handleError(record)
