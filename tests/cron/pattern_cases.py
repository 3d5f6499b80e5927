"""Pattern cases: patterns of every form, zones, and starts, most of which are close to a change of the clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from jobqueue.cron.fields import DAY_S
from jobqueue.cron.zones import names, zone_named
from tests.cron.node_cron import Question

FIRST_S: Final = 1_420_070_400
"""2015-01-01."""
LAST_S: Final = 2_145_916_800
"""2038-01-01."""

PREDEFINED: Final = (
    *("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly", "@minutely", "@secondly"),
    *("@weekdays", "@weekends"),
)

# Half-hour changes, changes at midnight, skipped days, winter time by name, many changes of the rules.
_TRICKY: Final = """
    Africa/Cairo Africa/Casablanca Africa/Khartoum Africa/Sao_Tome Africa/Windhoek America/Asuncion America/Caracas
    America/Godthab America/Havana America/New_York America/Santiago America/Sao_Paulo America/Scoresbysund
    America/St_Johns Antarctica/Casey Antarctica/Macquarie Antarctica/Troll Asia/Amman Asia/Beirut Asia/Damascus
    Asia/Famagusta Asia/Gaza Asia/Pyongyang Asia/Tehran Australia/Lord_Howe Europe/Chisinau Europe/Dublin
    Europe/Istanbul Europe/London Europe/Volgograd Pacific/Apia Pacific/Bougainville Pacific/Chatham Pacific/Easter
    Pacific/Fiji Pacific/Norfolk Pacific/Tongatapu UTC
""".split()

_MONTHS: Final = "JAN feb Mar APR may Jun JUL aug Sep OCT nov Dec".split()
_WEEKDAYS: Final = "SUN mon Tue WED thu Fri SAT".split()
_SCRAPS: Final = (
    *"0123456789*?,-/#LHl",
    *("MON", "jan", "sun", "1-5", "*/5", "0-", "-0", "5L", "L", "15L", "#2", "#5", "10", "31", "59", "00", "/0", "/2"),
    *("JANUARY", "W", "@", "(1-5)", "H/5", "~", "+", "1.5", "\u0661", "\x00", "\u00a0", "é"),
)
_SPACES: Final = (" ", " ", " ", "\t", "  ", "\u00a0", "\u3000", "\x1c", "\x85", "\ufeff")


@dataclass(slots=True)
class PatternCases:
    """Draws them, all from one `chance`."""

    chance: Random
    _changes: dict[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])

    def question(self, count: int) -> Question:
        """One that both sides should answer."""
        zone = self.chance.choice(_TRICKY) if self.chance.random() < 0.6 else self.chance.choice(names())
        return Question(self._pattern(), zone, self._start_ms(zone), count)

    def garbled(self, count: int) -> Question:
        """One whose pattern is mostly wrong."""
        chance = self.chance
        texts = ["*"] * chance.choice((1, 3, 4, 5, 5, 5, 5, 6, 6, 7))
        for _ in range(chance.choice((1, 1, 1, 2))):
            scraps = chance.choices(_SCRAPS, k=chance.choice((1, 1, 2, 2, 3, 3, 4, 5)))
            texts[chance.randrange(len(texts))] = "".join(scraps)
        before = chance.choice(_SPACES) if chance.random() < 0.05 else ""
        return Question(before + chance.choice(_SPACES).join(texts), "UTC", FIRST_S * 1000, count)

    def _pattern(self) -> str:
        chance = self.chance
        if chance.random() < 0.03:
            return chance.choice(PREDEFINED)
        texts = [self._list(0, 59)] if chance.random() < 0.3 else []
        minutes = ("0", "30", "59", "*/30", "*/15", "*/7", str(chance.randint(0, 59)), self._list(0, 59))
        hours = (*"0123", "23", "*", "*", "*/2", "*/6", self._list(0, 23), self._list(0, 23))
        days = ("L", f"L,{chance.randint(1, 31)}", "?", "*/1", self._list(1, 31), self._list(1, 31))
        texts += [chance.choice(minutes), chance.choice(hours), self._mostly_any(0.6, chance.choice(days))]
        texts += [self._mostly_any(0.7, self._list(1, 12, _MONTHS)), self._mostly_any(0.6, self._weekdays())]
        return " ".join(texts)

    def _weekdays(self) -> str:
        chance = self.chance
        day = chance.choice((str(chance.randint(0, 7)), chance.choice(_WEEKDAYS)))
        forms = ("?", f"{day}L", f"{day}#{chance.randint(1, 5)}", f"{chance.randint(1, 3)},{chance.randint(4, 7)}L")
        return chance.choice((*forms, self._list(0, 6, _WEEKDAYS), self._list(0, 6, _WEEKDAYS), "5-7", "*/2", "7"))

    def _mostly_any(self, how_often: float, otherwise: str) -> str:
        return "*" if self.chance.random() < how_often else otherwise

    def _list(self, low: int, high: int, called: Sequence[str] = ()) -> str:
        """Up to three items, of which no two take the same number."""
        texts: list[str] = []
        taken: set[int] = set()
        for _ in range(self.chance.choice((1, 1, 1, 2, 3))):
            text, numbers = self._item(low, high, called)
            if taken.isdisjoint(numbers):
                texts.append(text)
                taken.update(numbers)
        return ",".join(texts)

    def _item(self, low: int, high: int, called: Sequence[str]) -> tuple[str, Sequence[int]]:
        chance = self.chance
        first = chance.randint(low, high)
        last, step = chance.randint(first, high), chance.choice((1, 2, 3, 5, 7, 10, 15, 20, 40, 100))

        def said(number: int) -> str:
            return called[number - low] if called and chance.random() < 0.4 else f"{number:0{chance.choice((1, 1, 2))}}"

        match chance.choice(("one", "one", "one", "range", "range", "steps", "from", "all")):
            case "one":
                return said(first), [first]
            case "range":
                return f"{said(first)}-{said(last)}", range(first, last + 1)
            case "steps":
                return f"{said(first)}-{said(last)}/{step}", range(first, last + 1, step)
            case "from" if high != 6:  # of weekdays it would go on to 7
                return f"{said(first)}/{step}", range(first, high + 1, step)
            case _:
                return f"*/{step}", range(low, high + 1, step) if high != 6 else range(7)

    def _start_ms(self, zone: str) -> int:
        chance, start_s = self.chance, self.chance.randrange(FIRST_S, LAST_S)
        changes = self._changes_of(zone)
        if changes and chance.random() < 0.75:
            away_s = (0, 1_800 * chance.randint(-12, 12), chance.randint(-18_000, 18_000), chance.randint(-144_000, 0))
            start_s = chance.choice(changes) + chance.choice(away_s)
        start_ms = chance.choice((start_s - start_s % 60, start_s, start_s)) * 1000
        return start_ms + chance.choice((0, 0, 1, 500, 999))

    def _changes_of(self, name: str) -> Sequence[int]:
        """When its clocks change from 2015 to 2037."""
        if name not in self._changes:
            zone = zone_named(name)
            days = [day_s for day_s in range(FIRST_S, LAST_S, DAY_S) if zone.changes_between(day_s, day_s + DAY_S)]
            self._changes[name] = [zone.first_change(day_s, day_s + DAY_S) for day_s in days]
        return self._changes[name]
