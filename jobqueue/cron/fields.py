"""Fields: the times that a pattern takes, read as cron-parser reads them. croniter expands what is plain in them."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple, cast

from croniter import croniter

from jobqueue.errors import InvalidOption

DAY_S: Final = 86_400
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Fields:
    """What a pattern takes: its times of the day in order, and its days.

    `weekdays` begin with Sunday, 0. `nth` is 0 where each of them counts, else which one of the month; those of
    `last_weekdays` are taken in the last seven days of a month only. A day field that is `*` or `?` is "any"; where
    neither is, a day of either is taken.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    last_day: bool
    any_day: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    nth: int
    last_weekdays: frozenset[int]
    any_weekday: bool

    def takes_day(self, day: date) -> bool:
        """Whether the day is one of theirs; its month is another question."""
        if self.any_weekday:
            return self._takes_number(day)
        if self.any_day:
            return self._takes_weekday(day)
        return self._takes_number(day) or self._takes_weekday(day)

    def first_from(self, wall_s: int) -> int:
        """The first time that is taken and not before that one, both as a wall clock shows it that never changes.

        Units: seconds since 1970 on that clock.
        """
        day = date.fromordinal(EPOCH_DAY + wall_s // DAY_S)
        is_taken = day.month in self.months and self.takes_day(day)
        time_s = self._time_from(wall_s % DAY_S) if is_taken else None
        if time_s is None:
            day = self._next_day(day)
            time_s = self.hours[0] * 3600 + self.minutes[0] * 60 + self.seconds[0]
        return (day.toordinal() - EPOCH_DAY) * DAY_S + time_s

    def _next_day(self, after: date) -> date:
        """The first day after that one which is taken, in a month that is."""
        day = date.fromordinal(after.toordinal() + 1)
        while day.month not in self.months or not self.takes_day(day):
            left = 0 if day.month in self.months else monthrange(day.year, day.month)[1] - day.day
            day = date.fromordinal(day.toordinal() + left + 1)
        return day

    def _time_from(self, second_of_day: int) -> int | None:
        """The first time of a day that is not before that one, as its second; None where the day has none left."""
        hour, minute, second = second_of_day // 3600, second_of_day // 60 % 60, second_of_day % 60
        if hour in self.hours and minute in self.minutes:
            for later in self.seconds:
                if later >= second:
                    return hour * 3600 + minute * 60 + later
        if hour in self.hours:
            for later in self.minutes:
                if later > minute:
                    return hour * 3600 + later * 60 + self.seconds[0]
        for later in self.hours:
            if later > hour:
                return later * 3600 + self.minutes[0] * 60 + self.seconds[0]
        return None

    def _takes_number(self, day: date) -> bool:
        return day.day in self.days or (self.last_day and day.day == monthrange(day.year, day.month)[1])

    def _takes_weekday(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if weekday in self.weekdays and self.nth in (0, (day.day + 6) // 7):
            return True
        return weekday in self.last_weekdays and day.day > monthrange(day.year, day.month)[1] - 7


@lru_cache(maxsize=1024)
def read(pattern: str) -> Fields:
    """The fields of a pattern.

    Raises: InvalidOption("pattern"), naming the field and what is wrong in it, also where no day can be reached.
    Source: cron-parser; what it takes and we refuse is in docs/cron-patterns.md.
    """
    texts = _split(pattern)
    seconds, minutes, hours, months = (_numbers(_KINDS[place], texts[place]) for place in (0, 1, 2, 4))
    days, last_day = _days(texts[3])
    weekdays, nth, last_weekdays = _weekdays(texts[5])
    any_weekday = texts[5] in _ANY
    if any_weekday and not last_day and not any(min(days) <= _LONGEST[month - 1] for month in months):
        raise _wrong(f"never fires: no month of {texts[4]!r:.100} has a day of {texts[3]!r:.100}")
    return Fields(
        seconds=tuple(sorted(seconds)),
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=days,
        last_day=last_day,
        any_day=texts[3] in _ANY,
        months=months,
        weekdays=weekdays,
        nth=nth,
        last_weekdays=last_weekdays,
        any_weekday=any_weekday,
    )


class _Kind(NamedTuple):
    """One field: how it is called, what it may be, and the place where croniter has its like."""

    name: str
    low: int
    high: int
    place: int
    names: str = ""


_KINDS: Final = (
    _Kind("second", 0, 59, 0),
    _Kind("minute", 0, 59, 0),
    _Kind("hour", 0, 23, 1),
    _Kind("day of month", 1, 31, 2),
    _Kind("month", 1, 12, 3, " or from JAN to DEC"),
    _Kind("day of week", 0, 7, 4, " or from SUN to SAT"),
)
_DAY, _WEEKDAY = _KINDS[3], _KINDS[5]

_PREDEFINED: Final = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
    "@minutely": "0 * * * * *",
    "@secondly": "* * * * * *",
    "@weekdays": "0 0 0 * * 1-5",
    "@weekends": "0 0 0 * * 0,6",
}
_ANY: Final = ("*", "?")
_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MAX_CHARACTERS: Final = 1024

# What JavaScript takes for space; Python's own idea of it is another one.
_SPACE: Final = "[\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+"
_SPACES: Final = re.compile(_SPACE)
_OUTER_SPACES: Final = re.compile(f"^{_SPACE}|{_SPACE}$")

_ONE: Final = "(?:[0-9]+|[A-Za-z]{3})"
_PLAIN: Final = re.compile(rf"(?:[*?]|{_ONE}|{_ONE}-{_ONE})(?:/[0-9]+)?")
_BACK_TO_SUNDAY: Final = re.compile(r"(?!0+-|sun-).*-(?:0|sun)(?:/.*)?", re.IGNORECASE)
_LAST_WEEKDAY: Final = re.compile(r"([0-7]|[A-Za-z]{3})L")
_NTH_WEEKDAY: Final = re.compile(rf"([*?]|{_ONE})#([1-5])")
_HASHED: Final = re.compile(r"(?<![A-Za-z])H(?![A-Za-z])")


def _split(pattern: str) -> list[str]:
    """The texts of the six fields; where there are five, the second is 0."""
    if len(pattern) > _MAX_CHARACTERS:  # first: of many spaces inside, the next line tries every part
        raise _wrong(f"has {len(pattern)} characters, {_MAX_CHARACTERS} are allowed")
    text = _OUTER_SPACES.sub("", _PREDEFINED.get(pattern, pattern))
    if not text:
        raise _wrong("is empty: give five fields (minute hour day month weekday), or six with the seconds first")
    if text.startswith("@"):
        raise _wrong(f"{text!r:.100} is not known: use one of {', '.join(_PREDEFINED)}, or five or six fields")
    texts = _SPACES.split(text)
    if not 5 <= len(texts) <= 6:
        raise _wrong(f"{pattern!r:.100} has {len(texts)} fields: five or, with the seconds first, six are right")
    return ["0", *texts][-6:]


def _days(text: str) -> tuple[frozenset[int], bool]:
    """The days of the month, and whether its last one is among them."""
    items = text.split(",")
    if items.count("L") > 1:
        raise _twice(_DAY, text, "L")
    plain = [item for item in items if item != "L"]
    return _numbers(_DAY, ",".join(plain)) if plain else frozenset[int](), len(plain) < len(items)


def _weekdays(text: str) -> tuple[frozenset[int], int, frozenset[int]]:
    """The days of the week, which one of the month, and those of which only the last one counts."""
    if "#" in text:
        found = _NTH_WEEKDAY.fullmatch(text)
        if found is None:
            raise _not(
                _WEEKDAY, text, "with '#' a field is one day and its number in the month, from 1 to 5, as in 5#3"
            )
        return _numbers(_WEEKDAY, found[1]), int(found[2]), frozenset()
    items = text.split(",")
    last = [found[1] for found in map(_LAST_WEEKDAY.fullmatch, items) if found]
    plain = [item for item in items if not _LAST_WEEKDAY.fullmatch(item)]
    weekdays = _numbers(_WEEKDAY, ",".join(plain)) if plain else frozenset[int]()
    return weekdays, 0, _numbers(_WEEKDAY, ",".join(last)) if last else frozenset()


def _numbers(kind: _Kind, text: str) -> frozenset[int]:
    """What a list of plain items takes; a number that two of them take is an error, as in Node."""
    taken: set[int] = set()
    for item in text.split(","):
        numbers = _expanded(kind, item)
        if not taken.isdisjoint(numbers):
            raise _twice(kind, text, min(taken & numbers))
        taken |= numbers
    return frozenset(taken)


def _expanded(kind: _Kind, item: str) -> frozenset[int]:
    """What one plain item takes: `*`, `?`, a number or a name, a range; each with a step or without."""
    if not _PLAIN.fullmatch(item):
        raise _not(kind, item, _hint(item))
    # croniter reads fri-0 as fri-7, and Node refuses it.
    if kind is _WEEKDAY and _BACK_TO_SUNDAY.fullmatch(item):
        raise _not(kind, item, "the Sunday that ends a range is 7")
    fields = ["1"] * 5
    fields[kind.place] = item.replace("?", "*")
    try:
        values = cast(list[list[int | str]], croniter.expand(" ".join(fields))[0])[kind.place]
    except ValueError:
        span = f"from {kind.low} to {kind.high}{kind.names}"
        raise _not(kind, item, f"it takes {span}, ranges that go upwards and steps of at least 1") from None
    if values == ["*"]:
        return frozenset(range(kind.low, min(kind.high, 6) + 1 if kind is _WEEKDAY else kind.high + 1))
    return frozenset(int(value) for value in values)


def _hint(item: str) -> str:
    if _HASHED.search(item):
        return "H is drawn anew each time that Node reads it, so its times cannot be told"
    return "write numbers, names like MON or JAN, ranges like 1-5, steps like */5, and lists of them"


def _twice(kind: _Kind, text: str, value: object) -> InvalidOption:
    return _not(kind, text, f"{value} is taken twice")


def _not(kind: _Kind, text: str, problem: str) -> InvalidOption:
    return _wrong(f"the {kind.name} field cannot be {text!r:.100}: {problem}")


def _wrong(problem: str) -> InvalidOption:
    return InvalidOption("pattern", problem)
