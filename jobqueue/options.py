"""Options: what a caller asked for one job, checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_type_hints

from jobqueue.errors import InvalidOption
from jobqueue.job import (
    MAX_ATTEMPTS,
    MAX_DELAY_MS,
    MAX_ID_LENGTH,
    MAX_NAME_LENGTH,
    MAX_PRIORITY,
    QUEUE_NAME,
    Backoff,
    DatabaseSession,
    EnqueueOptions,
    Related,
    fixed,
    is_plain_text,
)

_KNOWN = frozenset(get_type_hints(EnqueueOptions))
_INTEGER = re.compile(r"-?\d+")
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
    order_key: str | None = None
    related: Related | None = None
    created_by: str | None = None
    expires_in_ms: int | None = None
    bypass_outbox: bool = False
    session: DatabaseSession | None = None


NOTHING_ASKED = CheckedOptions()


def check_options(options: EnqueueOptions) -> CheckedOptions:
    """Raises: InvalidOption, naming the option, what it was and what would be right."""
    if not options:
        return NOTHING_ASKED
    unknown = sorted(options.keys() - _KNOWN)
    if unknown:
        raise InvalidOption(unknown[0], f"is not an option; known are {', '.join(sorted(_KNOWN))}")
    given: Mapping[str, Any] = {name: value for name, value in options.items() if value is not None}
    if "delay_ms" in given and "run_at" in given:
        raise InvalidOption("run_at", "give delay_ms or run_at, not both")
    if given.get("bypass_outbox") and "session" in given:
        raise InvalidOption("bypass_outbox", "with session the job goes by the outbox; leave one of them out")
    return CheckedOptions(
        delay_ms=_number(given, "delay_ms", 0, MAX_DELAY_MS),
        run_at_ms=_run_at_ms(given.get("run_at")),
        priority=_number(given, "priority", 0, MAX_PRIORITY),
        attempts=_number(given, "attempts", 1, MAX_ATTEMPTS),
        backoff=_backoff(given),
        timeout_ms=_number(given, "timeout_ms", 1, MAX_DELAY_MS),
        job_id=_job_id(given),
        queue=_queue(given.get("queue")),
        order_key=_text(given, "order_key", MAX_NAME_LENGTH),
        related=_related(given.get("related")),
        created_by=_text(given, "created_by", MAX_ID_LENGTH),
        expires_in_ms=_number(given, "expires_in_ms", 1, MAX_DELAY_MS),
        bypass_outbox=_flag(given, "bypass_outbox"),
        session=given.get("session"),
    )


def _number(given: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidOption(name, f"must be a whole number from {least} to {most}, not {value!r:.100}")
    return value


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise InvalidOption(name, f"must be True or False, not {value!r:.100}")
    return value


def _checked_text(name: str, value: object, most: int) -> str:
    if not is_plain_text(value, most):
        raise InvalidOption(
            name, f"must be a text of 1 to {most} characters without control characters, not {value!r:.100}"
        )
    return str.__str__(value)  # of an Enum's member what JSON has for it, not its name


def _text(given: Mapping[str, Any], name: str, most: int) -> str | None:
    value = given.get(name)
    return None if value is None else _checked_text(name, value, most)


def _related(value: Any) -> Related | None:
    if value is None:
        return None
    pair = cast(tuple[object, ...], value) if isinstance(value, tuple) else ()
    if len(pair) != 2:
        raise InvalidOption("related", f"must be a pair of texts (type, id), not {value!r:.100}")
    kind, identity = pair
    return Related(_checked_text("related", kind, MAX_NAME_LENGTH), _checked_text("related", identity, MAX_NAME_LENGTH))


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


def _job_id(given: Mapping[str, Any]) -> str | None:
    """Source: Node Job.validateOptions; and ids that are keys of the queue itself, which Node lets through."""
    value = _text(given, "job_id", MAX_ID_LENGTH)
    if value is None:
        return None
    if not value.strip():
        raise InvalidOption("job_id", f"must not be blank, as {value!r} is")
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
    if not is_plain_text(value, MAX_NAME_LENGTH) or not re.fullmatch(QUEUE_NAME, value):
        raise InvalidOption("queue", f"must be 1 to 200 characters without ':' or braces, not {value!r:.100}")
    return value
