"""Options: what a program asks for one job, in the words of the admin routes, as our own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, cast

from board.errors import Refused, invalid
from jobqueue.errors import InvalidOption
from jobqueue.job import MAX_NAME_LENGTH, EnqueueOptions, is_plain_text

LAST_MOMENT_MS: Final = 253_402_300_799_999  # the end of the year 9999, where datetime ends

_OPTIONS: Final = {
    "delayMs": "delay_ms",
    "runAt": "run_at",
    "priority": "priority",
    "attempts": "attempts",
    "backoffMs": "backoff",
    "timeoutMs": "timeout_ms",
    "jobId": "job_id",
    "orderKey": "order_key",
    "related": "related",
    "createdBy": "created_by",
    "expiresInMs": "expires_in_ms",
    "queue": "queue",
}
_OPTION_OF: Final = {ours: theirs for theirs, ours in _OPTIONS.items()}
_HALVES: Final = ("type", "id")


def read_options(given: Any) -> EnqueueOptions:
    """The options in our words; their ranges are checked when the job is enqueued.

    Raises: Refused with 400, naming each option that is not known: none is ever passed over.
    """
    if given is None:
        return EnqueueOptions()
    if not isinstance(given, dict):
        raise invalid({"options": "must be an object"})
    options = cast(dict[str, Any], given)
    unknown = {
        f"options.{name}": f"is not an option; known are {', '.join(_OPTIONS)}"
        for name in options
        if name not in _OPTIONS
    }
    if unknown:
        raise invalid(unknown)
    read = {_OPTIONS[name]: value for name, value in options.items() if value is not None}
    if "delay_ms" in read and "run_at" in read:
        raise invalid({"options.runAt": "give delayMs or runAt, not both"})
    if "run_at" in read:
        read["run_at"] = _moment(read["run_at"])
    if "related" in read:
        read["related"] = _related(read["related"])
    if not isinstance(read.get("queue", ""), str):
        raise invalid({"options.queue": "must be the name of a queue"})
    return cast(EnqueueOptions, read)


def refused_option(error: InvalidOption) -> Refused:
    """What was wrong with an option, under its name here."""
    return invalid({f"options.{_OPTION_OF.get(error.field, error.field)}": error.problem})


def _moment(value: Any) -> datetime:
    fault = "must be ISO 8601 with a time zone, like 2030-01-31T12:00:00Z, or epoch milliseconds"
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LAST_MOMENT_MS:
        return datetime.fromtimestamp(value / 1000, UTC)
    if not isinstance(value, str):
        raise invalid({"options.runAt": f"{fault}, not {value!r:.100}"})
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid({"options.runAt": f"{fault}, not {value!r:.100}"}) from error
    raise invalid({"options.runAt": f"{fault}; {value!r:.100} has no zone"})


def _related(value: Any) -> tuple[str, str]:
    if not isinstance(value, dict):
        raise invalid({"options.related": f"must be an object with type and id, not {value!r:.100}"})
    fields = cast(dict[str, Any], value)
    faults = {f"options.related.{name}": "is not known; known are type, id" for name in fields if name not in _HALVES}
    for name in _HALVES:
        if not is_plain_text(fields.get(name), MAX_NAME_LENGTH):
            wanted = f"must be a text of 1 to {MAX_NAME_LENGTH} characters without control characters"
            faults[f"options.related.{name}"] = f"{wanted}, not {fields.get(name)!r:.100}"
    if faults:
        raise invalid(faults)
    return fields["type"], fields["id"]
