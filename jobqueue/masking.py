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
from typing import Any, Final, Literal, TypeAlias, TypeGuard, cast

from pydantic import PydanticUserError, TypeAdapter

from jobqueue.encoding import decode_json

MASK: Final = "********"
_NOTHING_IN_IT: Final[tuple[Any, ...]] = (None, {}, [])

SECRET_WORDS: Final = (
    *("password", "passwd", "secret", "token", "apikey"),
    *("authorization", "credential", "privatekey"),
)
"""A name that has one of these is a secret's; between the letters may be whatever is neither letter nor digit."""
_NOT_A_LETTER = re.compile(r"[\W_]+")
_LETTER_IN_CODE = re.compile(r"\\[bfnrtu]")
DEEPEST: Final = 250  # more than one JSON text may nest; a text inside a text counts on

_Schema: TypeAlias = Mapping[str, Any]


def is_secret_name(name: str) -> bool:
    """True where a field of this name holds a secret, in any spelling: apiKey, API_KEY, "api key", X-Api-Key."""
    plain = _NOT_A_LETTER.sub("", unicodedata.normalize("NFKC", name).casefold())
    return any(word in plain for word in SECRET_WORDS)


def may_have_secret_names(text: str) -> bool:
    """False where no name in this JSON text is that of a secret, nor in a text inside it: told without decoding it.

    Also True where a letter follows a backslash: it may be another one, or no letter.
    """
    return _LETTER_IN_CODE.search(text) is not None or is_secret_name(text)


def may_be_json(text: str) -> bool:
    """True for a text that may be a JSON object, list or text, so that names may be in it."""
    return text.lstrip()[:1] in ("{", "[", '"')


@dataclass(frozen=True, slots=True)
class _Place:
    """Where we are in a JSON schema, and the definitions that its references mean."""

    schema: _Schema
    definitions: Mapping[str, _Schema]


_Places: TypeAlias = tuple[_Place, ...]


@dataclass(frozen=True, slots=True)
class Masker:
    """Masks the values of one handler's jobs.

    `hides_all` is True where nobody knows where the secrets are: the payload type cannot be described, or is not known.
    """

    places: _Places = ()
    hides_all: bool = False

    def payload(self, value: Any) -> Any:
        """A payload as it may be shown: the type's secrets and the secret names are masked."""
        if self.hides_all:
            return value if value in _NOTHING_IN_IT else MASK
        return _mask(value, self.places)

    def raw(self, text: str) -> str:
        """Job data that could not be read, as it may be shown.

        Where the text is no JSON its fields cannot be told apart: it is hidden whole if a secret may be in it.
        """
        try:
            value = decode_json(text)
        except ValueError:
            may_hold_one = is_secret_name(text) or any(_has_secret(place) for place in self.places)
            return MASK if may_hold_one or self.hides_all else text
        return json.dumps(self.payload(value), ensure_ascii=False)


PLAIN: Final = Masker()
"""Masks by name alone: for results, progress and jobs of unknown handlers."""
HIDDEN: Final = Masker(hides_all=True)
"""Masks whatever is in a payload: for what is kept for handlers that are not known here."""


def mask(value: Any) -> Any:
    """Any JSON value with the fields masked that are named as secrets.

    Text that is itself JSON is masked inside, and so is a text in there; it keeps its spelling where nothing had to be.
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
    except PydanticUserError:
        return Masker(hides_all=True)
    return Masker(tuple(_Place(schema, schema.get("$defs", {})) for schema in schemas))


_VIEWS: tuple[tuple[Literal["validation", "serialization"], bool], ...] = (
    ("validation", True),
    ("validation", False),
    ("serialization", True),
)


def _json_schema(adapter: TypeAdapter[Any], mode: Literal["validation", "serialization"], by_alias: bool) -> _Schema:
    return adapter.json_schema(mode=mode, by_alias=by_alias)


# The walk through value and schema, side by side. Loops, not comprehensions: a level costs one frame of the stack.


def _mask(value: Any, places: _Places, depth: int = 0) -> Any:
    branches = _all_branches(places)
    if value is not None and any(branch.schema.get("format") == "password" for branch in branches):
        return MASK
    if isinstance(value, str) and may_be_json(value):
        return _mask_text(value, depth)
    if isinstance(value, dict):
        if depth == DEEPEST:
            return MASK
        fields: dict[str, Any] = {}
        for name, inner in cast(dict[str, Any], value).items():
            is_secret = inner is not None and is_secret_name(name)
            fields[name] = MASK if is_secret else _mask(inner, _fields(branches, name), depth + 1)
        return fields
    if isinstance(value, list):
        items: list[Any] = [*value]
        for index, inner in enumerate(items):
            items[index] = MASK if depth == DEEPEST else _mask(inner, _items(branches, index), depth + 1)
        return items
    return value


def _mask_text(text: str, depth: int) -> str:
    try:
        value = decode_json(text)
    except ValueError:
        return text
    if isinstance(value, str) and depth == DEEPEST:
        return MASK
    masked = _mask(value, (), depth + isinstance(value, str))
    return text if masked == value else json.dumps(masked, ensure_ascii=False)


def _all_branches(places: _Places) -> _Places:
    """Each schema once, or a type that contains itself in two ways would double them at every level."""
    branches = {id(branch.schema): branch for place in places for branch in _branches(place, frozenset())}
    return tuple(branches.values())


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
        if _is_schema(schema)
    )


def _items(branches: _Places, index: int) -> _Places:
    return tuple(
        _Place(schema, branch.definitions)
        for branch in branches
        for schema in (branch.schema.get("items"), *branch.schema.get("prefixItems", ())[index : index + 1])
        if _is_schema(schema)
    )


def _is_schema(value: object) -> TypeGuard[_Schema]:
    """A schema may also be a bare True or False, which says nothing about its fields."""
    return isinstance(value, dict)


def _has_secret(place: _Place) -> bool:
    return '"format": "password"' in json.dumps(place.schema)
