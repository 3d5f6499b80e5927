"""Statistics: counts of how tries ended and how long they took, small enough to keep for each handler and minute."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import log2
from typing import Any, Final, NamedTuple, TypeAlias, cast

import msgpack

Counts: TypeAlias = dict[int, int]
"""How often each code was counted: COMPLETED, FAILED or RETRIED, or a bucket above WAITED or RAN."""

COMPLETED: Final = 0
FAILED: Final = 1
RETRIED: Final = 2
WAITED: Final = 4
RAN: Final = 160

WHOLE_QUEUE: Final = ""
"""The name under which the sum of all handlers is kept."""
OTHERS: Final = "(others)"
"""The name under which handlers are counted together, once there are too many to count each."""
MAX_HANDLERS: Final = 1_000
MAX_NAME: Final = 200

_STEPS: Final = 4  # buckets for each doubling
_MOST_EXACT: Final = 2**53
_unpack = cast(Any, msgpack).unpackb
_LEAST_MS: Final = 0.01
_PER_MS: Final = 100
_LAST: Final = 154
_MOST_MS: Final = _LEAST_MS * 2 ** ((_LAST - 1) / _STEPS)  # 38 days
RELATIVE_ERROR: Final = 2 ** (1 / _STEPS) - 1
"""A quantile is wrong by no more than a fifth of itself, or by 0.01 ms: it is in the bucket that it is read from."""


class Resolution(NamedTuple):
    """Counts are kept for each `step_ms`, and for `keep_ms` after the last that was added."""

    word: str
    step_ms: int
    keep_ms: int


_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS

MINUTE: Final = Resolution("minute", _MINUTE_MS, 2 * _HOUR_MS)
TEN_MINUTES: Final = Resolution("ten-minutes", 10 * _MINUTE_MS, 2 * _HOUR_MS)
HOUR: Final = Resolution("hour", _HOUR_MS, 8 * _DAY_MS)
QUARTER: Final = Resolution("quarter", 6 * _HOUR_MS, 8 * _DAY_MS)
"""A quarter of a day; as the ten minutes it is there for what is asked of all handlers: a week is read from some 30
hashes and not from 168, an hour from some 10 and not from 60.
"""
RESOLUTIONS: Final = (MINUTE, TEN_MINUTES, HOUR, QUARTER)


def bucket_of(duration_ms: float) -> int:
    """The bucket that a duration is counted in: the first one for less than 0.01 ms, and where a clock went back."""
    if duration_ms < _LEAST_MS:
        return 0
    if duration_ms >= _MOST_MS:
        return _LAST
    return int(_STEPS * log2(duration_ms * _PER_MS)) + 1


def quantile_ms(counts: Mapping[int, int], kind: int, share: float) -> float | None:
    """The duration that `share` of all durations of a kind, WAITED or RAN, do not exceed; None where there are none."""
    return quantiles_ms(counts, kind, (share,))[0]


def quantiles_ms(counts: Mapping[int, int], kind: int, shares: Sequence[float]) -> Sequence[float | None]:
    """As `quantile_ms`, for several shares at once."""
    codes = sorted([code for code in counts if kind <= code <= kind + _LAST])
    if not codes:
        return (None,) * len(shares)
    up_to = list(accumulate([counts[code] for code in codes]))
    quantiles: list[float | None] = []
    for share in shares:
        rank = share * up_to[-1]
        at = bisect_left(up_to, rank)
        count = counts[codes[at]]
        quantiles.append(_within(codes[at] - kind, (rank - up_to[at] + count) / count))
    return quantiles


def _within(bucket: int, share: float) -> float:
    """A duration of the bucket, by how much of the bucket is below it."""
    if bucket == 0:
        return _LEAST_MS * share
    return float(_LEAST_MS * 2 ** ((bucket - 1 + share) / _STEPS))


def add(counts: Counts, others: Mapping[int, int]) -> None:
    """Count what was counted elsewhere, too."""
    for code, count in others.items():
        counts[code] = counts.get(code, 0) + count


def merged(parts: Iterable[Mapping[int, int]]) -> Counts:
    total: Counts = {}
    for part in parts:
        add(total, part)
    return total


def clean_name(name: str) -> str:
    """A handler's name as it is kept: what came from outside may be no text, or too much of it."""
    return name[:MAX_NAME].encode(errors="replace").decode() or "?"


def flat(counts: Mapping[int, int]) -> list[int]:
    """As counts travel to Redis: code, count, code, count, …"""
    return [number for pair in counts.items() for number in pair]


def sum_of_rows(rows: Iterable[str | None]) -> Counts:
    """What rows of Redis hold together. Shape: msgpack, an array of code, count, code, count, …

    A row that is none was not written by us, and counts nothing; neither do sums that cannot be.
    """
    sums: defaultdict[int, int] = defaultdict(int)
    for row in rows:
        if row:
            _add_row(sums, row)
    return {
        code: count
        for code, count in sums.items()
        if type(code) is int and type(count) is int and code >= 0 and 0 < count <= _MOST_EXACT
    }


def ended_in_rows(rows: Iterable[str]) -> int:
    """How many tries completed or failed: what `sum_of_rows` would say, in half the time."""
    ended = 0
    for row in rows:
        try:
            numbers: Any = _unpack(row.encode("utf-8", "surrogateescape"))
            codes = numbers[::2]
            ended += sum(int(numbers[2 * codes.index(code) + 1]) for code in (COMPLETED, FAILED) if code in codes)
        except (ValueError, TypeError, LookupError, OverflowError, msgpack.UnpackException):
            continue
    return ended


def _add_row(sums: defaultdict[int, int], row: str) -> None:
    """This is done for thousands of rows at a time, so what it adds is looked at afterwards."""
    try:
        numbers: Any = _unpack(row.encode("utf-8", "surrogateescape"))
        parts = iter(numbers)
        for code, count in zip(parts, parts, strict=False):
            sums[code] += count
    except (ValueError, TypeError, msgpack.UnpackException):
        return
