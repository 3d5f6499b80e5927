"""Faults: what pydantic has found, as the fields that a program knows and a sentence for each."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

_OUR_WORDS: Final = "value_error"


def field_errors_of(error: ValidationError) -> dict[str, str]:
    """Shape: the dotted path of each field, and what is wrong with it."""
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        words = str(fault.get("ctx", {}).get("error")) if fault["type"] == _OUR_WORDS else fault["msg"]
        faults.setdefault(".".join(map(str, fault["loc"])), words)
    return faults
