"""Encoding: JSON that Node and we read alike, and the reading of values that others may have written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, cast

from pydantic import BaseModel, SecretBytes, SecretStr, TypeAdapter
from pydantic_core import from_json, to_jsonable_python

_MAYBE_DEEP = 150
_EXACT = 2**53
_MASKED = "**********"
_INSTEAD_OF_A_NUMBER = ("null", "NaN", "Infinity")
"""What pydantic writes for a number that JSON does not have; the last two where a model asks for them."""


def _jsonable(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    return to_jsonable_python(value, by_alias=True)


_encoder = json.JSONEncoder(default=_jsonable, allow_nan=False, separators=(",", ":"), ensure_ascii=False)


def encode_json(value: Any) -> str:
    """Any JSON value, pydantic model, dataclass or common type, as JSON that Node reads and we can read again.

    Raises: ValueError where that is impossible (NaN, a lone surrogate, a cycle, too deep, an unknown type).
    """
    if value is None:
        return "null"
    try:
        text = _encoder.encode(value)
        text.encode()
    except (TypeError, RecursionError, UnicodeEncodeError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    _check_depth(text)
    return text


def _check_depth(text: str) -> None:
    """Raises: ValueError where no reader would take it: inside the job's data it lies deeper, and there is a limit."""
    if text.count("[") + text.count("{") > _MAYBE_DEEP:
        decode_json(f"[[{text}]]")


def encode_payload(adapter: TypeAdapter[Any], payload: Any, *, has_secrets: bool) -> str:
    """A validated payload as JSON, secrets in clear. Raises: ValueError."""
    if has_secrets:
        return _encode_revealed(adapter, payload)
    text = adapter.dump_json(payload, by_alias=True, round_trip=True, warnings=False).decode()
    if _MASKED in text:  # a secret where the type does not tell of one
        return _encode_revealed(adapter, payload)
    if any(word in text for word in _INSTEAD_OF_A_NUMBER):
        _reveal(_as_python(adapter, payload))
    _check_depth(text)
    return text


def _encode_revealed(adapter: TypeAdapter[Any], payload: Any) -> str:
    return encode_json(to_jsonable_python(_reveal(_as_python(adapter, payload))))


def _as_python(adapter: TypeAdapter[Any], payload: Any) -> Any:
    return adapter.dump_python(payload, by_alias=True, round_trip=True, warnings=False)


def _reveal(value: Any) -> Any:
    """The same value with its secrets in clear. Raises: ValueError for a number that JSON does not have."""
    match value:
        case SecretStr() | SecretBytes():
            return value.get_secret_value()
        case float() if not math.isfinite(value):
            raise ValueError(f"{value} is not a JSON number")
        case dict():
            return {name: _reveal(one) for name, one in as_object(value).items()}
        case list() | tuple() | set() | frozenset():
            return [_reveal(one) for one in cast(Iterable[Any], value)]
        case _:
            return value


def decode_json(text: str) -> Any:
    """Raises: ValueError where the text is not JSON or nested too deep."""
    try:
        return from_json(text, allow_inf_nan=False)
    except TypeError as error:  # what it says of a lone surrogate
        raise ValueError("the text is not valid UTF-8") from error


def utf8_size(text: str) -> int:
    """Bytes of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def is_json(text: str) -> bool:
    try:
        decode_json(text)
    except ValueError:
        return False
    return True


def decode_result(text: str | None) -> Any:
    """A foreign result may be bare text: then it is that text. Source: Node getReturnValue."""
    if text is None:
        return None
    try:
        return decode_json(text)
    except ValueError:
        return text


# What may be anything


def as_object(value: Any) -> dict[str, Any]:
    """A JSON object as it is; empty where the value is something else."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def as_array(value: Any) -> list[Any]:
    """An array as it is; empty where the value is something else."""
    return cast(Any, value) if isinstance(value, list) else []


def as_whole(value: Any) -> int | None:
    """A number that every side holds exactly, as an int; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_EXACT <= value <= _EXACT:
        return None
    return int(value) if value == int(value) else None
