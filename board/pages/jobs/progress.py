"""Progress: how far a job says that it is, where that can be told from what it said."""

from __future__ import annotations

from typing import Any, Final

from jobqueue.encoding import as_object

_SHARES: Final = ("percent", "percentage", "progress", "pct")
_DONE: Final = ("done", "current", "completed", "processed", "count")
_OF: Final = ("total", "of", "max", "all")


def percent_of(value: Any) -> float | None:
    """A number from 0 to 100; an object with a percentage, or with a part and a whole."""
    if not isinstance(value, dict):
        return _share(value)
    given = as_object(value)
    for name in _SHARES:
        if name in given:
            return _share(given[name])
    done = next((_number(given[name]) for name in _DONE if name in given), None)
    whole = next((_number(given[name]) for name in _OF if name in given), None)
    return _share(100 * done / whole) if done is not None and whole else None


def _share(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 100 else None


def _number(value: Any) -> float | None:
    """A number that can be reckoned with."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 2**53
    return float(value) if is_number else None
