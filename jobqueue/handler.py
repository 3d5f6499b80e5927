"""Handler: a typed function for one job name, with its policy and pattern."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, get_args, get_type_hints

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaMode

from jobqueue.errors import DefinitionError, InvalidPayload
from jobqueue.policy import PayloadFunction, Policy, call_key_function, check_key_function

P = TypeVar("P")

OnBusy = Literal["skip", "wait"]


@dataclass(frozen=True, slots=True)
class Plain:
    """No pattern: every job runs."""

    word: ClassVar[str] = "plain"


@dataclass(frozen=True, slots=True)
class Singleton:
    """One run at a time, by a Redis lock. Without `key` the identity is the handler's name."""

    key: PayloadFunction | None = None
    on_busy: OnBusy = "skip"
    word: ClassVar[str] = "singleton"

    def __post_init__(self) -> None:
        if self.on_busy not in get_args(OnBusy):
            raise DefinitionError(f"on_busy: must be 'skip' or 'wait', not {self.on_busy!r:.100}")
        if self.key is not None:
            check_key_function("key", self.key)

    def identity_of(self, name: str, payload: Any) -> str:
        """What all runs of the handler `name` with such a payload share: one lock.

        Raises: ValueError where the function raises or gives no usable text.
        """
        return name if self.key is None else f"{name}:{call_key_function('key', self.key, payload)}"


@dataclass(frozen=True, slots=True)
class Superseding:
    """A newer job with the same key stops the older one."""

    dedupe_key: PayloadFunction
    word: ClassVar[str] = "superseding"

    def __post_init__(self) -> None:
        check_key_function("dedupe_key", self.dedupe_key)

    def key_of(self, payload: Any) -> str:
        """Raises: ValueError where the function raises or gives no usable text."""
        return call_key_function("dedupe_key", self.dedupe_key, payload)


Pattern: TypeAlias = Plain | Singleton | Superseding


@dataclass(frozen=True, slots=True, eq=False)
class Handler(Generic[P]):
    """A typed function for one job name. Made by `make_job` and its brothers; never called by its user.

    Invariant: `payload` is None exactly where the function takes no payload. `has_secrets` is True where it holds a
    SecretStr, which pydantic masks when it writes JSON. `seeded_cron` is the pattern of the cron job that the handler
    brings along.
    """

    name: str
    function: Callable[..., Any]
    policy: Policy
    pattern: Pattern
    payload: TypeAdapter[P] | None
    has_secrets: bool = False
    seeded_cron: str | None = None
    is_async: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_async", inspect.iscoroutinefunction(self.function))

    def validate(self, payload: Any) -> Any:
        """A payload that a caller passed. Raises: InvalidPayload, naming the fields."""
        if self.payload is None:
            return self._none(payload)
        try:
            return self.payload.validate_python(payload)
        except ValidationError as error:
            raise InvalidPayload(self.name, field_errors(error)) from None  # it repeats what was given

    def validate_json(self, text: str) -> Any:
        """A payload as JSON: strict types take what JSON has for them, and a field goes by either of its names.

        Raises: InvalidPayload, naming the fields.
        """
        if self.payload is None:
            return None
        try:
            return self.payload.validate_json(text, by_alias=True, by_name=True)
        except ValidationError as error:
            raise InvalidPayload(self.name, field_errors(error)) from None

    def dedupe_key_of(self, payload: Any) -> str | None:
        """The key of the payload's lane; None where newer jobs do not stop older ones.

        Raises: ValueError where the function raises or gives no usable text.
        """
        return self.pattern.key_of(payload) if isinstance(self.pattern, Superseding) else None

    def _none(self, payload: Any) -> None:
        if payload is not None:
            raise InvalidPayload(self.name, {"payload": f"this handler takes none, not {type(payload).__name__}"})

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
    """True where the type takes or gives a SecretStr anywhere; also where it has no JSON schema to tell."""
    if adapter is None:
        return False
    modes: tuple[JsonSchemaMode, ...] = ("validation", "serialization")
    try:
        return any('"format": "password"' in json.dumps(adapter.json_schema(mode=mode)) for mode in modes)
    except PydanticUserError:
        return True


def field_errors(error: ValidationError) -> dict[str, str]:
    """What is wrong, by dotted path: {"payload.resource_id": "Field required"}."""
    return {
        ".".join(["payload", *map(str, one["loc"])]): one["msg"]
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    }
