"""Options: what a program asks for one job, in the words of the admin routes, as our own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from board.api.bodies import Options, RelatedObject
from board.api.moments import read_moment
from board.errors import Refused, invalid
from jobqueue.errors import InvalidOption
from jobqueue.job import MAX_NAME_LENGTH, EnqueueOptions, is_plain_text

_HALVES: Final = tuple(RelatedObject.model_fields)
_ALIASES: Final = {name: field.alias or name for name, field in Options.model_fields.items()}


def read_options(options: Options | None) -> EnqueueOptions:
    """The options in our words; their ranges are checked when the job is enqueued. Raises: Refused with 400."""
    given = options.given() if options is not None else {}
    read = {name: value for name, value in given.items() if value is not None}
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
    return invalid({f"options.{_ALIASES.get(error.field, error.field)}": error.problem})


def _moment(value: object) -> datetime:
    try:
        return read_moment(value)
    except ValueError as error:
        raise invalid({"options.runAt": str(error)}) from error


def _related(value: object) -> tuple[str, str]:
    if not isinstance(value, Mapping):
        raise invalid({"options.related": f"must be an object with type and id, not {value!r:.100}"})
    fields = cast(Mapping[str, Any], value)
    faults = {f"options.related.{name}": "is not known; known are type, id" for name in fields if name not in _HALVES}
    for name in _HALVES:
        if not is_plain_text(fields.get(name), MAX_NAME_LENGTH):
            wanted = f"must be a text of 1 to {MAX_NAME_LENGTH} characters without control characters"
            faults[f"options.related.{name}"] = f"{wanted}, not {fields.get(name)!r:.100}"
    if faults:
        raise invalid(faults)
    return fields["type"], fields["id"]
