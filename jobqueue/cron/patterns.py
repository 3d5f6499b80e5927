"""Patterns: when a pattern fires next in a zone. Always what Node's BullMQ would say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final

from jobqueue.clock import now_ms
from jobqueue.cron.fields import DAY_S, EPOCH_DAY, Fields, read
from jobqueue.cron.walking import Walk
from jobqueue.cron.zones import Zone, zone_named
from jobqueue.errors import InvalidOption

_LATEST_MS: Final = (date(9000, 1, 1).toordinal() - EPOCH_DAY) * DAY_S * 1000


def next_run(pattern: str, timezone: str, after_ms: int) -> int:
    """The first time after `after_ms` that the pattern takes on the wall clocks of the zone.

    Shape: five fields, or six with the seconds first, or `@daily` and its like. Units: epoch milliseconds.
    Raises: InvalidOption("pattern" | "timezone" | "after_ms"), also for a pattern that never fires.
    Source: BullMQ's defaultRepeatStrategy, that is cron-parser; docs/cron-patterns.md.
    """
    return next_runs(pattern, timezone, after_ms, 1)[0]


def next_runs(pattern: str, timezone: str, after_ms: int, count: int) -> tuple[int, ...]:
    """The next `count` times, each as `next_run` gives it after the one before."""
    fields, zone = read(_text("pattern", pattern)), zone_named(_text("timezone", timezone))
    if not 0 <= _whole("after_ms", after_ms) <= _LATEST_MS:
        raise InvalidOption("after_ms", f"must be from 0 to {_LATEST_MS}, the start of the year 9000, not {after_ms}")
    times: list[int] = []
    for _ in range(_whole("count", count)):
        after_ms = _next_ms(fields, zone, after_ms)
        times.append(after_ms)
    return tuple(times)


def _next_ms(fields: Fields, zone: Zone, after_ms: int) -> int:
    """Plain reckoning where the clocks are steady on the day of the start and of the answer, else the walk."""
    wall_s = after_ms // 1000 + zone.offset_at(after_ms // 1000)
    if zone.steady_offset(wall_s // DAY_S) is not None:
        next_wall_s = fields.first_from(wall_s + 1)
        offset_s = zone.steady_offset(next_wall_s // DAY_S)
        if offset_s is not None:
            return (next_wall_s - offset_s) * 1000
    instant_s = Walk(fields, zone, after_ms).arrive()
    if instant_s is None:
        raise InvalidOption("pattern", f"never fires in zone {zone.name!r}")
    return instant_s * 1000


def repeat_strategy(millis: int, opts: Mapping[str, object]) -> int | None:
    """The next time of a job scheduler with a pattern; None where it has no pattern, or none before its end date.

    Shape: `opts` are BullMQ's repeat options: pattern, tz (without one it is UTC), startDate, endDate, immediately. It
    fits `repeat_strategy=` of bullmq's JobScheduler. Raises: InvalidOption. Source: defaultRepeatStrategy of Node.
    """
    pattern, timezone = opts.get("pattern"), opts.get("tz")
    if not pattern:
        return None
    start_ms, end_ms = epoch_ms("startDate", opts.get("startDate")), epoch_ms("endDate", opts.get("endDate"))
    after_ms = millis if start_ms is None else max(millis, start_ms)
    next_ms = next_run(_filled(_text("pattern", pattern)), _text("timezone", timezone or "UTC"), after_ms)
    if opts.get("immediately"):
        return now_ms()
    return None if end_ms is not None and next_ms > end_ms else next_ms


def _filled(pattern: str) -> str:
    """Fewer than five fields are the last ones to Node, which a cron job of ours may not rely on."""
    missing = 5 - len(pattern.split())
    return pattern if missing <= 0 or "@" in pattern else " ".join(["*"] * missing + [pattern])


def epoch_ms(field: str, value: object) -> int | None:
    """A date as BullMQ has it: epoch milliseconds, or ISO 8601, in UTC where it names no zone. None where it is absent.

    Raises: InvalidOption.
    """
    if value is None or value == "" or value == 0:
        return None
    if isinstance(value, int | float) and math.isfinite(value):
        return int(value)
    try:
        moment = datetime.fromisoformat(_text(field, value))
    except (InvalidOption, ValueError):
        problem = f"must be epoch milliseconds or a date like 2026-03-01T09:00:00Z, not {value!r:.100}"
        raise InvalidOption(field, problem) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidOption(field, f"must be a text, not {value!r:.100}")
    return value


def _whole(field: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidOption(field, f"must be a whole number, not {value!r:.100}")
    return value
