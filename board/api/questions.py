"""Questions: what a program may say in a query. Numbers out of range are clamped, words that mean nothing refused."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel
from starlette.requests import Request

from board.api.faults import field_errors_of
from board.api.moments import read_moment_ms
from board.errors import invalid
from board.query import clamp
from jobqueue.inspector import MAX_LIMIT, MAX_OFFSET, STATES, JobFilter
from jobqueue.job import QUEUE_NAME, Related, State
from jobqueue.outbox.shelf import RowState

PAGE_SIZE: Final = 50

_Q = TypeVar("_Q", bound=BaseModel)
MOMENT: Final[dict[str, Any]] = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "format": "date-time"}]
}


_ROW_STATES: Final[dict[str, RowState]] = {"waiting": "waiting", "setAside": "set_aside"}
_BY_TIME: Final = "by the time that the list is ordered by, inclusive: epoch milliseconds, or ISO 8601 with a zone"


def _clamped(default: int, least: int, most: int) -> Any:
    """Annotates a number that is never refused."""
    return BeforeValidator(lambda text: clamp(str(text), default, least=least, most=most))


def _read_state(text: str) -> str:
    if text not in STATES:
        raise ValueError(f"must be one of {', '.join(STATES)}, not {text!r:.100}")
    return text


def _read_row_state(text: str) -> RowState:
    if text not in _ROW_STATES:
        raise ValueError(f"must be one of {', '.join(_ROW_STATES)}, not {text!r:.100}")
    return _ROW_STATES[text]


def _read_related(text: str) -> Related:
    kind, colon, identity = text.partition(":")
    if not (kind and colon and identity):
        raise ValueError(f"must be type:id, like order:7, not {text!r:.100}")
    return Related(kind, identity)


def _read_flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"must be true or false, not {text!r:.100}")
    return text == "true"


_Offset: TypeAlias = Annotated[
    int, _clamped(0, 0, MAX_OFFSET), Field(description="how many to pass over; clamped, 0 where it is no number")
]
_Limit: TypeAlias = Annotated[
    int,
    _clamped(PAGE_SIZE, 1, MAX_LIMIT),
    Field(description=f"how many at most, 1 to {MAX_LIMIT}; clamped, {PAGE_SIZE} where it is no number"),
]
_StateWord: TypeAlias = Annotated[State, BeforeValidator(_read_state), WithJsonSchema({"enum": list(STATES)})]
_QueueName: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^({QUEUE_NAME})?$"})]
"""An empty one counts as left out."""
_Moment: TypeAlias = Annotated[int, BeforeValidator(read_moment_ms), WithJsonSchema(MOMENT)]
_Flag: TypeAlias = Annotated[bool, BeforeValidator(_read_flag)]
_RelatedText: TypeAlias = Annotated[
    Related, BeforeValidator(_read_related), WithJsonSchema({"type": "string", "pattern": "^[^:]+:.+$"})
]


class _Question(BaseModel):
    """Parameters that are not known are passed over, and so are empty ones."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class OfQueue(_Question):
    queue: _QueueName | None = Field(None, description="the job's queue; JOBS_QUEUE where it is left out")


class Paged(_Question):
    offset: _Offset = 0
    limit: _Limit = PAGE_SIZE


class Jobs(OfQueue, Paged):
    state: _StateWord | None = Field(None, description="all states where it is left out")
    name: str | None = Field(None, description="the handler's name, exactly")
    related: _RelatedText | None = Field(None, description="the object that the job is about, as type:id")
    created_by: str | None = None
    order_key: str | None = None
    from_ms: _Moment | None = Field(None, alias="from", description=_BY_TIME)
    to_ms: _Moment | None = Field(None, alias="to", description=_BY_TIME)
    q: str | None = Field(None, description="anywhere in id, name and the data as shown, in any letter case")
    cancelled: _Flag | None = Field(None, description="of failed jobs: those that were cancelled, or the others")
    scan_from: Annotated[int, _clamped(0, 0, MAX_OFFSET)] = Field(0, description="`scannedTo` of the page before")

    def wanted(self) -> JobFilter:
        return JobFilter(
            name=self.name,
            related=self.related,
            created_by=self.created_by,
            order_key=self.order_key,
            from_ms=self.from_ms,
            to_ms=self.to_ms,
            text=self.q,
            cancelled=self.cancelled,
        )


class OutboxRows(OfQueue):
    state: Annotated[
        RowState, BeforeValidator(_read_row_state), WithJsonSchema({"enum": list(_ROW_STATES), "default": "setAside"})
    ] = "set_aside"
    after: str | None = Field(None, description="`next` of the page before")
    limit: _Limit = PAGE_SIZE


class AuditTrail(_Question):
    queue: str | None = Field(None, description="entries of this queue only")
    before: str | None = Field(None, description="`next` of the page before")
    limit: _Limit = PAGE_SIZE


def read_query(request: Request, model: type[_Q]) -> _Q:
    """What the query says; of a parameter that is given twice the last counts. Raises: Refused with 400."""
    given = {name: value for name, value in request.query_params.items() if value}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(field_errors_of(error)) from error
