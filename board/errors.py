"""Errors: every failure as one answer, JSON for programs and a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from board.paths import Links, route_path
from board.render import Renderer
from jobqueue.errors import JobqueueError
from jobqueue.problems import Problem
from jobqueue.problems import problem_of as problem_of_ours

_OF_STATUS: Final = {
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not take that method"),
}


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
            return problem_of_ours(error) or UNEXPECTED
        case _:
            return UNEXPECTED


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
        return Response(problem.body(request_id(scope)), problem.status, headers, "application/json")

    def handle(self, request: Request, error: Exception) -> Response:
        """Starlette's exception handler of a route that raised something we know; the rest is the frame's."""
        problem = problem_of(error)
        if problem is UNEXPECTED:
            raise error
        return self.answer(request.scope, problem)

    def _is_page(self, scope: Scope) -> bool:
        path = route_path(scope)
        return path == self._board_path or path.startswith(f"{self._board_path}/")
