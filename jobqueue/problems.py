"""Problems: our errors as answers to a request: a status, a word for programs, a sentence, and what fields are wrong.

No web framework is in here: whoever answers with one takes these as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from pydantic.alias_generators import to_camel
from pydantic_core import to_json

from jobqueue.errors import (
    CronError,
    CronJobNotFound,
    DatabaseUnavailable,
    DuplicateCronJob,
    DuplicateJob,
    InvalidCronJob,
    InvalidOption,
    InvalidPayload,
    JobNotFound,
    JobNotInState,
    OutcomeUnknown,
    PayloadTooLarge,
    QueueVersionError,
    RedisReplyError,
    RedisUnavailable,
    RowNotFound,
    RowNotSetAside,
    UnknownHandler,
    UnreadableCronJob,
)
from jobqueue.redis.retry import is_passing


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong.

    Shape: `error` is a word for programs; `field_errors` maps a dotted path to its fault; `job_id` is the job that
    stands in the way.
    """

    status: int
    error: str
    message: str
    field_errors: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    job_id: str | None = None

    def body(self, request_id: str | None) -> bytes:
        """The answer as JSON: `error`, `message`, and of `fieldErrors`, `jobId` and `requestId` what there is."""
        content: dict[str, object] = {"error": self.error, "message": self.message}
        if self.field_errors:
            content["fieldErrors"] = dict(self.field_errors)
        if self.job_id is not None:
            content["jobId"] = self.job_id
        if request_id is not None:
            content["requestId"] = request_id
        return to_json(content)


def problem_of(error: Exception) -> Problem | None:
    """How one of our errors is answered; None for one that is no answer to a request."""
    match error:
        case InvalidPayload():
            return Problem(400, "invalid", str(error), error.field_errors)
        case PayloadTooLarge():
            return Problem(413, "too_large", str(error), {error.field: error.problem})
        case UnknownHandler() | InvalidOption():
            return Problem(400, "invalid", str(error), {error.field: error.problem})
        case JobNotFound() | RowNotFound():
            return Problem(404, "not_found", str(error))
        case JobNotInState() | DuplicateJob() | QueueVersionError() | RowNotSetAside():
            return _conflict(error)
        case CronError():
            return _problem_of_cron(error)
        case OutcomeUnknown():
            return Problem(503, "outcome_unknown", str(error))
        case RedisUnavailable() | DatabaseUnavailable():
            return Problem(503, "unavailable", str(error))
        case RedisReplyError() if is_passing(error):
            return Problem(503, "unavailable", f"Redis cannot serve this now: {error}")
        case _:
            return None


def _conflict(error: JobNotInState | DuplicateJob | QueueVersionError | RowNotSetAside) -> Problem:
    match error:
        case JobNotInState():
            return Problem(409, f"job_is_{error.actual.replace('-', '_')}", str(error))
        case DuplicateJob():
            return Problem(409, "duplicate", str(error), job_id=error.job_id)
        case QueueVersionError():
            return Problem(409, "queue_version", str(error))
        case RowNotSetAside():
            return Problem(409, "row_waits", str(error))
        case _:
            assert_never(error)


def _problem_of_cron(error: CronError) -> Problem | None:
    match error:
        case InvalidCronJob():
            return _invalid(400, "invalid", {_camel(field): fault for field, fault in error.field_errors.items()})
        case CronJobNotFound():
            return Problem(404, "not_found", str(error))
        case DuplicateCronJob():
            return _invalid(409, "duplicate", {_camel(error.field): error.problem})
        case UnreadableCronJob():
            return Problem(409, "unreadable", str(error))
        case _:
            return None


def _invalid(status: int, word: str, field_errors: Mapping[str, str]) -> Problem:
    message = "; ".join(f"{name}: {fault}" for name, fault in field_errors.items())
    return Problem(status, word, message, field_errors)


def _camel(field: str) -> str:
    """A field of a cron job under its name in JSON; those of a payload are the handler's own."""
    name, dot, below = field.partition(".")
    return f"{to_camel(name)}{dot}{below}"
