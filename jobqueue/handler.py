"""Handler: a typed function for one job name, with its policy and pattern."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeAlias, TypedDict, TypeVar, cast, get_type_hints

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

from jobqueue.errors import DefinitionError
from jobqueue.job import (
    KEEP_COMPLETED,
    KEEP_FAILED,
    MAX_PRIORITY,
    Backoff,
    BackoffFunction,
    Keep,
    exponential,
)

MAX_KEY_LENGTH: Final = 1_000

P = TypeVar("P")

OnBusy = Literal["skip", "wait"]
PayloadFunction: TypeAlias = Callable[[Any], str]


class PolicyOptions(TypedDict, total=False):
    """The options of the wrappers; JOBS_CONFIG may override each but `unrecoverable` and a callable backoff."""

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


@dataclass(frozen=True, slots=True)
class Policy:
    """How the jobs of a handler are treated.

    Units: `_ms` milliseconds. `attempts` counts all tries. `max_claims` is how often a job may take its worker down
    with it before it is quarantined.
    """

    queue: str | None = None
    attempts: int = 3
    backoff: Backoff | BackoffFunction = dataclasses.field(default_factory=lambda: exponential(5_000))
    timeout_ms: int | None = None
    grace_ms: int = 5_000
    first_delay_ms: int = 0
    priority: int = 0
    keep_completed: Keep = KEEP_COMPLETED
    keep_failed: Keep = KEEP_FAILED
    keep_logs: int = 1_000
    max_claims: int = 3
    unrecoverable: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        _check_range("attempts", self.attempts, 1)
        _check_range("timeout_ms", self.timeout_ms, 1)
        _check_range("grace_ms", self.grace_ms, 0)
        _check_range("first_delay_ms", self.first_delay_ms, 0)
        _check_range("priority", self.priority, 0, MAX_PRIORITY)
        _check_range("keep_logs", self.keep_logs, 0)
        _check_range("max_claims", self.max_claims, 1)
        if not isinstance(self.backoff, Backoff) and not callable(self.backoff):
            raise DefinitionError(f"backoff: exponential(ms), fixed(ms) or a function, not {self.backoff!r}")

    def replace(self, **changes: Any) -> Policy:
        """A copy with some fields changed; an int as backoff means fixed.

        Raises: DefinitionError, naming the field.
        """
        unknown = sorted(set(changes) - {known.name for known in dataclasses.fields(self)})
        if unknown:
            raise DefinitionError(f"{unknown[0]}: is not an option of a handler")
        return dataclasses.replace(self, **{name: _plain_to_typed(name, value) for name, value in changes.items()})


def _plain_to_typed(name: str, value: Any) -> Any:
    """What a configuration file can say, made into the type of the field."""
    fields: dict[str, Any] | None = cast(dict[str, Any], value) if isinstance(value, dict) else None
    try:
        if name == "backoff" and isinstance(value, int) and not isinstance(value, bool):
            return Backoff("fixed", value)
        if name == "backoff" and fields is not None:
            return Backoff(**fields)
        if name in ("keep_completed", "keep_failed") and fields is not None:
            return Keep(**fields)
        return cast(object, value)
    except (TypeError, ValueError) as error:
        raise DefinitionError(f"{name}: {value!r} is not valid: {error}") from error


def _check_range(name: str, value: object, least: int, most: int | None = None) -> None:
    if value is None and name == "timeout_ms":
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise DefinitionError(f"{name}: must be a whole number, not {value!r}")
    if value < least or (most is not None and value > most):
        limits = f"from {least} to {most}" if most is not None else f"{least} or more"
        raise DefinitionError(f"{name}: must be {limits}, not {value}")


@dataclass(frozen=True, slots=True)
class Plain:
    """No pattern: every job runs."""

    word: Final = "plain"


@dataclass(frozen=True, slots=True)
class Singleton:
    """One run at a time, by a Redis lock. Without `key` the identity is the handler's name."""

    key: PayloadFunction | None = None
    on_busy: OnBusy = "skip"
    word: Final = "singleton"

    def identity_of(self, name: str, payload: Any) -> str:
        """What all runs of the handler `name` with such a payload share: one lock.

        Raises: ValueError where the function raises or gives no usable text.
        """
        return name if self.key is None else f"{name}:{_call_key('key', self.key, payload)}"


@dataclass(frozen=True, slots=True)
class Superseding:
    """A newer job with the same key stops the older one."""

    dedupe_key: PayloadFunction
    word: Final = "superseding"

    def key_of(self, payload: Any) -> str:
        """Raises: ValueError where the function raises or gives no usable text."""
        return _call_key("dedupe_key", self.dedupe_key, payload)


def _call_key(name: str, function: PayloadFunction, payload: Any) -> str:
    try:
        key: Any = function(payload)
    except Exception as error:
        raise ValueError(f"its {name} raised {error!r}") from error
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise ValueError(f"its {name} must give a text of 1 to {MAX_KEY_LENGTH} characters, not {key!r:.100}")
    return key


Pattern: TypeAlias = Plain | Singleton | Superseding


@dataclass(frozen=True, slots=True, eq=False)
class Handler(Generic[P]):
    """A typed function for one job name. Made by `make_job` and its brothers; never called by its user.

    Invariant: `payload` is None exactly where the function takes no payload. `has_secrets` is True where it holds a
    SecretStr, which pydantic masks when it writes JSON.
    """

    name: str
    function: Callable[..., Any]
    policy: Policy
    pattern: Pattern
    payload: TypeAdapter[P] | None
    has_secrets: bool = False

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    def with_policy(self, **changes: Any) -> Handler[P]:
        """A copy with some fields of its policy changed. Raises: DefinitionError, naming the field."""
        return dataclasses.replace(self, policy=self.policy.replace(**changes)) if changes else self


def payload_adapter(function: Callable[..., Any]) -> TypeAdapter[Any] | None:
    """The adapter of the type that a handler's second parameter is annotated with; None without one.

    Raises: DefinitionError where the function takes something else than (ctx) or (ctx, payload), has no
    annotation, or has one that pydantic cannot validate.
    """
    name = getattr(function, "__qualname__", repr(function))
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required_elsewhere = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if not 1 <= len(positional) <= 2 or required_elsewhere:
        raise DefinitionError(f"{name}: a handler takes (ctx) or (ctx, payload)")
    if len(positional) == 1:
        return None
    payload = positional[1]
    try:
        annotation = get_type_hints(function, include_extras=True).get(payload.name)
    except NameError as error:
        raise DefinitionError(f"{name}: the annotation of {payload.name!r} cannot be read: {error}") from error
    if annotation is None:
        raise DefinitionError(f"{name}: the payload {payload.name!r} needs a type annotation")
    try:
        return TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise DefinitionError(f"{name}: {annotation!r} is not a payload type: {error}") from error


def has_secrets(adapter: TypeAdapter[Any] | None) -> bool:
    """True where the type holds a SecretStr anywhere; also where it has no JSON schema to tell."""
    if adapter is None:
        return False
    try:
        return '"format": "password"' in json.dumps(adapter.json_schema())
    except PydanticUserError:
        return True
