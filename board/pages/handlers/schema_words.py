"""Schema words: what a JSON schema allows, said in a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from board.pages.handlers.fields import Kind
from jobqueue.encoding import as_array, as_object
from jobqueue.masking import mask

MAX_WORDS: Final = 200

_FORMATS: Final = {
    "date": "a date: YYYY-MM-DD",
    "time": "a time: HH:MM:SS",
    "date-time": "a time: 2030-01-31T12:00:00Z",
    "duration": "a duration: PT1H30M",
    "email": "an e-mail address",
    "uri": "an address: https://…",
    "uuid": "a UUID",
    "decimal": "a decimal number",
    "binary": "text, which is stored as bytes",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "path": "a path",
}
_KINDS: Final[Mapping[str, str]] = {"whole": "a whole number", "number": "a number"}
_BOUNDS: Final = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("multipleOf", "a multiple of {}"),
)


def limits_in_words(schema: Mapping[str, Any], kind: Kind) -> str:
    """What may be typed: "a whole number, at least 1, at most 9"; empty where there is nothing to say."""
    words = [_json_in_words(schema)] if kind == "json" else [_KINDS.get(kind, "")]
    words.append(_FORMATS.get(str(schema.get("format")), ""))
    words += [text.format(short_json(schema[name])) for name, text in _BOUNDS if name in schema]
    words.append(_length(schema, "minLength", "maxLength", "character"))
    words.append(_length(schema, "minItems", "maxItems", "item"))
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        words.append(f"matching {cut_short(pattern)}")
    return ", ".join(word for word in words if word)


def default_in_words(schema: Mapping[str, Any], *, is_secret: bool) -> str | None:
    """The default as JSON on one line; None where there is none to tell."""
    if "default" not in schema:
        return None
    default = schema["default"]
    return None if is_secret and default is not None else short_json(mask(default))


def short_json(value: Any) -> str:
    return cut_short(json.dumps(value, ensure_ascii=False))


def cut_short(text: str) -> str:
    return text if len(text) <= MAX_WORDS else f"{text[: MAX_WORDS - 1]}…"


def _length(schema: Mapping[str, Any], least: str, most: str, unit: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if low is None and high is None:
        return ""
    if high is None:
        return f"at least {_counted(low, unit)}"
    if low is None:
        return f"at most {_counted(high, unit)}"
    return f"exactly {_counted(low, unit)}" if low == high else f"{low} to {_counted(high, unit)}"


def _counted(number: Any, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _json_in_words(schema: Mapping[str, Any]) -> str:
    if schema.get("type") == "array":
        items = as_object(schema.get("items")).get("type")
        return f"JSON: a list of {items}s" if isinstance(items, str) and items.isalpha() else "JSON: a list"
    if schema.get("type") == "object":
        return "JSON: an object"
    names = [_name_of(one) for word in ("oneOf", "anyOf") for one in as_array(schema.get(word))]
    return f"JSON: {cut_short(' or '.join(names))}" if names else "JSON"


def _name_of(schema: Any) -> str:
    """What one alternative of a union is called."""
    given = as_object(schema)
    reference = given.get("$ref")
    if isinstance(reference, str):
        return reference.rpartition("/")[2]
    return str(given.get("title") or given.get("type") or "anything")
