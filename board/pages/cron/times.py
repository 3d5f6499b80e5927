"""Cron times: when a pattern fires next by the clocks of its zone, or what is wrong with it. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from jobqueue.cron import CronFields, next_runs
from jobqueue.cron.checking import check
from jobqueue.cron.zones import zone_named
from jobqueue.enqueue import Enqueuer
from jobqueue.errors import InvalidCronJob, InvalidOption

SHOWN_TIMES: Final = 5
_WITH_SECONDS: Final = 6


@dataclass(frozen=True, slots=True)
class Slot:
    """One time at which a pattern fires: what the clocks show, and the short name of the zone then."""

    at_ms: int
    zoned: str
    zone: str
    utc: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The next times of a pattern, or what is wrong with `pattern` and `timezone`.

    `tells_utc` is False where the zone's clocks are those of UTC, so that showing both would say one thing twice.
    """

    timezone: str
    slots: tuple[Slot, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def tells_utc(self) -> bool:
        return any(slot.zoned != slot.utc for slot in self.slots)


def preview_of(pattern: str, timezone: str, enqueuer: Enqueuer, now_ms: int) -> Preview:
    """The next SHOWN_TIMES times; refused is what would be when it is saved, in the same words."""
    fields: CronFields = {"pattern": pattern, "timezone": timezone}
    try:
        check(fields, enqueuer, ("pattern", "timezone"))
    except InvalidCronJob as error:
        return Preview(timezone, faults=error.field_errors)
    shape = "%Y-%m-%d %H:%M:%S" if len(pattern.split()) == _WITH_SECONDS else "%Y-%m-%d %H:%M"
    zone = zone_named(timezone).rules
    times = next_runs(pattern, timezone, now_ms, SHOWN_TIMES)
    return Preview(timezone, tuple(_slot(at_ms, zone, shape) for at_ms in times))


def wall_clock(timezone: str, at_ms: int) -> str:
    """`2026-11-01 01:30 EST`, with the seconds where there are some; in UTC for a zone that there is not."""
    moment = datetime.fromtimestamp(at_ms / 1000, _zone(timezone))
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z" if moment.second else "%Y-%m-%d %H:%M %Z")


def moment_ms(moment: datetime | None) -> int | None:
    """Epoch milliseconds."""
    return None if moment is None else int(moment.timestamp() * 1000)


def _slot(at_ms: int, zone: tzinfo, shape: str) -> Slot:
    moment = datetime.fromtimestamp(at_ms / 1000, zone)
    return Slot(at_ms, moment.strftime(shape), moment.strftime("%Z"), moment.astimezone(UTC).strftime(shape))


def _zone(timezone: str) -> tzinfo:
    """A row that SQL has spoiled must be shown, or nobody could mend it."""
    try:
        return zone_named(timezone).rules
    except InvalidOption:
        return UTC
