"""Form values: what was typed into the fields of a form as a payload, and a payload as what would be typed. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias, assert_never

from board.pages.handlers.fields import PAYLOAD, Field
from board.render import visible
from jobqueue.encoding import as_object, decode_json, encode_json
from jobqueue.masking import MASK

Typed: TypeAlias = Mapping[str, str]
"""Name of a field -> what was typed, as the form sends it."""
Faults: TypeAlias = Mapping[str, str]
"""Name of a field -> what is wrong with it."""

YES, NO = "true", "false"

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


class _Empty(Enum):
    EMPTY = "nothing was typed"


@dataclass(frozen=True, slots=True)
class ReadForm:
    """What a form says. `payload` is good where there are no faults; what is not named there is left to pydantic."""

    payload: Any
    faults: Faults


def read_payload(root: Field, typed: Typed) -> ReadForm:
    """The payload that was typed. Only the types are looked at; what is missing or out of range is the handler's."""
    reader = _Reader(typed)
    value = reader.value(root)
    return ReadForm(None if value is _Empty.EMPTY else value, reader.faults)


@dataclass(slots=True)
class _Reader:
    typed: Typed
    faults: dict[str, str] = field(default_factory=dict[str, str])

    def value(self, asked: Field) -> Any:
        """The value of a field; EMPTY where it is to be left out."""
        value = self._group(asked) if asked.kind == "group" else self._leaf(asked)
        if value is _Empty.EMPTY and asked.is_required and asked.is_nullable:
            return None
        return value

    def _group(self, asked: Field) -> Any:
        """Nothing in it is nothing; but where it must be there it is an empty object, and pydantic says what lacks."""
        values = {one.key: self.value(one) for one in asked.fields}
        given = {key: value for key, value in values.items() if value is not _Empty.EMPTY}
        is_untouched = not any(self.typed.get(one.name, "") for one in asked.walk())
        if is_untouched and (asked.is_nullable or not asked.is_required):
            return _Empty.EMPTY
        return given

    def _leaf(self, asked: Field) -> Any:
        text = self.typed.get(asked.name, "")
        if not text or (asked.kind != "text" and not text.strip()):
            return _Empty.EMPTY
        if text == MASK:
            return MASK  # it stands for a secret that is stored, whatever its type
        try:
            return _read_leaf(asked, text)
        except ValueError as error:
            self.faults[asked.name] = str(error)
            return None


def _read_leaf(asked: Field, text: str) -> Any:
    """Raises: ValueError, which says what was wrong."""
    match asked.kind:
        case "text":
            return text
        case "whole":
            return _whole(text.strip())
        case "number":
            return _number(text.strip())
        case "yes or no":
            return _yes_or_no(text)
        case "choice":
            return _choice(asked, text)
        case "json":
            return _json(text)
        case "group":
            raise ValueError("is a group of fields, and has no value of its own")
        case _:
            assert_never(asked.kind)


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"must be a whole number, not {text!r:.60}")
    return int(text)


def _number(text: str) -> int | float:
    if _WHOLE.fullmatch(text):
        return int(text)
    number = float(text) if len(text) <= 4000 and _NUMBER.fullmatch(text) else math.inf
    if not math.isfinite(number):
        raise ValueError(f"must be a number, not {text!r:.60}")
    return number


def _yes_or_no(text: str) -> bool:
    if text not in (YES, NO):
        raise ValueError(f"must be {YES} or {NO}, not {text!r:.60}")
    return text == YES


def _choice(asked: Field, text: str) -> Any:
    for choice in asked.choices:
        if choice.text == text:
            return choice.value
    raise ValueError(f"must be one of the values offered, not {text!r:.60}")


def _json(text: str) -> Any:
    """What can be written as JSON again: 1e999 can be read, and is no number of JSON's."""
    try:
        value = decode_json(text)
        encode_json(value)
        return value
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from error


# From a payload to what would be typed


def spelled(payload: Any) -> str:
    """JSON to be edited; what cannot be seen is escaped, which JSON reads as the same."""
    return visible(json.dumps(payload, indent=2, ensure_ascii=False))


def typed_of(root: Field, payload: Any) -> Typed | None:
    """What would be typed for this payload; None where the form cannot say it, so that it would come back changed."""
    typed: dict[str, str] = {}
    _fill(root, payload, typed)
    read = read_payload(root, typed)
    same = not read.faults and _same(_plain(root, read.payload), _plain(root, payload))
    return typed if same else None


def _fill(asked: Field, value: Any, typed: dict[str, str]) -> None:
    if asked.kind == "group":
        given = as_object(value)
        for one in asked.fields:
            if one.key in given:
                _fill(one, given[one.key], typed)
        return
    text = _typed_leaf(asked, value)
    if text:
        typed[asked.name] = text


def _typed_leaf(asked: Field, value: Any) -> str:
    if value is None and (asked.is_nullable or asked.kind != "json"):
        return ""
    if isinstance(value, str) and asked.kind != "json":
        return "" if "\r" in value else value  # a browser would send another end of the line
    if asked.kind == "json" and value != MASK:
        return spelled(value)
    return value if isinstance(value, str) else json.dumps(value)


def _plain(asked: Field, value: Any) -> Any:
    """A payload without the optional fields that hold what they would hold if they were left out."""
    if asked.kind != "group" or not isinstance(value, dict):
        return value
    given = dict(as_object(value))
    for one in asked.fields:
        if one.key in given:
            given[one.key] = _plain(one, given[one.key])
            if not one.is_required and one.is_nullable and one.default == "null" and given[one.key] is None:
                del given[one.key]
    return given


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON, where true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


# Errors


def placed(faults: Mapping[str, str], root: Field | None) -> Faults:
    """The faults of a payload, by dotted path, under the names of the fields that they are about.

    One that lies deeper than the form does goes to the field that it lies in, and says where.
    """
    places: dict[str, Field] = {} if root is None else {one.place: one for one in root.walk()}
    found: dict[str, str] = {}
    for place, fault in faults.items():
        about = place
        while about not in places and "." in about:
            about = about.rpartition(".")[0]
        name = places[about].name if about in places else PAYLOAD
        below = place.removeprefix(about).removeprefix(".")
        said = f"{below}: {fault}" if below else fault
        found[name] = f"{found[name]}; {said}" if name in found else said
    return found
