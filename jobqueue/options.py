"""Options: what a caller asked for one job, checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_type_hints

from jobqueue.errors import InvalidOption
from jobqueue.job import MAX_ATTEMPTS, MAX_DELAY_MS, MAX_PRIORITY, QUEUE_NAME, Backoff, EnqueueOptions, fixed

_KNOWN = frozenset(get_type_hints(EnqueueOptions))
_INTEGER = re.compile(r"-?\d+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]|[\ud800-\udfff]")
_RESERVED_IDS = frozenset(
    {
        *("wait", "active", "paused", "delayed", "prioritized", "completed", "failed", "waiting-children"),
        *("id", "pc", "meta", "events", "marker", "stalled", "stalled-check", "limiter", "repeat", "metrics", "job"),
        *("de", "dn"),
    }
)


@dataclass(frozen=True, slots=True)
class CheckedOptions:
    """EnqueueOptions that are in range; None is what the caller left to the handler's policy."""

    delay_ms: int | None = None
    run_at_ms: int | None = None
    priority: int | None = None
    attempts: int | None = None
    backoff: Backoff | None = None
    timeout_ms: int | None = None
    job_id: str | None = None
    queue: str | None = None


_NOTHING_ASKED = CheckedOptions()


def check_options(options: EnqueueOptions) -> CheckedOptions:
    """Raises: InvalidOption, naming the option, what it was and what would be right."""
    if not options:
        return _NOTHING_ASKED
    unknown = sorted(options.keys() - _KNOWN)
    if unknown:
        raise InvalidOption(unknown[0], f"is not an option; known are {', '.join(sorted(_KNOWN))}")
    given: Mapping[str, Any] = {name: value for name, value in options.items() if value is not None}
    if "delay_ms" in given and "run_at" in given:
        raise InvalidOption("run_at", "give delay_ms or run_at, not both")
    return CheckedOptions(
        delay_ms=_number(given, "delay_ms", 0, MAX_DELAY_MS),
        run_at_ms=_run_at_ms(given.get("run_at")),
        priority=_number(given, "priority", 0, MAX_PRIORITY),
        attempts=_number(given, "attempts", 1, MAX_ATTEMPTS),
        backoff=_backoff(given),
        timeout_ms=_number(given, "timeout_ms", 1, MAX_DELAY_MS),
        job_id=_job_id(given.get("job_id")),
        queue=_queue(given.get("queue")),
    )


def _number(given: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidOption(name, f"must be a whole number from {least} to {most}, not {value!r:.100}")
    return value


def _backoff(given: Mapping[str, Any]) -> Backoff | None:
    value = given.get("backoff")
    if isinstance(value, Backoff):
        _number({"backoff": value.delay_ms}, "backoff", 0, MAX_DELAY_MS)
        return value
    delay_ms = _number(given, "backoff", 0, MAX_DELAY_MS)
    return None if delay_ms is None else fixed(delay_ms)


def _run_at_ms(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidOption("run_at", f"must be a datetime with a time zone, not {value!r:.100}")
    return int(value.timestamp() * 1000)


def _job_id(value: Any) -> str | None:
    """Source: Node Job.validateOptions; and ids that are keys of the queue itself, which Node lets through."""
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > 255 or _CONTROL.search(value):
        raise InvalidOption(
            "job_id", f"must be a text of 1 to 255 characters without control characters, not {value!r:.100}"
        )
    if ":" in value:
        raise InvalidOption("job_id", f"must not contain ':', as {value!r} does")
    if _INTEGER.fullmatch(value):
        raise InvalidOption("job_id", f"must not be an integer, as {value!r} is: those are BullMQ's own ids")
    if value in _RESERVED_IDS:
        raise InvalidOption("job_id", f"{value!r} is the name of one of the queue's own keys")
    return value


def _queue(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(QUEUE_NAME, value) or _CONTROL.search(value):
        raise InvalidOption("queue", f"must be 1 to 200 characters without ':' or braces, not {value!r:.100}")
    return value
