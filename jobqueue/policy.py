"""Policy: how the jobs of a handler are treated. What the wrappers take, and JOBS_CONFIG may override."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypedDict, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from jobqueue.errors import DefinitionError
from jobqueue.job import (
    KEEP_COMPLETED,
    KEEP_FAILED,
    MAX_PRIORITY,
    Backoff,
    BackoffFunction,
    Keep,
    NonNegative,
    Positive,
    exponential,
    fixed,
)
from jobqueue.settings import Name


class PolicyOptions(TypedDict, total=False):
    """The options of the wrappers. What a file cannot say, it cannot override: exceptions and functions."""

    queue: str | None
    attempts: int
    backoff: Backoff | BackoffFunction | int
    timeout_ms: int | None
    grace_ms: int
    first_delay_ms: int
    priority: int
    keep_completed: Keep
    keep_failed: Keep
    keep_logs: int
    max_claims: int
    unrecoverable: tuple[type[BaseException], ...]


def _read_backoff(value: Any) -> Any:
    """A number is a fixed backoff; a table of a file has a Backoff's fields."""
    if isinstance(value, dict):
        return Backoff(**cast(dict[str, Any], value))
    if isinstance(value, int) and not isinstance(value, bool):
        return fixed(value)
    return value


class Policy(BaseModel):
    """How the jobs of a handler are treated.

    Units: `_ms` milliseconds. `attempts` counts all tries. `max_claims` is how often a job may take its worker down
    with it before it is quarantined.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    queue: Name | None = None
    attempts: Positive = 3
    backoff: Annotated[Backoff | BackoffFunction, BeforeValidator(_read_backoff)] = exponential(5_000)
    timeout_ms: Positive | None = None
    grace_ms: NonNegative = 5_000
    first_delay_ms: NonNegative = 0
    priority: Annotated[StrictInt, Field(ge=0, le=MAX_PRIORITY)] = 0
    keep_completed: Keep = KEEP_COMPLETED
    keep_failed: Keep = KEEP_FAILED
    keep_logs: NonNegative = 1_000
    max_claims: Positive = 3
    unrecoverable: tuple[type[BaseException], ...] = ()

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed. Raises: DefinitionError, naming the field and what is wrong with it."""
        unchanged = {name: getattr(self, name) for name in type(self).model_fields}
        try:
            return type(self)(**{**unchanged, **changes})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(part for part in map(str, first["loc"]) if part.isidentifier() and part.islower())
            problem = "is not an option of a handler" if first["type"] == "extra_forbidden" else first["msg"]
            raise DefinitionError(f"{field}: {problem}, not {first['input']!r:.100}") from error
