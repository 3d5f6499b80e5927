"""Bodies: what a program may send. Fields that are not known are refused by name.

`Declared` is a type that OpenAPI shows and that is not checked here: the library checks those values wherever they come
from, all of them at once, and says what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SkipValidation,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from board.api.questions import MOMENT
from jobqueue.cleaning import Cleanable
from jobqueue.control import MAX_REASON
from jobqueue.cron.checking import DEFAULTS
from jobqueue.cron.table import MAX_DESCRIPTION, MAX_PATTERN, Misfire, Overlap
from jobqueue.inspector import MAX_IDS, STATES, Act, JobFilter
from jobqueue.job import MAX_ATTEMPTS, MAX_DELAY_MS, MAX_ID_LENGTH, MAX_NAME_LENGTH, MAX_PRIORITY, Related, State

_T = TypeVar("_T")
Declared: TypeAlias = Annotated[_T, SkipValidation]

_DEFAULTS: Final = cast(Mapping[str, Any], DEFAULTS)
_MOMENT_OR_NULL: Final = {"anyOf": [*MOMENT["anyOf"], {"type": "null"}]}

_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
_Delay: TypeAlias = Annotated[int, Field(ge=0, le=MAX_DELAY_MS)]
_Span: TypeAlias = Annotated[int, Field(ge=1, le=MAX_DELAY_MS)]
_Priority: TypeAlias = Annotated[int, Field(ge=0, le=MAX_PRIORITY)]
_Attempts: TypeAlias = Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)]


class Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: object) -> object:
        """In place of pydantic's own words, which do not say what is known."""
        cls._check_names(given)
        return given

    @classmethod
    def _check_names(cls, given: object) -> None:
        if not isinstance(given, dict):
            return
        values = cast(dict[str, object], given)
        known = [field.alias or name for name, field in cls.model_fields.items()]
        kind = PydanticCustomError("unknown", "is not known; known are {known}", {"known": ", ".join(known)})
        unknown = [InitErrorDetails(type=kind, loc=(name,), input=values[name]) for name in values if name not in known]
        if unknown:
            raise ValidationError.from_exception_data(cls.__name__, unknown)

    def given(self) -> dict[str, Any]:
        """What was said, by its name in Python."""
        return {name: getattr(self, name) for name in self.model_fields_set}


_Pattern: TypeAlias = Annotated[str, Field(max_length=MAX_PATTERN)]
_Reason: TypeAlias = Declared[Annotated[str, Field(min_length=1, max_length=MAX_REASON)] | None]


_Wanted: TypeAlias = Annotated[str, Field(min_length=1)]


class RelatedObject(Body):
    type: _Name
    id: _Name


class Options(Body):
    """Options of one job; null is as good as left out."""

    delay_ms: Declared[_Delay | None] = None
    run_at: Annotated[datetime | int | str | None, SkipValidation, WithJsonSchema(_MOMENT_OR_NULL)] = None
    priority: Declared[_Priority | None] = None
    attempts: Declared[_Attempts | None] = None
    backoff: Declared[_Delay | None] = Field(None, alias="backoffMs")
    timeout_ms: Declared[_Span | None] = None
    job_id: Declared[Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)] | None] = None
    order_key: Declared[_Name | None] = None
    related: Declared[RelatedObject | None] = None
    created_by: Declared[Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)] | None] = None
    expires_in_ms: Declared[_Span | None] = None
    queue: Declared[_Name | None] = None


class Enqueue(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"handler": "heartbeat", "options": {"delayMs": 5_000, "attempts": 5}}]}
    )

    handler: str = Field(description="the name of a handler")
    payload: JsonValue = Field(None, description="what the handler takes; `GET /api/admin/handler` has its schema")
    options: Options | None = None


class Reason(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the order was withdrawn"}]})

    reason: _Reason = None


class NewCronJob(Body):
    """A cron job."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "nightly", "pattern": "30 1 * * *", "handler": "heartbeat"}]}
    )

    name: Declared[_Name]
    pattern: Declared[_Pattern]
    handler: Declared[str]
    job_id: Declared[_Name] = Field("", description="its scheduler's id, without ':'; the name where it is left out")
    description: Declared[Annotated[str, Field(max_length=MAX_DESCRIPTION)] | None] = None
    timezone: Declared[str] = _DEFAULTS["timezone"]
    payload: Declared[JsonValue] = Field(None, description="what the handler takes")
    priority: Declared[_Priority] = _DEFAULTS["priority"]
    enabled: Declared[bool] = _DEFAULTS["enabled"]
    max_attempts: Declared[_Attempts] = _DEFAULTS["max_attempts"]
    backoff_ms: Declared[_Delay] = _DEFAULTS["backoff_ms"]
    overlap: Declared[Overlap] = _DEFAULTS["overlap"]
    misfire: Declared[Misfire] = _DEFAULTS["misfire"]


def _without_defaults(schema: dict[str, Any]) -> None:
    schema["examples"] = [{"enabled": False}]
    for field in schema["properties"].values():
        field.pop("default", None)


class CronJobChanges(NewCronJob):
    """Fields of a cron job; those that are left out stay as they are."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    name: Declared[_Name] = ""
    pattern: Declared[_Pattern] = ""
    handler: Declared[str] = ""


class Clean(Body):
    """Which jobs are removed: of one state, that are older than so many milliseconds."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "completed", "olderThanMs": 86_400_000}]})

    state: Cleanable
    older_than_ms: _Delay = Field(description="0 for all of them")
    limit: Annotated[int, Field(ge=1)] | None = None


class Drain(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"delayed": True}]})

    delayed: bool = Field(False, description="delayed jobs too")


class OfOutbox(Body):
    """Whose rows: all of a queue that are set aside."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"queue": "jobs"}]})

    queue: _Name


class Matching(Body):
    """What must hold of a job, all of it, as in the query of `GET /api/admin/job`. An empty text is refused."""

    name: _Wanted | None = None
    related: RelatedObject | None = None
    created_by: _Wanted | None = None
    order_key: _Wanted | None = None
    from_ms: int | None = Field(None, alias="from")
    to_ms: int | None = Field(None, alias="to")
    q: _Wanted | None = None
    cancelled: bool | None = None

    def wanted(self) -> JobFilter:
        return JobFilter(
            name=self.name,
            related=Related(self.related.type, self.related.id) if self.related else None,
            created_by=self.created_by,
            order_key=self.order_key,
            from_ms=self.from_ms,
            to_ms=self.to_ms,
            text=self.q,
            cancelled=self.cancelled,
        )


class Bulk(Body):
    """One act on many jobs: on those that are named, or on all of a state that match."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"act": "retry", "state": "failed", "matching": {"name": "heartbeat"}}],
            "oneOf": [{"required": ["ids"]}, {"required": ["state"]}],
        }
    )

    act: Act
    ids: list[str] = Field(default_factory=list[str], min_length=1, max_length=MAX_IDS)
    in_state: Annotated[State | None, WithJsonSchema({"enum": list(STATES)})] = Field(None, alias="state")
    matching: Matching = Field(default_factory=lambda: Matching.model_validate({}))
    reason: _Reason = Field(None, description="of jobs that are cancelled")

    @model_validator(mode="after")
    def _names_or_matches(self) -> Bulk:
        if len({"ids", "in_state"} & self.model_fields_set) != 1 or not (self.ids or self.in_state):
            raise ValueError("give ids, or state with matching")
        return self
