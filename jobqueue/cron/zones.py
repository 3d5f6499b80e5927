"""Zones: what a wall clock shows at an instant, and when it shows a time. The data is that of the package tzdata."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from jobqueue.errors import InvalidOption

_DAY_S: Final = 86_400
_HOUR_S: Final = 3_600
_MAX_CHARACTERS: Final = 64
_FIXED: Final = re.compile(r"utc([+-])([0-9]{1,2})(?::([0-9]{2}))?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Zone:
    """One time zone.

    Units: instants are seconds since 1970 in UTC; what a wall clock shows is counted as if it stood in UTC, and is the
    instant plus the offset.
    """

    name: str
    rules: tzinfo

    def offset_at(self, instant_s: int) -> int:
        """How many seconds the wall clock is before UTC at an instant."""
        offset = datetime.fromtimestamp(instant_s, self.rules).utcoffset()
        if offset is None:
            raise TypeError(f"zone {self.name!r} has no offset")
        return offset.days * _DAY_S + offset.seconds

    def instant_of(self, wall_s: int, offset_s: int) -> int:
        """When the wall clock shows that, if it was at that offset just before.

        A time that it shows twice is the one at the same offset, a time that it never shows is as long after the
        change as it would have been. Source: Luxon's DateTime, which Node's cron-parser stands on.
        """
        offset_there_s = self.offset_at(wall_s - offset_s)
        if offset_there_s == offset_s:
            return wall_s - offset_s
        offset_then_s = self.offset_at(wall_s - offset_there_s)
        return wall_s - min(offset_there_s, offset_then_s)

    def changes_between(self, from_s: int, to_s: int) -> bool:
        """Whether the offset at the one instant is not that at the other."""
        return self.offset_at(from_s) != self.offset_at(to_s)

    def first_change(self, from_s: int, to_s: int) -> int:
        """When the offset changes between two instants; the later one where it does not."""
        offset_s = self.offset_at(from_s)
        while to_s - from_s > 1:
            middle_s = (from_s + to_s) // 2
            if self.offset_at(middle_s) == offset_s:
                from_s = middle_s
            else:
                to_s = middle_s
        return to_s

    def steady_offset(self, day: int) -> int | None:
        """The offset all through a day, the end and the start of its neighbours included; None where it changes.

        Shape: `day` is counted from 1970-01-01. No zone has ever changed there and back within three days.
        """
        before, after = self.offset_at(day * _DAY_S - 15 * _HOUR_S), self.offset_at(day * _DAY_S + 37 * _HOUR_S)
        return before if before == after else None


@lru_cache(maxsize=1024)
def zone_named(name: str) -> Zone:
    """The zone of an IANA name, in any case of letters as in Node, or of `UTC+5:30` and its like.

    Raises: InvalidOption("timezone").
    """
    if len(name) > _MAX_CHARACTERS:
        raise _unknown(name)
    lowered = name.lower()
    if lowered in ("utc", "gmt"):
        return Zone(name, UTC)
    if fixed := _FIXED.fullmatch(name):
        return Zone(name, _fixed_rules(name, *fixed.groups(default="0")))
    known = _by_lower_case().get(lowered)
    if known is None:
        raise _unknown(name)
    path = resources.files("tzdata").joinpath("zoneinfo", *known.split("/"))
    with path.open("rb") as data:
        return Zone(name, ZoneInfo.from_file(data, key=known))


def _fixed_rules(name: str, sign: str, hours: str, minutes: str) -> tzinfo:
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset >= timedelta(days=1):
        raise InvalidOption("timezone", f"{name!r} is a day or more away from UTC")
    return timezone(-offset if sign == "-" else offset)


@cache
def names() -> tuple[str, ...]:
    """The IANA names of all zones, but `Factory`, which stands for a zone that was never set."""
    known = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return tuple(name for name in known if name != "Factory")


@cache
def _by_lower_case() -> dict[str, str]:
    return {name.lower(): name for name in names()}


def _unknown(name: str) -> InvalidOption:
    return InvalidOption("timezone", f"no zone is named {name!r:.100}: give an IANA name like UTC or Europe/Berlin")
