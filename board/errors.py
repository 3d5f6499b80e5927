"""Errors: every failure as one answer, JSON for programs and a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, assert_never

from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from board.json import Json
from board.paths import Links, route_path
from board.render import Renderer
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
    JobqueueError,
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

_OF_STATUS: Final = {
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not take that method"),
}


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


class Refused(Exception):
    """Raised by a route to answer with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def invalid(field_errors: Mapping[str, str]) -> Refused:
    """A 400 that names the fields."""
    message = "; ".join(f"{name}: {fault}" for name, fault in field_errors.items())
    return Refused(Problem(400, "invalid", message, field_errors))


UNEXPECTED = Problem(500, "internal", "something went wrong; the log has it under this request id")


def problem_of(error: Exception) -> Problem:
    """How an exception is answered; what nobody expected is UNEXPECTED, without its details."""
    match error:
        case Refused():
            return error.problem
        case HTTPException():
            word, message = _OF_STATUS.get(error.status_code, ("error", HTTPStatus(error.status_code).phrase))
            return Problem(error.status_code, word, message, headers=error.headers or {})
        case JobqueueError():
            return _problem_of_ours(error)
        case _:
            return UNEXPECTED


def _problem_of_ours(error: JobqueueError) -> Problem:
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
            return UNEXPECTED


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


def _problem_of_cron(error: CronError) -> Problem:
    match error:
        case InvalidCronJob():
            return invalid({_field_here(field): fault for field, fault in error.field_errors.items()}).problem
        case CronJobNotFound():
            return Problem(404, "not_found", str(error))
        case DuplicateCronJob():
            faults = {_field_here(error.field): error.problem}
            return Problem(409, "duplicate", invalid(faults).problem.message, faults)
        case UnreadableCronJob():
            return Problem(409, "unreadable", str(error))
        case _:
            return UNEXPECTED


def _field_here(field: str) -> str:
    """A field of a cron job under its name here; those of a payload are the handler's own."""
    name, dot, below = field.partition(".")
    return f"{to_camel(name)}{dot}{below}"


def request_id(scope: Scope) -> str:
    """The id that the answer carries, set by the frame."""
    identity: str = scope["board.request_id"]
    return identity


class Errors:
    """Answers problems: pages below the board's path, JSON everywhere else."""

    def __init__(self, board_path: str, renderer: Renderer) -> None:
        self._board_path = board_path
        self._renderer = renderer

    def answer(self, scope: Scope, problem: Problem) -> Response:
        headers = dict(problem.headers)
        if self._is_page(scope):
            links = Links.of(scope, self._board_path)
            context = {"problem": problem, "request_id": request_id(scope)}
            return self._renderer.page("error.html", links, context, status=problem.status, headers=headers)
        body: dict[str, object] = {"error": problem.error, "message": problem.message}
        if problem.field_errors:
            body["fieldErrors"] = dict(problem.field_errors)
        if problem.job_id is not None:
            body["jobId"] = problem.job_id
        return Json(body | {"requestId": request_id(scope)}, problem.status, headers)

    def handle(self, request: Request, error: Exception) -> Response:
        """Starlette's exception handler of a route that raised something we know; the rest is the frame's."""
        problem = problem_of(error)
        if problem is UNEXPECTED:
            raise error
        return self.answer(request.scope, problem)

    def _is_page(self, scope: Scope) -> bool:
        path = route_path(scope)
        return path == self._board_path or path.startswith(f"{self._board_path}/")
