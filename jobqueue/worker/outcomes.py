"""Outcomes: how a try ended, as values, and how that is decided. Pure functions."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never

from jobqueue import encoding, wire
from jobqueue.context import AbortReason
from jobqueue.errors import Discard, JobCancelled, Retry, Snooze, WaitForChildren
from jobqueue.handler import Handler
from jobqueue.job import CANCELLED, MAX_DELAY_MS, Backoff, Job
from jobqueue.wire import Fetched

KEEP_TRACES = 10
MAX_REASON = 10_000
MAX_TRACE = 50_000


# How a handler ended


@dataclass(frozen=True, slots=True)
class Returned:
    """The handler returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Encoded:
    """The handler returned in another process, where its result became JSON, or could not."""

    outcome: Completed | Failed


@dataclass(frozen=True, slots=True)
class Raised:
    """The handler raised, whatever it was. `trace` is that of an error from another process; else the error has it."""

    error: BaseException
    trace: str | None = None


Ending: TypeAlias = Returned | Encoded | Raised


# What becomes of the job


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler's result, or the note of a run that was not needed."""

    result_json: str


@dataclass(frozen=True, slots=True)
class Superseded:
    """A newer job took the lane; not a failure."""

    by: str

    @property
    def result_json(self) -> str:
        return encoding.encode_json({"superseded": True, "by": self.by})


@dataclass(frozen=True, slots=True)
class Skipped:
    """Another job holds the singleton's lock, is what this one would duplicate, or a slot of the same cron job that is
    unfinished; completes.
    """

    holder: str

    @property
    def result_json(self) -> str:
        return encoding.encode_json({"skipped": True, "holder": self.holder})


@dataclass(frozen=True, slots=True)
class Missed:
    """A cron job's slot that was picked up too late, of a row that makes up for none; completes.

    Units: `slot_ms` epoch milliseconds.
    """

    slot_ms: int
    late_ms: int

    @property
    def result_json(self) -> str:
        told = {"skipped": True, "reason": "missed", "slot": self.slot_ms, "lateMs": self.late_ms}
        return encoding.encode_json(told)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody cancelled the job; recorded as failed, and no try follows."""

    reason: str

    @property
    def failed_reason(self) -> str:
        """What the job's record says, by which a cancelled job is told from a failed one."""
        return _bounded(CANCELLED + self.reason, MAX_REASON)


@dataclass(frozen=True, slots=True)
class Retried:
    """The try failed and another follows after `delay_ms`."""

    delay_ms: int
    reason: str
    trace: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No more tries.

    `mended` are fields of a malformed job that must be put right for it to be recorded; `heeds` says that a mark was
    heeded, but what it asked for could not be written.
    """

    reason: str
    trace: str = ""
    mended: Mapping[str, str] = field(default_factory=dict[str, str])
    heeds: bool = False


@dataclass(frozen=True, slots=True)
class Postponed:
    """Tried again after `delay_ms`; no attempt was used."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class WaitingChildren:
    """The job waits for its children; then it runs again. No attempt was used."""


@dataclass(frozen=True, slots=True)
class Parked:
    """Its order key or its limit is taken: it waits for its turn, uncounted; `next` was claimed in its place."""

    next: Fetched


@dataclass(frozen=True, slots=True)
class Released:
    """The worker stops: back to the head of the queue at once, uncounted."""


@dataclass(frozen=True, slots=True)
class Ghost:
    """An id without a job: taken out of active."""


Final: TypeAlias = Completed | Superseded | Skipped | Missed | Cancelled | Failed | Ghost
"""No try follows."""

Outcome: TypeAlias = Final | Retried | Postponed | WaitingChildren | Parked | Released


def decide(job: Job, handler: Handler[Any], ending: Ending, why: AbortReason | None, max_result_bytes: int) -> Outcome:
    """What becomes of a job whose handler has ended, `why` being the reason that it was told to stop, if it was.

    A reason of ours outweighs what the handler made of it: its result no longer counts.
    """
    if why is None:
        return _by_itself(job, handler, ending, max_result_bytes)
    match why.cause:
        case "superseded":
            return Superseded(why.by or "")
        case "cancelled":
            return Cancelled(why.message)
        case "shutdown":
            return _after_shutdown(job, handler, ending, max_result_bytes)
        case "timeout" | "lock_lost":
            return retry_or_fail(job, handler, why.message, _trace(ending), None)
        case _:
            assert_never(why.cause)


