"""Payload: JSON as it is typed on a command line."""

from __future__ import annotations

import json
import sys
from typing import NoReturn, TextIO, cast

from pydantic import JsonValue


def read_payload(text: str) -> JsonValue:
    """The value of a JSON text; `-` stands for standard input. Raises: ValueError, saying what is wrong with it."""
    try:
        return cast(JsonValue, json.loads(read_stdin() if text == "-" else text, parse_constant=_refuse))
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from None


def read_stdin() -> str:
    """All of it. Raises: ValueError where there is none."""
    stdin: TextIO | None = sys.stdin  # none where the shell has closed it
    if stdin is None:
        raise ValueError("cannot be read: standard input is closed")
    return stdin.read()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"is not JSON: {constant} is no number there")
