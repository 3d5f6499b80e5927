"""Walking: over days on which the clocks change, the way that Node's cron-parser finds the next time."""

from __future__ import annotations

from datetime import date
from typing import Final

from jobqueue.cron.fields import DAY_S, EPOCH_DAY, Fields
from jobqueue.cron.zones import Zone

_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_MAX_STEPS: Final = 9_999


class Walk:
    """A wall clock that is led forward until it shows a time that the pattern takes.

    Two things are remembered on the way, unless the pattern takes every hour. Hours that were stepped over: where one
    of them was wanted, the hour that follows them stands in. An hour that begins a second time: it is passed over.
    Either is noticed only where a step of the walk crosses the change, so what is found depends on the start, in Node
    and here alike. Source: cron-parser's CronExpression and CronDate.
    """

    def __init__(self, fields: Fields, zone: Zone, after_ms: int) -> None:
        self._fields = fields
        self._zone = zone
        self._start_ms = after_ms
        self._skipped_hours: tuple[int, ...] = ()
        self._hour_after_them: int | None = None
        self._repeated_hour: int | None = None
        self._changing_day: tuple[int, bool] = (-1, False)
        self._go_to(after_ms // 1000)
        if after_ms % 1000:
            self._elapse(1)

    def arrive(self) -> int | None:
        """The instant of the next time, in seconds; None where none comes within as many steps as Node takes."""
        for _ in range(_MAX_STEPS):
            before_s = self._instant_s
            if self._reach_day() and self._reach_hour() and self._reach_minute() and self._leave_start():
                return self._instant_s
            if self._instant_s <= before_s:
                self._leave_circle(before_s)
        return None

    # Each is true where the clock shows what is wanted, and else takes one step towards it.

    def _reach_day(self) -> bool:
        day = date.fromordinal(EPOCH_DAY + self._day)
        if day.month not in self._fields.months:
            self._go_to_next_month(day)
        elif not self._fields.takes_day(day):
            self._go_to(self._next_day_s())
        else:
            return True
        return False

    def _reach_hour(self) -> bool:
        hour, hours = self._hour, self._fields.hours
        if hour == self._hour_after_them and not set(hours).isdisjoint(self._skipped_hours):
            return True
        if hour == self._repeated_hour:
            self._repeated_hour = None
            self._elapse(_HOUR_S)
            return False
        if hour in hours:
            return True
        self._hour_after_them = None
        wanted = next((later for later in hours if later > hour), None)
        if wanted is None:
            self._go_to(self._next_day_s())
        else:
            self._go_to_hour(wanted)
            self._show_minute(self._fields.minutes[0])
        return False

    def _reach_minute(self) -> bool:
        minute, second = self._wall_s // _MINUTE_S % 60, self._wall_s % 60
        if minute not in self._fields.minutes:
            wanted = next((later for later in self._fields.minutes if later > minute), None)
            if wanted is None:
                self._elapse(_HOUR_S)
            self._show_minute(self._fields.minutes[0] if wanted is None else wanted)
        elif second not in self._fields.seconds:
            wanted = next((later for later in self._fields.seconds if later > second), None)
            if wanted is None:
                self._elapse(_MINUTE_S)
            self._show_second(self._fields.seconds[0] if wanted is None else wanted)
        else:
            return True
        return False

    def _leave_start(self) -> bool:
        if self._instant_s * 1000 != self._start_ms:
            return True
        self._elapse(1)
        return False

    # How the clock moves

    def _leave_circle(self, before_s: int) -> None:
        """Go on from where the walk was, up to the change as if there was none, and then from the change.

        The clocks go back to a time that is no full hour, and the start of that hour is before the change. Node is led
        back there, and goes round until it gives up or comes upon a time that is past.
        """
        offset_s = self._zone.offset_at(before_s)
        wanted_s = self._fields.first_from(max(before_s, self._start_ms // 1000 + 1) + offset_s) - offset_s
        change_s = self._zone.first_change(before_s, before_s + _HOUR_S)
        self._go_to(min(wanted_s, change_s))
        self._repeated_hour = self._hour if wanted_s > change_s and len(self._fields.hours) < 24 else None

    def _go_to_hour(self, wanted: int) -> None:
        if not self._changes_today():
            self._show(self._wall_s + (wanted - self._hour) * _HOUR_S)
            return
        for _ in range(wanted - self._hour):
            self._elapse(_HOUR_S)
            if self._hour >= wanted:
                return

    def _go_to_next_month(self, day: date) -> None:
        """The same time a month later, and then the first day of that month: each may meet a change."""
        year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
        first = date(year, month, 1).toordinal() - EPOCH_DAY
        longest = date(year + month // 12, month % 12 + 1, 1).toordinal() - EPOCH_DAY - first
        self._show((first + min(day.day, longest) - 1) * DAY_S + self._wall_s % DAY_S)
        there = date.fromordinal(EPOCH_DAY + self._day)
        self._show((self._day - there.day + 1) * DAY_S)

    def _next_day_s(self) -> int:
        """When the next day begins: a day later, and then back to midnight."""
        later_s = self._zone.instant_of(self._wall_s + DAY_S, self._offset_s)
        offset_s = self._zone.offset_at(later_s)
        wall_s = later_s + offset_s
        return self._zone.instant_of(wall_s - wall_s % DAY_S, offset_s)

    def _changes_today(self) -> bool:
        if self._changing_day[0] != self._day:
            start_s = self._zone.instant_of(self._day * DAY_S, self._offset_s)
            end_s = self._next_day_s() - 1
            self._changing_day = self._day, self._zone.offset_at(start_s) != self._zone.offset_at(end_s)
        return self._changing_day[1]

    def _elapse(self, seconds: int) -> None:
        """Let a second pass, or go on to the next full minute or hour; notice hours that are missing or come twice."""
        hour, offset_s = self._hour, self._offset_s
        self._go_to(self._instant_s + seconds)
        self._show(self._wall_s - self._wall_s % seconds)
        if len(self._fields.hours) == 24:
            return
        passed = (self._hour - hour) % 24
        if passed >= 2 and self._offset_s > offset_s:
            self._skipped_hours = tuple((hour + further) % 24 for further in range(1, passed))
            self._hour_after_them = self._hour
        elif passed == 0 and self._wall_s % _HOUR_S == 0:
            self._repeated_hour = self._hour

    def _show_minute(self, minute: int) -> None:
        self._show(self._wall_s - self._wall_s % _HOUR_S + minute * _MINUTE_S + self._wall_s % _MINUTE_S)
        self._show_second(self._fields.seconds[0])

    def _show_second(self, second: int) -> None:
        self._show(self._wall_s - self._wall_s % _MINUTE_S + second)

    def _show(self, wall_s: int) -> None:
        if wall_s != self._wall_s:
            self._go_to(self._zone.instant_of(wall_s, self._offset_s))

    def _go_to(self, instant_s: int) -> None:
        self._instant_s = instant_s
        self._offset_s = self._zone.offset_at(instant_s)
        self._wall_s = instant_s + self._offset_s
        self._day, self._hour = self._wall_s // DAY_S, self._wall_s // _HOUR_S % 24
