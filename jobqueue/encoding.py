"""Encoding: JSON that Node and we read alike, and the reading of values that others may have written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, Literal, cast

from pydantic import BaseModel, SecretBytes, SecretStr, TypeAdapter
from pydantic_core import from_json, to_jsonable_python

_MAYBE_DEEP = 150
_EXACT = 2**53


def encode_json(value: Any) -> str:
    """Any JSON value, pydantic model, dataclass or common type, as JSON that Node reads and we can read again.

    Raises: ValueError where that is impossible (NaN, a lone surrogate, a cycle, too deep, an unknown type).
    """
    try:
        text = json.dumps(value, default=_jsonable, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
        text.encode()
    except (TypeError, RecursionError, UnicodeEncodeError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    if text.count("[") + text.count("{") > _MAYBE_DEEP:
        decode_json(f"[[{text}]]")  # inside the job's data it lies deeper, and the reader has a limit
    return text


def _jsonable(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    return to_jsonable_python(value, by_alias=True)


def encode_payload(adapter: TypeAdapter[Any], payload: Any, *, has_secrets: bool) -> str:
    """A validated payload as JSON, secrets in clear. Raises: ValueError."""
    if has_secrets:
        return encode_json(to_jsonable_python(_reveal(_dump(adapter, payload, "python"))))
    text = encode_json(_dump(adapter, payload, "json"))
    if "null" in text:
        _reveal(_dump(adapter, payload, "python"))  # pydantic writes null for NaN, which nobody asked for
    return text


def _dump(adapter: TypeAdapter[Any], payload: Any, mode: Literal["json", "python"]) -> Any:
    return adapter.dump_python(payload, mode=mode, by_alias=True, round_trip=True, warnings=False)


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
