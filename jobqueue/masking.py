"""Masking: secrets are taken out of what a person will see, before it leaves the process.

Two things make a value secret: its place in the handler's payload type (a SecretStr or SecretBytes), and the name of
the field that holds it. Free text (log lines, error messages) is passed on as it is.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import PydanticInvalidForJsonSchema, PydanticUserError, TypeAdapter

from jobqueue.wire import decode_json

MASK: Final = "********"

_WORDS = (
    *("password", "passwd", "secret", "token", "apikey"),
    *("authorization", "credential", "privatekey"),
)
_NOT_A_LETTER = re.compile(r"[\W_]+")
_QUOTED_FIELD = re.compile(r'"((?:[^"\\]|\\.){1,200})"\s*:\s*')
_REST_OF_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"?|[^,}\]\s]+')
_DEEPEST_TEXT = 8

_Schema: TypeAlias = Mapping[str, Any]


def is_secret_name(name: str) -> bool:
    """True where a field of this name holds a secret, in any spelling: apiKey, API_KEY, "api key", X-Api-Key."""
    plain = _NOT_A_LETTER.sub("", unicodedata.normalize("NFKC", name).casefold())
    return any(word in plain for word in _WORDS)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where we are in a JSON schema, and the definitions that its references mean."""

    schema: _Schema
    definitions: Mapping[str, _Schema]


_Places: TypeAlias = tuple[_Place, ...]


@dataclass(frozen=True, slots=True)
class Masker:
    """Masks the values of one handler's jobs.

    `hides_all` is True where the payload type cannot be described, so nobody knows where its secrets are.
    """

    places: _Places = ()
    hides_all: bool = False

    def payload(self, value: Any) -> Any:
        """A payload as it may be shown: the type's secrets and the secret names are masked."""
        return MASK if self.hides_all and value is not None else _mask(value, self.places)

    def raw(self, text: str) -> str:
        """Job data that could not be read, as it may be shown.

        Where the text is no JSON, only fields named as secrets can be found in it; a type with secrets of its own
        hides the whole text.
        """
        try:
            return json.dumps(_mask(decode_json(text), self.places), ensure_ascii=False)
        except ValueError:
            pass_on = not self.hides_all and not any(_has_secret(place) for place in self.places)
            return _mask_broken(text) if pass_on else MASK


PLAIN: Final = Masker()
"""Masks by name alone: for results, progress and jobs of unknown handlers."""


def mask(value: Any) -> Any:
    """Any JSON value with the fields masked that are named as secrets.

    Text that is itself a JSON object or list is masked inside; it keeps its spelling where nothing had to be.
    """
    return PLAIN.payload(value)


def masker_of(adapter: TypeAdapter[Any] | None) -> Masker:
    """The masker of a payload type; None is the type of a handler without payload."""
    return PLAIN if adapter is None else _masker_of(adapter)


@lru_cache(maxsize=1024)
def _masker_of(adapter: TypeAdapter[Any]) -> Masker:
    """A field may be stored under its alias (ours) or under its name (a foreign producer): all are looked at."""
    try:
        schemas = [_json_schema(adapter, mode, by_alias) for mode, by_alias in _VIEWS]
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        return Masker(hides_all=True)
    return Masker(tuple(_Place(schema, schema.get("$defs", {})) for schema in schemas))


_VIEWS: tuple[tuple[Literal["validation", "serialization"], bool], ...] = (
    ("validation", True),
    ("validation", False),
    ("serialization", True),
)


def _json_schema(adapter: TypeAdapter[Any], mode: Literal["validation", "serialization"], by_alias: bool) -> _Schema:
    return adapter.json_schema(mode=mode, by_alias=by_alias)


# The walk through value and schema, side by side


def _mask(value: Any, places: _Places, texts: int = 0) -> Any:
    branches = tuple(branch for place in places for branch in _branches(place, frozenset()))
    if value is not None and any(branch.schema.get("format") == "password" for branch in branches):
        return MASK
    if isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        return {name: _mask_field(name, inner, branches, texts) for name, inner in fields.items()}
    if isinstance(value, list):
        items = cast(list[Any], value)
        return [_mask(item, _items(branches, index), texts) for index, item in enumerate(items)]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return _mask_text(value, texts)
    return value


def _mask_field(name: str, value: Any, branches: _Places, texts: int) -> Any:
    if value is not None and is_secret_name(name):
        return MASK
    return _mask(value, _fields(branches, name), texts)


def _mask_text(text: str, texts: int) -> str:
    try:
        value = decode_json(text)
    except ValueError:
        return text
    if texts == _DEEPEST_TEXT:
        return MASK
    masked = _mask(value, (), texts + 1)
    return text if masked == value else json.dumps(masked, ensure_ascii=False)


def _branches(place: _Place, seen: frozenset[str]) -> Iterator[_Place]:
    """The place itself and every alternative that it stands for; a value may be any of them."""
    yield place
    reference = place.schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        target = place.definitions.get(reference.removeprefix("#/$defs/"), {})
        yield from _branches(_Place(target, place.definitions), seen | {reference})
    for word in ("anyOf", "oneOf", "allOf"):
        for schema in place.schema.get(word, ()):
            yield from _branches(_Place(schema, place.definitions), seen)


def _fields(branches: _Places, name: str) -> _Places:
    return tuple(
        _Place(schema, branch.definitions)
        for branch in branches
        for schema in (
            branch.schema.get("properties", {}).get(name),
            branch.schema.get("additionalProperties"),
            *branch.schema.get("patternProperties", {}).values(),
        )
        if isinstance(schema, dict)
    )


def _items(branches: _Places, index: int) -> _Places:
    return tuple(
        _Place(schema, branch.definitions)
        for branch in branches
        for schema in (branch.schema.get("items"), *branch.schema.get("prefixItems", ())[index : index + 1])
        if isinstance(schema, dict)
    )


def _has_secret(place: _Place) -> bool:
    return '"format": "password"' in json.dumps(place.schema)


def _mask_broken(text: str) -> str:
    """Text that is almost JSON: what follows a secret name, up to the end of that value, is masked.

    An object or list there has no end that one could trust, so the rest of the text goes with it.
    """
    parts: list[str] = []
    position = 0
    for field in _QUOTED_FIELD.finditer(text):
        if field.start() < position or not is_secret_name(_unescaped(field[1])):
            continue
        parts += [text[position : field.end()], f'"{MASK}"']
        if text[field.end() : field.end() + 1] in ("{", "["):
            return "".join(parts)
        value = _REST_OF_VALUE.match(text, field.end())
        position = value.end() if value else field.end()
    return "".join([*parts, text[position:]])


def _unescaped(name: str) -> str:
    try:
        return str(decode_json(f'"{name}"'))
    except ValueError:
        return name
