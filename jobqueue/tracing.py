"""Tracing: what is asked of whoever draws spans. The library knows no tracer; `jobqueue.otel` is one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeVar

T = TypeVar("T")

_log = logging.getLogger("jobqueue.tracing")

_REPEAT_FAULT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Sending:
    """Jobs that are about to be stored. `names` has the handler of each; `queue` is None where they go to several."""

    operation: Literal["add", "addBulk", "addFlow"]
    queue: str | None
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Running:
    """A try that is about to begin.

    `carried` is what the job has in BullMQ's telemetry field, whatever somebody wrote there. Units: `processed_at_ms`
    epoch milliseconds.
    """

    queue: str
    handler: str
    job_id: str
    attempt: int
    worker_name: str
    processed_at_ms: int | None
    carried: object


@dataclass(frozen=True, slots=True)
class Ended:
    """How something ended that a span was drawn for.

    `outcome` is the word of the event ("completed", "retried", …), None for a sending. `failure` says in a sentence
    what went wrong, and `error` is what was raised, where something was; `trace` is its stack where the error itself
    has none, since it comes from another process.
    """

    outcome: str | None = None
    failure: str | None = None
    error: BaseException | None = None
    trace: str | None = None
    job_ids: Sequence[str] = ()


class Span(Protocol):
    """One span that has begun."""

    @property
    def carried(self) -> str | None:
        """What a job must carry for its tries to become children of this span; None where they should not."""
        ...

    def enter(self) -> None:
        """Make it the current span of this context, for good: the context is the job's own and ends with it."""
        ...

    def end(self, how: Ended) -> None: ...


class Tracing(Protocol):
    """Whoever draws spans around the storing and the running of jobs. None where it does not want one."""

    def sending(self, sending: Sending) -> Span | None: ...
    def running(self, running: Running) -> Span | None: ...


class Guarded:
    """A tracer whose errors are logged, now and then, and cost a span, but no job."""

    def __init__(self, tracing: Tracing) -> None:
        self.tracing = tracing
        self._told_s = -_REPEAT_FAULT_S

    def sending(self, sending: Sending) -> Span | None:
        return self._wrapped(self.attempt(lambda: self.tracing.sending(sending), None))

    def running(self, running: Running) -> Span | None:
        return self._wrapped(self.attempt(lambda: self.tracing.running(running), None))

    def attempt(self, act: Callable[[], T], otherwise: T) -> T:
        try:
            return act()
        except BaseException:  # also a SystemExit, which would end the slot of a job
            now_s = time.monotonic()
            if now_s - self._told_s >= _REPEAT_FAULT_S:
                self._told_s = now_s
                _log.exception("the tracer %r failed; jobs go on without it", self.tracing)
            return otherwise

    def _wrapped(self, span: Span | None) -> Span | None:
        return None if span is None else _GuardedSpan(self, span)


class _GuardedSpan:
    __slots__ = ("_guard", "_span")

    def __init__(self, guard: Guarded, span: Span) -> None:
        self._guard = guard
        self._span = span

    @property
    def carried(self) -> str | None:
        return self._guard.attempt(lambda: self._span.carried, None)

    def enter(self) -> None:
        self._guard.attempt(self._span.enter, None)

    def end(self, how: Ended) -> None:
        self._guard.attempt(lambda: self._span.end(how), None)


class Sent:
    """Jobs on their way under a span: what they carry, and later, which ids they got, or what one of them met."""

    __slots__ = ("carried", "error", "job_ids")

    def __init__(self, carried: str | None) -> None:
        self.carried = carried
        self.error: BaseException | None = None
        self.job_ids: Sequence[str] = ()


@contextmanager
def sent_under(tracing: Tracing, sending: Sending) -> Generator[Sent]:
    """A span for the length of the block, which ends it, also by what it raises."""
    span = tracing.sending(sending)
    sent = Sent(None if span is None else span.carried)
    try:
        yield sent
    except BaseException as error:
        sent.error = error
        raise
    finally:
        if span is not None:
            failure = None if sent.error is None else type(sent.error).__name__
            span.end(Ended(failure=failure, error=sent.error, job_ids=sent.job_ids))
