"""Schema form: the JSON schema of a payload, as pydantic makes it, as the fields of a form. Pure and bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, cast

from board.pages.handlers.fields import AS_JSON, PAYLOAD, Choice, Field, Kind, Path
from board.pages.handlers.schema_words import default_in_words, limits_in_words
from jobqueue.encoding import as_array, as_object
from jobqueue.masking import is_secret_name

MAX_FIELDS: Final = 150
MAX_DEPTH: Final = 4
MAX_CHOICES: Final = 200

Schema: TypeAlias = Mapping[str, Any]

_KINDS: Final[Mapping[str, Kind]] = {
    "string": "text",
    "integer": "whole",
    "number": "number",
    "boolean": "yes or no",
}
_DEFINITIONS: Final = "#/$defs/"
_NULL: Final = {"type": "null"}


def field_of(schema: Schema) -> Field:
    """The form of a payload. What has no field of its own is a field of JSON: lists, free objects, unions, a type in
    itself, what lies deeper than MAX_DEPTH. A payload of more than MAX_FIELDS fields is JSON altogether."""
    builder = _Builder(as_object(schema.get("$defs")))
    root = builder.field(schema, (), is_required=True)
    if builder.count > MAX_FIELDS:
        return replace(AS_JSON, about=root.about)
    return root


@dataclass(slots=True)
class _Builder:
    """Makes the fields of one schema, and counts them."""

    definitions: Mapping[str, Any]
    count: int = 0
    open: set[str] = field(default_factory=set[str])

    def field(self, given: Schema, path: Path, *, is_required: bool) -> Field:
        """One field. The definitions that it is made of are open meanwhile: whoever meets one again is in a circle."""
        self.count += 1
        schema, met = self._resolved(given)
        schema, is_nullable, more = self._without_null(schema)
        met |= more
        bare = _bare(schema, path, _label(given, path), is_required=is_required, is_nullable=is_nullable)
        if met & self.open or self.count > MAX_FIELDS:
            return replace(bare, kind="json")
        self.open |= met
        try:
            return self._filled(bare, schema)
        finally:
            self.open -= met

    def _filled(self, bare: Field, schema: Schema) -> Field:
        choices = _choices(schema)
        if choices is not None:
            return bare if not choices else replace(bare, kind="choice", choices=choices, wanted="")
        properties = as_object(schema.get("properties"))
        if not properties or len(bare.path) == MAX_DEPTH:
            return bare
        required = as_array(schema.get("required"))
        fields = tuple(
            self.field(as_object(inner), (*bare.path, key), is_required=key in required)
            for key, inner in list(properties.items())[: MAX_FIELDS + 1]
        )
        return replace(bare, kind="group", fields=fields, wanted=_when_empty(bare))

    def _resolved(self, schema: Schema) -> tuple[Schema, set[str]]:
        """The schema with what it refers to in its place, and the names of that. What stands beside it goes first."""
        met: set[str] = set()
        while True:
            target, below = _reference(schema)
            if target is None or target in met:
                return schema, met
            met.add(target)
            schema = {**as_object(self.definitions.get(target)), **below}

    def _without_null(self, schema: Schema) -> tuple[Schema, bool, set[str]]:
        """A type or null is that type, and nullable. The alternatives are resolved one level deep."""
        options = as_array(schema.get("anyOf"))
        others = [one for one in options if one != _NULL]
        if len(others) != 1 or not isinstance(others[0], dict):
            return _decimal(schema, others), len(others) < len(options), set()
        beside = {name: value for name, value in schema.items() if name != "anyOf"}
        inner, met = self._resolved(cast(Schema, others[0]))
        return {**inner, **beside}, len(others) < len(options), met


def _when_empty(group: Field) -> str:
    """What comes of a group without anything in it, where that is no fault."""
    if group.is_required:
        return "null where nothing in it is typed" if group.is_nullable else ""
    return "left out where nothing in it is typed"


def _reference(schema: Schema) -> tuple[str | None, Schema]:
    """The definition that a schema stands for, and what it says beside it."""
    wrapped = as_array(schema.get("allOf"))
    if len(wrapped) == 1 and "$ref" not in schema:
        return _reference({**as_object(wrapped[0]), **{name: one for name, one in schema.items() if name != "allOf"}})
    reference = schema.get("$ref")
    beside = {name: one for name, one in schema.items() if name not in ("$ref", "$defs")}
    if not isinstance(reference, str) or not reference.startswith(_DEFINITIONS):
        return None, beside
    return reference.removeprefix(_DEFINITIONS).replace("~1", "/").replace("~0", "~"), beside


def _decimal(schema: Schema, options: list[Any]) -> Schema:
    """Source: pydantic's Decimal, a number or a text that keeps all its digits. As a text it can be typed."""
    kinds = {as_object(one).get("type") for one in options}
    if len(options) != 2 or kinds != {"number", "string"}:
        return schema
    limits = next(as_object(one) for one in options if as_object(one).get("type") == "number")
    beside = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**limits, **beside, "type": "string", "format": "decimal"}


def _label(given: Schema, path: Path) -> str:
    """Its own title, but for the one that pydantic makes of the key: the key says more."""
    key, title = path[-1] if path else PAYLOAD, _text(given.get("title"))
    is_made_up = not path or title == key.title().replace("_", " ").strip()
    return key if is_made_up or not title.strip() else title


def _bare(schema: Schema, path: Path, label: str, *, is_required: bool, is_nullable: bool) -> Field:
    """The field without what is in it; of a schema that says nothing that we know it takes JSON."""
    kind: Kind = _KINDS.get(str(schema.get("type")), "json")
    is_secret = schema.get("format") == "password" or (bool(path) and is_secret_name(path[-1]))
    return Field(
        path,
        kind,
        label=label,
        about=_text(schema.get("description")),
        wanted=limits_in_words(schema, kind),
        default=default_in_words(schema, is_secret=is_secret),
        format=_text(schema.get("format")),
        is_required=is_required,
        is_nullable=is_nullable,
        is_secret=is_secret and kind == "text",
    )


def _choices(schema: Schema) -> tuple[Choice, ...] | None:
    """The values of an enumeration; none where they cannot be told apart as text; None for what is no enumeration."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list):
        return None
    choices = tuple(Choice(one if isinstance(one, str) else json.dumps(one), one) for one in as_array(values))
    texts = {choice.text for choice in choices}
    return choices if len(texts) == len(choices) <= MAX_CHOICES and "" not in texts else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
