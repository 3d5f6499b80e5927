"""Forms: what a person sends from a page."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from board.errors import Problem, Refused

FORM: Final = "application/x-www-form-urlencoded"


def check_form(request: Request) -> None:
    given = request.headers.get("content-type", FORM)
    if given.partition(";")[0].strip().lower() != FORM:
        raise Refused(Problem(400, "invalid", f"content-type must be {FORM}, not {given!r:.100}"))
