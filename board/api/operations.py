"""Operations: what a program may ask, declared once. The routes and the OpenAPI document are made of the same table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel

from board.site import Answer

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Proofs = Literal["basic or bearer", "basic", "none"]

JSON: Final = "application/json"
ALWAYS: Final = (500, 503)
BEHIND_ACCESS: Final = (401, 403)
OF_A_BODY: Final = (400, 408, 413)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Shape: `answers` are those of success, by status: a type, as which its JSON is described, or None for no body.
    `problems` are the statuses of its own problems; those that any operation has are added by `all_problems`.
    `names` says where a success names what was made: parameter of other operations -> JSON pointer.
    `body` is read where `needs_body`, or where one was sent. `path` has `{name}` for a segment.
    """

    method: Method
    path: str
    summary: str
    answer: Answer
    answers: Mapping[int, Any]
    problems: tuple[int, ...] = ()
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    needs_body: bool = False
    about: str = ""
    proofs: Proofs = "basic or bearer"
    media_type: str = JSON
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def route(self) -> tuple[str, str, Answer]:
        return self.method, self.path, self.answer

    @property
    def all_problems(self) -> tuple[int, ...]:
        own = {*self.problems, *ALWAYS}
        if self.proofs != "none":
            own.update(BEHIND_ACCESS)
        if self.method != "GET":
            own.update(OF_A_BODY)
        return tuple(sorted(own))
