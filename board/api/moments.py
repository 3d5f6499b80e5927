"""Moments: a time as a program writes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

FORMS: Final = "must be ISO 8601 with a time zone, like 2030-01-31T12:00:00Z, or epoch milliseconds"

_LAST_MOMENT_MS: Final = 253_402_300_799_999  # the end of the year 9999, where datetime ends


def read_moment(value: object) -> datetime:
    """From ISO 8601, or a number of epoch milliseconds. Raises: ValueError, saying what would be right."""
    match value:
        case bool():
            pass
        case int() if 0 <= value <= _LAST_MOMENT_MS:
            return datetime.fromtimestamp(value / 1000, UTC)
        case str():
            return _of_text(value)
        case _:
            pass
    raise ValueError(f"{FORMS}, not {value!r:.100}")


def _of_text(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{FORMS}, not {text!r:.100}") from error
    raise ValueError(f"{FORMS}; {text!r:.100} has no zone")


def read_moment_ms(text: str) -> int:
    """Epoch milliseconds from a text of a query, where a number is digits. Raises: ValueError."""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(_LAST_MOMENT_MS))
    return round(read_moment(int(text) if is_number else text).timestamp() * 1000)