def _after_shutdown(job: Job, handler: Handler[Any], ending: Ending, max_result_bytes: int) -> Outcome:
    """A run that still managed to end by itself counts; one that stopped because we asked it to goes back."""
    match ending:
        case Raised(asyncio.CancelledError() | JobCancelled()):
            return Released()
        case _:
            return _by_itself(job, handler, ending, max_result_bytes)


def _by_itself(job: Job, handler: Handler[Any], ending: Ending, max_result_bytes: int) -> Outcome:
    """What the handler itself made of its try."""
    match ending:
        case Returned(value):
            return encode_result(value, max_result_bytes)
        case Encoded(outcome):
            return outcome
        case Raised(Snooze() as snooze):
            return Postponed(snooze.delay_ms)
        case Raised(WaitForChildren()):
            return WaitingChildren()
        case Raised(Discard() as discard):
            return Failed(reason_of(discard), _trace(ending))
        case Raised(error):
            return retry_or_fail(job, handler, reason_of(error), _trace(ending), error)


def encode_result(value: Any, max_result_bytes: int) -> Completed | Failed:
    """The result is encoded before completion is written, so that one which cannot be fails once, not for ever."""
    try:
        encoded = encoding.encode_json(value)
    except BaseException as error:  # a model's own serializer may raise anything
        return Failed(f"the result cannot be stored as JSON: {reason_of(error)}")
    size = len(encoded.encode())
    if size > max_result_bytes:
        return Failed(f"the result is {size} bytes, the limit is {max_result_bytes} (JOBS_MAX_RESULT_BYTES)")
    return Completed(encoded)


def retry_or_fail(
    job: Job, handler: Handler[Any], reason: str, trace: str, error: BaseException | None
) -> Retried | Failed:
    """Another try where the policy has one left and the error allows it; a `Retry` may say when."""
    asked = error if isinstance(error, Retry) else None
    is_final = asked is None and isinstance(error, handler.policy.unrecoverable)
    if is_final or job.attempt >= job.attempts:
        return Failed(reason, trace)
    if asked is not None and asked.delay_ms is not None:
        return Retried(asked.delay_ms, reason, trace)
    backoff = wire.decode_backoff(job.options, handler.policy)
    if backoff is None:
        return Retried(0, reason, trace)
    if isinstance(backoff, Backoff):
        return Retried(backoff.delay_before(job.attempt), reason, trace)
    try:
        delay_ms = int(backoff(job.attempt, error or TimeoutError(reason)))
    except BaseException as broken:
        return Failed(f"{reason} (and its backoff function raised {reason_of(broken)})", trace)
    return Retried(min(max(delay_ms, 0), MAX_DELAY_MS), reason, trace)


def reason_of(error: BaseException) -> str:
    """An error in one line; never empty, since str(TimeoutError()) is."""
    try:
        text = str(error).strip()
    except BaseException:  # a __str__ of somebody's own may raise anything
        text = ""
    return _bounded(text, MAX_REASON) if text else type(error).__name__


def _bounded(text: str, most: int) -> str:
    """Text that Redis takes: valid Unicode of a size that a hash, an event and a page can hold."""
    sendable = text.encode(errors="replace").decode()
    return sendable if len(sendable) <= most else f"{sendable[:most]}… ({len(sendable)} characters)"


def trace_of(error: BaseException) -> str:
    """The stack of an error and of its causes."""
    try:
        lines = traceback.format_exception(error)
    except BaseException as broken:  # it asks the error for its notes, which may be somebody's own property
        lines = [f"{type(error).__name__}: its trace cannot be written ({type(broken).__name__})"]
    return _bounded("".join(lines), MAX_TRACE)


def _trace(ending: Ending) -> str:
    if not isinstance(ending, Raised):
        return ""
    return trace_of(ending.error) if ending.trace is None else ending.trace


def failure_fields(job: Job, reason: str, trace: str) -> dict[str, str]:
    """What BullMQ writes beside a failed try. Shape: stacktrace is a JSON array, the newest last."""
    traces = [*job.stacktrace, trace][-KEEP_TRACES:] if trace else list(job.stacktrace)
    return {"failedReason": reason, "stacktrace": json.dumps(traces)}
