"""Outcomes: how a try ended, as values, and how that is decided. Pure functions."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from jobqueue import encoding, wire
from jobqueue.context import AbortReason
from jobqueue.errors import JobCancelled
from jobqueue.handler import Handler
from jobqueue.job import MAX_DELAY_MS, Backoff, Job

KEEP_TRACES = 10
MAX_REASON = 10_000
MAX_TRACE = 50_000


# How a handler ended


@dataclass(frozen=True, slots=True)
class Returned:
    """The handler returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The handler raised, whatever it was."""

    error: BaseException


Ending: TypeAlias = Returned | Raised


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
    """A singleton's lock was taken; completes."""

    holder: str

    @property
    def result_json(self) -> str:
        return encoding.encode_json({"skipped": True, "holder": self.holder})


@dataclass(frozen=True, slots=True)
class Retried:
    """The try failed and another follows after `delay_ms`."""

    delay_ms: int
    reason: str
    trace: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No more tries. `mended` are fields of a malformed job that must be put right for it to be recorded."""

    reason: str
    trace: str = ""
    mended: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Postponed:
    """Tried again after `delay_ms`; no attempt was used."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class Released:
    """The worker stops: back to the head of the queue at once, uncounted."""


@dataclass(frozen=True, slots=True)
class Ghost:
    """An id without a job: taken out of active."""


Outcome: TypeAlias = Completed | Superseded | Skipped | Retried | Failed | Postponed | Released | Ghost


def decide(job: Job, handler: Handler[Any], ending: Ending, why: AbortReason | None, max_result_bytes: int) -> Outcome:
    """What becomes of a job whose handler has ended, `why` being the reason that it was told to stop, if it was.

    A reason of ours outweighs what the handler made of it: its result no longer counts.
    """
    if why is not None:
        if why.cause == "superseded":
            return Superseded(why.by or "")
        if why.cause == "shutdown":
            return _after_shutdown(job, handler, ending, max_result_bytes)
        return retry_or_fail(job, handler, why.message, _trace(ending), None)
    match ending:
        case Returned(value):
            return _completed(value, max_result_bytes)
        case Raised(error):
            return retry_or_fail(job, handler, reason_of(error), _trace(ending), error)


def _after_shutdown(job: Job, handler: Handler[Any], ending: Ending, max_result_bytes: int) -> Outcome:
    """A run that still managed to finish counts; one that stopped because we asked it to goes back."""
    match ending:
        case Returned(value):
            return _completed(value, max_result_bytes)
        case Raised(asyncio.CancelledError() | JobCancelled()):
            return Released()
        case Raised(error):
            return retry_or_fail(job, handler, reason_of(error), _trace(ending), error)


def _completed(value: Any, max_result_bytes: int) -> Outcome:
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
    """Another try where the policy has one left and the error allows it."""
    if job.attempt >= job.attempts or isinstance(error, handler.policy.unrecoverable):
        return Failed(reason, trace)
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


def _trace(ending: Ending) -> str:
    if isinstance(ending, Returned):
        return ""
    try:
        lines = traceback.format_exception(ending.error)
    except BaseException as broken:  # it asks the error for its notes, which may be somebody's own property
        lines = [f"{type(ending.error).__name__}: its trace cannot be written ({type(broken).__name__})"]
    return _bounded("".join(lines), MAX_TRACE)


def failure_fields(job: Job, reason: str, trace: str) -> dict[str, str]:
    """What BullMQ writes beside a failed try. Shape: stacktrace is a JSON array, the newest last."""
    traces = [*job.stacktrace, trace][-KEEP_TRACES:] if trace else list(job.stacktrace)
    return {"failedReason": reason, "stacktrace": json.dumps(traces)}
