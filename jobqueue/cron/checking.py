"""Checking: whether the fields of a cron job can be saved, and what is wrong with those that cannot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypedDict, cast, get_args, get_type_hints

from pydantic import JsonValue

from jobqueue import encoding
from jobqueue.clock import now_ms
from jobqueue.cron.patterns import next_run
from jobqueue.cron.table import MAX_DESCRIPTION, MAX_PATTERN, MAX_TEXT, CronJob, Misfire, Overlap
from jobqueue.enqueue import Enqueuer
from jobqueue.errors import InvalidCronJob, InvalidOption, InvalidPayload, PayloadTooLarge, UnknownHandler
from jobqueue.job import MAX_ATTEMPTS, MAX_DELAY_MS, MAX_PRIORITY, is_plain_text
from jobqueue.options import NOTHING_ASKED


class CronFields(TypedDict, total=False):
    """What may be said of a cron job.

    Shape: `job_id` (the scheduler's id, without ':') is the name where it is absent, `payload` what the handler takes,
    as JSON. Units: `backoff_ms` milliseconds.
    """

    job_id: str
    name: str
    description: str | None
    pattern: str
    timezone: str
    handler: str
    payload: JsonValue
    priority: int
    enabled: bool
    max_attempts: int
    backoff_ms: int
    overlap: Overlap
    misfire: Misfire


FIELDS: Final = tuple(get_type_hints(CronFields))
DEFAULTS: Final[CronFields] = {
    "description": None,
    "timezone": "UTC",
    "priority": 0,
    "enabled": True,
    "max_attempts": 3,
    "backoff_ms": 5_000,
    "overlap": "skip",
    "misfire": "run_once",
}
_REQUIRED: Final = ("name", "pattern", "handler")
_UNNAMED: Final = "unnamed"
"""What stands for the `job_id` where it would be the name, and that is refused."""
_SCHEDULE: Final = frozenset({"pattern", "timezone"})
_WORK: Final = frozenset({"handler", "payload"})


def fields_of(row: CronJob) -> CronFields:
    return cast(CronFields, {name: getattr(row, name) for name in FIELDS})


def complete(given: CronFields, enqueuer: Enqueuer) -> CronFields:
    """The fields of a new cron job, those that were left out too. Raises: InvalidCronJob where one is missing."""
    missing = {name: "is missing" for name in _REQUIRED if name not in given}
    if missing:
        raise InvalidCronJob(missing)
    name, handler_name = cast(object, given.get("name")), cast(object, given.get("handler"))
    handler = enqueuer.registry.find(handler_name) if isinstance(handler_name, str) else None
    payload: JsonValue = {} if handler is not None and handler.payload is not None else None
    job_id = name.replace(":", "-") if isinstance(name, str) and _LOOKS["name"](name) is None else _UNNAMED
    return {**DEFAULTS, "job_id": job_id, "payload": payload, **given}


def check(fields: CronFields, enqueuer: Enqueuer, changed: Collection[str] = FIELDS) -> None:
    """Whether a cron job with these fields can be saved and run; of `changed` only those, and what depends on them.

    So a cron job that has gone bad (its handler is gone, SQL has spoiled its pattern) can still be disabled.
    The values may be of any type: they come from JSON. Raises: InvalidCronJob, naming all fields that are wrong.
    """
    values = cast(Mapping[str, Any], fields)
    wrong = {
        name: f"is not a field of a cron job; known are {', '.join(FIELDS)}" for name in values.keys() - set(FIELDS)
    }
    for name in changed:
        problem = _LOOKS[name](values[name]) if name in _LOOKS else None
        if problem is not None:
            wrong[name] = f"{problem}, not {values[name]!r:.100}"
    if _SCHEDULE.intersection(changed) and not _SCHEDULE & wrong.keys():
        wrong |= _wrong_schedule(values["pattern"], values["timezone"])
    if _WORK.intersection(changed) and "handler" not in wrong:
        wrong |= _wrong_payload(values["handler"], values["payload"], enqueuer)
    if wrong:
        raise InvalidCronJob(wrong)


def _wrong_schedule(pattern: str, timezone: str) -> dict[str, str]:
    try:
        next_run(pattern, timezone, now_ms())
    except InvalidOption as error:
        return {error.field: error.problem}
    return {}


def _wrong_payload(handler: str, payload: Any, enqueuer: Enqueuer) -> dict[str, str]:
    """Checked as if it were enqueued, key functions included. What is stored is the payload as it was given: defaults
    that change with the time are filled in by each run.
    """
    try:
        encoding.encode_json(payload)
        enqueuer.encode(handler, payload, NOTHING_ASKED)
    except InvalidPayload as error:
        return error.field_errors
    except (UnknownHandler, PayloadTooLarge) as error:
        return {error.field: error.problem}
    except ValueError as error:
        return {"payload": str(error)}
    return {}


_Look = Callable[[Any], str | None]


def _text(most: int, without: str = "") -> _Look:
    beside = f" or {without!r}" if without else ""

    def look(value: Any) -> str | None:
        if is_plain_text(value, most) and value.strip() and not (without and without in value):
            return None
        return f"must be a text of 1 to {most} characters without control characters{beside}"

    return look


def _number(least: int, most: int) -> _Look:
    def look(value: Any) -> str | None:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return None
        return f"must be a whole number from {least} to {most}"

    return look


def _one_of(*words: str) -> _Look:
    def look(value: Any) -> str | None:
        return None if isinstance(value, str) and value in words else f"must be one of {', '.join(words)}"

    return look


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _description(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= MAX_DESCRIPTION and _is_storable(value)):
        return None
    return f"must be a text of at most {MAX_DESCRIPTION} characters, or nothing"


def _is_storable(text: str) -> bool:
    """PostgreSQL keeps no NUL, and no database half a pair of surrogates."""
    return "\x00" not in text and text.encode(errors="replace") == text.encode(errors="surrogatepass")


_LOOKS: Final[Mapping[str, _Look]] = {
    "job_id": _text(MAX_TEXT, without=":"),
    "name": _text(MAX_TEXT),
    "description": _description,
    "pattern": _text(MAX_PATTERN),
    "timezone": _text(MAX_TEXT),
    "handler": _text(MAX_TEXT),
    "priority": _number(0, MAX_PRIORITY),
    "enabled": _boolean,
    "max_attempts": _number(1, MAX_ATTEMPTS),
    "backoff_ms": _number(0, MAX_DELAY_MS),
    "overlap": _one_of(*get_args(Overlap)),
    "misfire": _one_of(*get_args(Misfire)),
}
