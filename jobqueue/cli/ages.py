"""Ages: how old something must be, as it is typed on a command line."""

from __future__ import annotations

import re
from typing import Final

from jobqueue.errors import InvalidOption

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_AGE = re.compile(r"(?P<number>[0-9]{1,15})(?P<unit>ms|[smhdw])?")


def read_age_ms(option: str, text: str) -> int:
    """Milliseconds of `7d`, `12h`, `30m`, `45s`, `500ms`, `2w` and 0. Raises: InvalidOption, naming the option."""
    match = _AGE.fullmatch(text)
    if match is None or (match["unit"] is None and int(match["number"])):
        raise InvalidOption(option, f"must be a number with its unit, like 7d, 12h, 30m or 45s, not {text!r:.100}")
    return int(match["number"]) * _UNITS_MS[match["unit"] or "ms"]
