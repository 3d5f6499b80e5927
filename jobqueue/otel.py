"""OpenTelemetry: spans from enqueue to run, in one trace with Node's BullMQ. Needs the extra `otel`."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, cast

from jobqueue._version import __version__
from jobqueue.app import App
from jobqueue.clock import now_ms
from jobqueue.job import Job
from jobqueue.tracing import Ended, Running, Sending
from jobqueue.wire import TELEMETRY

try:
    from opentelemetry import baggage, propagate, trace
    from opentelemetry import context as contexts
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider
    from opentelemetry.util.types import AttributeValue
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(f"needs {missing.name}: pip install 'jobqueue[otel]'", name=missing.name) from missing

MAX_CARRIED: Final = 8_192
"""Characters of context that a job carries or may bring along. Baggage that does not fit stays behind."""
MAX_TEXT: Final = 500
"""Characters of an attribute: names and ids of jobs may come from anywhere."""
MAX_TRACE: Final = 20_000
MAX_NAMES: Final = 20
"""Handlers that the span of a batch names."""


def instrument(app: App, tracer_provider: TracerProvider | None = None) -> Callable[[], None]:
    """Draw spans around what the app enqueues and what its worker runs; returns the function that ends it.

    Without a provider the global one counts. A job carries its context in BullMQ's own field, so traces go on through
    Node's `bullmq-otel` in both directions; what is carried there is what the global propagator writes. No payload, no
    result and nothing of a job's log becomes an attribute. The last call for an app counts.
    Shape: a producer's span is `add {queue}.{handler}`, `addBulk {queue}` for each batch or `addFlow {queue}`, a try's
    `process {queue}`; attributes are those of `bullmq-otel` and of OpenTelemetry's messaging conventions.
    """
    tracing = OpenTelemetry(trace.get_tracer("jobqueue", __version__, tracer_provider))
    app.tracing = tracing

    def stop() -> None:
        if app.tracing is tracing:
            app.tracing = None

    return stop


@contextmanager
def continued(job: Job) -> Generator[None]:
    """Make the context that a job carries the current one for the length of the block.

    For a handler with `run_in="process"`, whose own spans then are children of its try: `with continued(ctx.job): …`.
    Elsewhere the span of the try is the current one already.
    """
    token = contexts.attach(_context_of(job.options.get(TELEMETRY)))
    try:
        yield
    finally:
        contexts.detach(token)


class OpenTelemetry:
    """Draws spans with one tracer. Source: Node BullMQ 6.7 `utils/trace`, `Queue.add`, `Worker.processJob`."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def sending(self, sending: Sending) -> DrawnSpan:
        names = list(dict.fromkeys(sending.names))[:MAX_NAMES]
        place = sending.queue or ""
        name = (
            f"{sending.operation} {place}.{names[0]}" if sending.operation == "add" else f"{sending.operation} {place}"
        )
        attributes = _about(place, sending.operation, "send")
        if sending.operation == "add":
            attributes["bullmq.job.name"] = _short(names[0])
        else:
            attributes["bullmq.job.bulk.count"] = attributes["messaging.batch.message_count"] = len(sending.names)
            attributes["bullmq.job.bulk.names"] = [_short(one) for one in names]
        return self._begin(name, SpanKind.PRODUCER, attributes, contexts.get_current())

    def running(self, running: Running) -> DrawnSpan:
        """A root, or a child of whoever enqueued the job; never of what this worker was started in."""
        attributes = _about(running.queue, "process", "process") | {
            "bullmq.worker.name": _short(running.worker_name),
            "bullmq.job.id": _short(running.job_id),
            "bullmq.job.name": _short(running.handler),
            "bullmq.job.attempts.made": running.attempt,
            "messaging.message.id": _short(running.job_id),
        }
        if running.processed_at_ms is not None:
            attributes["bullmq.job.processed.timestamp"] = running.processed_at_ms
        parent = _context_of(running.carried)
        return self._begin(f"process {running.queue}", SpanKind.CONSUMER, attributes, parent)

    def _begin(self, name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue], parent: Context) -> DrawnSpan:
        span = self._tracer.start_span(_short(name), parent, kind, attributes)
        return DrawnSpan(span, trace.set_span_in_context(span, parent))


class DrawnSpan:
    """One span of ours, and the context with it."""

    def __init__(self, span: trace.Span, context: Context) -> None:
        self._span = span
        self._context = context

    @property
    def carried(self) -> str | None:
        """As `bullmq-otel` writes it: the propagator's fields, whichever those are, as a JSON object."""
        for context in (self._context, baggage.clear(self._context)):
            fields: dict[str, str] = {}
            propagate.inject(fields, context)
            text = json.dumps(fields)
            if fields and len(text) <= MAX_CARRIED:
                return text
        return None

    def enter(self) -> None:
        contexts.attach(self._context)

    def end(self, how: Ended) -> None:
        try:
            if self._span.is_recording():
                self._say(how)
        finally:
            self._span.end()

    def _say(self, how: Ended) -> None:
        if how.outcome is not None:
            self._span.set_attribute("jobqueue.outcome", how.outcome)
            self._span.set_attribute("bullmq.job.attempt_finished_timestamp", now_ms())
        if len(how.job_ids) == 1:
            self._span.set_attribute("bullmq.job.id", _short(how.job_ids[0]))
            self._span.set_attribute("messaging.message.id", _short(how.job_ids[0]))
        if how.error is not None:
            self._span.add_event("exception", _exception(how.error, how.trace))
            self._span.set_attribute("error.type", _type_of(how.error))
        if how.failure is not None:
            self._span.set_status(Status(StatusCode.ERROR, _short(how.failure)))


def _about(queue: str, operation: str, kind: str) -> dict[str, AttributeValue]:
    return {
        "bullmq.queue.name": _short(queue),
        "bullmq.queue.operation": operation,
        "messaging.system": "bullmq",
        "messaging.destination.name": _short(queue),
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
    }


def _context_of(carried: object) -> Context:
    """The context in a job's telemetry field; an empty one where there is none, or something else."""
    fields = _fields_of(carried)
    return propagate.extract(fields, Context()) if fields else Context()


def _fields_of(carried: object) -> Mapping[str, str]:
    if not isinstance(carried, str) or len(carried) > 2 * MAX_CARRIED:
        return {}
    try:
        fields: object = json.loads(carried)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(fields, dict):
        return {}
    pairs = cast("dict[str, object]", fields)
    return {name.lower(): value for name, value in pairs.items() if isinstance(value, str)}


def _exception(error: BaseException, stack: str | None) -> Mapping[str, AttributeValue]:
    """As the conventions have it, but bounded: an error's text may be of any length."""
    stack = stack if stack is not None else "".join(traceback.format_exception(error))
    return {
        "exception.type": _type_of(error),
        "exception.message": _short(str(error)),
        "exception.stacktrace": _text(stack[-MAX_TRACE:]),
    }


def _type_of(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _short(text: str) -> str:
    return _text(text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…")


def _text(text: str) -> str:
    """Valid Unicode: half a surrogate pair in one span would cost its exporter the whole batch."""
    return text.encode(errors="replace").decode()
