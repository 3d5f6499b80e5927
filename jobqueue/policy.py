"""Policy: how the jobs of a handler are treated. What the wrappers take, and JOBS_CONFIG may override."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeAlias, TypedDict, TypeGuard, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    ValidationError,
)

from jobqueue.errors import DefinitionError
from jobqueue.job import (
    KEEP_COMPLETED,
    KEEP_FAILED,
    MAX_DELAY_MS,
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

MAX_KEY_LENGTH: Final = 1_000
MAX_LIMIT: Final = 1_000_000

_UNFIT_FOR_A_KEY = re.compile(r"[{}\x00-\x1f\x7f-\x9f\ud800-\udfff]")

PayloadFunction: TypeAlias = Callable[[Any], str]
"""A key function: what a payload has in common with others that it must be told from no longer."""

Duplicates = Literal["allow", "reject"]
Ack = Literal["auto", "manual"]
RunIn = Literal["process"]


# Key functions


def check_key_function(name: str, function: object) -> None:
    """Raises: DefinitionError where it cannot be called, or gives a coroutine in place of a text."""
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise DefinitionError(f"{name}: must be a function of the payload that returns a text, not {function!r:.100}")


def call_key_function(name: str, function: PayloadFunction, payload: Any) -> str:
    """The key that a user's function makes of a payload.

    Raises: ValueError where it raises, or gives anything but a text of 1 to 1,000 characters that has neither control
    characters nor braces: those would split a line, or send the key to another slot of a Cluster.
    """
    try:
        key = function(payload)
    except Exception as error:
        raise ValueError(f"its {name} raised {type(error).__name__}") from error
    return _checked_key(name, key)


def _checked_key(name: str, key: object) -> str:
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY_LENGTH:
        given = f"one of {len(key)}" if isinstance(key, str) else type(key).__name__
        raise ValueError(f"its {name} must give a text of 1 to {MAX_KEY_LENGTH} characters, not {given}")
    unfit = _UNFIT_FOR_A_KEY.search(key)
    if unfit is not None:
        raise ValueError(
            f"its {name} must give a text without braces, control characters and lone surrogates, not with {unfit[0]!r}"
        )
    return str.__str__(key)  # of an Enum's member what JSON has for it, not its name


# Limits


@dataclass(frozen=True, slots=True)
class Limit:
    """How many jobs of a handler run at once, over all workers; with `by`, how many for each key that it gives.

    Raises: DefinitionError.
    """

    max: int
    by: PayloadFunction | None = None

    def __post_init__(self) -> None:
        if not _is_whole(self.max, MAX_LIMIT):
            raise DefinitionError(
                f"concurrency: must be a whole number from 1 to {MAX_LIMIT}, or limit(…) of one, not {self.max!r:.100}"
            )
        if self.by is not None:
            check_key_function("concurrency: by", self.by)

    def partition_of(self, payload: Any) -> str:
        """The key of the payload's partition; "" where there is one for all. Raises: ValueError."""
        return "" if self.by is None else call_key_function("concurrency's by", self.by, payload)


def _of_all(payload: Any) -> str:
    return ""


def limit(most: int, /, *, by: PayloadFunction = _of_all) -> Limit:
    """At most `most` jobs of a handler at once, over all workers; with `by`, for each key that it gives.

    Raises: DefinitionError, also where `by` is given and is None: a partition that is meant must not get lost.
    """
    check_key_function("concurrency: by", by)
    return Limit(most, None if by is _of_all else by)


def _is_whole(value: object, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


class RateLimit(NamedTuple):
    """How many jobs of a handler start in a stretch of time, over all workers."""

    max: int
    per_ms: int


# Policies


class PolicyOptions(TypedDict, total=False):
    """The options of the wrappers. What a file cannot say, it cannot override: exceptions and functions."""

    queue: str | None
    attempts: int
    backoff: Backoff | BackoffFunction | int
    timeout_ms: int | None
    grace_ms: int
    first_delay_ms: int
    priority: int
    duplicates: Duplicates
    ordered: bool
    concurrency: Limit | int | None
    rate_limit: RateLimit | tuple[int, int] | None
    keep_completed: Keep
    keep_failed: Keep
    keep_logs: int
    max_claims: int
    ack: Ack
    run_in: RunIn | None
    unrecoverable: tuple[type[BaseException], ...]


def _read_backoff(value: Any) -> Any:
    """A number is a fixed backoff; a table of a file has a Backoff's fields."""
    if isinstance(value, dict):
        return Backoff(**cast(dict[str, Any], value))
    if isinstance(value, int) and not isinstance(value, bool):
        return fixed(value)
    return value


def _read_limit(value: Any) -> Limit | None:
    return value if value is None or isinstance(value, Limit) else Limit(value)


def _read_rate_limit(value: Any) -> RateLimit | None:
    """A pair; a list where a file gives it."""
    if value is None:
        return None
    pair = cast(Sequence[object], value) if isinstance(value, list | tuple) else ()
    if len(pair) != 2 or not _is_whole(pair[0], MAX_LIMIT) or not _is_whole(pair[1], MAX_DELAY_MS):
        raise DefinitionError(
            f"rate_limit: must be a pair (max, per_ms) of whole numbers, max from 1 to {MAX_LIMIT} and per_ms from 1 "
            f"to {MAX_DELAY_MS}, not {value!r:.100}"
        )
    return RateLimit(pair[0], pair[1])


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
    duplicates: Duplicates = "allow"
    ordered: StrictBool = False
    concurrency: Annotated[Limit | None, PlainValidator(_read_limit)] = None
    rate_limit: Annotated[RateLimit | None, PlainValidator(_read_rate_limit)] = None
    keep_completed: Keep = KEEP_COMPLETED
    keep_failed: Keep = KEEP_FAILED
    keep_logs: NonNegative = 1_000
    max_claims: Positive = 3
    ack: Ack = "auto"
    run_in: RunIn | None = None
    unrecoverable: tuple[type[BaseException], ...] = ()

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; a number for `concurrency` keeps the `by` that was there.

        Raises: DefinitionError, naming the field and what is wrong with it.
        """
        if self.concurrency is not None and isinstance(changes.get("concurrency"), int):
            changes["concurrency"] = Limit(changes["concurrency"], self.concurrency.by)
        unchanged = {name: getattr(self, name) for name in type(self).model_fields}
        try:
            return type(self)(**{**unchanged, **changes})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(part for part in map(str, first["loc"]) if part.isidentifier() and part.islower())
            problem = "is not an option of a handler" if first["type"] == "extra_forbidden" else first["msg"]
            raise DefinitionError(f"{field}: {problem}, not {first['input']!r:.100}") from error
