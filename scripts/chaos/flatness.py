"""Flatness: whether something that is measured again and again grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Final, NamedTuple

HOUR_S: Final = 3_600
_MOST_POINTS: Final = 600


class Point(NamedTuple):
    """One value at one time."""

    at_s: float
    value: float


@dataclass(frozen=True, slots=True)
class Trend:
    """Where a measure stood in the second quarter of its time and in the last one, both as medians; the first quarter
    is to get warm in. `an_hour` is the robust slope (Theil and Sen: the median of those of all pairs) after the first.
    """

    early: float
    late: float
    an_hour: float

    @property
    def percent(self) -> float:
        return 0.0 if self.early == self.late else 100 * (self.late - self.early) / (self.early or 1)

    def __str__(self) -> str:
        return f"{self.early:,.2f} → {self.late:,.2f} ({self.percent:+.2f} %, {self.an_hour:+.2f} an hour)"


def trend(points: Sequence[Point]) -> Trend:
    """Raises: ValueError where there are too few points to tell."""
    began_s, ended_s = points[0].at_s, points[-1].at_s
    quarter_s = (ended_s - began_s) / 4
    warm = [point for point in points if point.at_s >= began_s + quarter_s]
    early = [point.value for point in warm if point.at_s < began_s + 2 * quarter_s]
    late = [point.value for point in warm if point.at_s >= ended_s - quarter_s]
    if not early or not late:
        raise ValueError(f"{len(points)} samples in {ended_s - began_s:.0f} s are too few; sample more often")
    return Trend(median(early), median(late), slope(warm) * HOUR_S)


def slope(points: Sequence[Point]) -> float:
    """The median of the slopes of all pairs, a second; of many points some, evenly."""
    some = points[:: len(points) // _MOST_POINTS + 1]
    slopes = [(b.value - a.value) / (b.at_s - a.at_s) for a, b in combinations(some, 2) if b.at_s > a.at_s]
    return median(slopes) if slopes else 0.0


@dataclass(frozen=True, slots=True)
class Bound:
    """How much something may grow from the second quarter to the last, and in an hour; None: that is not asked."""

    percent: float
    an_hour: float | None = None
    slack: float = 0.0
    """What may come on top of the percentage, where a few are nothing."""

    def exceeded_by(self, found: Trend) -> bool:
        more = found.late > found.early * (1 + self.percent / 100) + self.slack
        return more or (self.an_hour is not None and found.an_hour > self.an_hour)
