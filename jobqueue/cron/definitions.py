"""Definitions: the cron jobs that a service writes down in its code, before they are rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict, TypeVar, Unpack, cast, get_type_hints, overload

from pydantic import JsonValue

from jobqueue import encoding
from jobqueue.cron.checking import CronFields, check, complete
from jobqueue.cron.table import Misfire, Overlap
from jobqueue.enqueue import Enqueuer
from jobqueue.errors import InvalidCronJob, InvalidPayload
from jobqueue.handler import Handler

P = TypeVar("P")


class CronOptions(TypedDict, total=False):
    """What else code may say of a cron job. Units: `backoff_ms` milliseconds.

    Whether it is enabled is not said here: that is for the people who look after it.
    """

    description: str
    timezone: str
    priority: int
    max_attempts: int
    backoff_ms: int
    overlap: Overlap
    misfire: Misfire


_OPTIONS: Final = tuple(get_type_hints(CronOptions))


@dataclass(frozen=True, slots=True)
class CronJobDefinition:
    """One cron job of `register_cron_jobs`. Made by `cron_job`."""

    name: str
    pattern: str
    handler: Handler[Any] | str
    payload: Any
    options: CronOptions


@overload
def cron_job(
    name: str, pattern: str, handler: Handler[P], payload: P | None = None, **options: Unpack[CronOptions]
) -> CronJobDefinition: ...
@overload
def cron_job(
    name: str, pattern: str, handler: str, payload: JsonValue = None, **options: Unpack[CronOptions]
) -> CronJobDefinition: ...
def cron_job(
    name: str, pattern: str, handler: Handler[Any] | str, payload: Any = None, **options: Unpack[CronOptions]
) -> CronJobDefinition:
    """A cron job for `register_cron_jobs`; `name` is its scheduler's id, too.

    What it says is checked when it is registered. Raises: InvalidCronJob for an option that there is not.
    """
    unknown = {
        option: f"is not an option; there are {', '.join(_OPTIONS)}" for option in options if option not in _OPTIONS
    }
    if unknown:
        raise InvalidCronJob(unknown)
    return CronJobDefinition(name, pattern, handler, payload, options)


def check_definitions(definitions: Iterable[CronJobDefinition], enqueuer: Enqueuer) -> Mapping[str, CronFields]:
    """The fields of the rows by their name, in the order of the definitions.

    Raises: InvalidCronJob, with the faults of all of them: "[1] nightly.pattern" is the pattern of the second one.
    """
    wrong: dict[str, str] = {}
    checked: dict[str, CronFields] = {}
    for position, definition in enumerate(definitions):
        if not isinstance(cast(object, definition), CronJobDefinition):
            wrong[f"[{position}]"] = f"must be made by cron_job(…), not {definition!r:.100}"
            continue
        try:
            fields = fields_of_definition(definition, enqueuer)
        except InvalidCronJob as error:
            # The name is the `job_id`, too, of which its author has said nothing.
            named = {"name" if field == "job_id" else field: why for field, why in error.field_errors.items()}
            wrong |= {f"{place_of(position, definition.name)}.{field}": why for field, why in named.items()}
            continue
        if definition.name in checked:
            wrong[f"{place_of(position, definition.name)}.name"] = "is in the list already: a name is one cron job's"
        checked[definition.name] = fields
    if wrong:
        raise InvalidCronJob(wrong)
    return checked


def place_of(position: int, name: object) -> str:
    """How an error names one of many."""
    return f"[{position}] {name!s:.100}"


def fields_of_definition(definition: CronJobDefinition, enqueuer: Enqueuer) -> CronFields:
    """All fields of the row that the definition stands for. Raises: InvalidCronJob."""
    name, handler = definition.name, name_of(definition.handler)
    said = {**definition.options, "job_id": name, "name": name, "pattern": definition.pattern, "handler": handler}
    given = cast(CronFields, said)
    if definition.payload is not None:
        given["payload"] = payload_as_json(definition.handler, definition.payload, enqueuer)
    fields = complete(given, enqueuer)
    check(fields, enqueuer)
    return fields


def name_of(handler: Handler[Any] | str) -> str:
    return handler.name if isinstance(handler, Handler) else handler


def payload_as_json(handler: Handler[Any] | str, payload: Any, enqueuer: Enqueuer) -> JsonValue:
    """The payload as the row keeps it: JSON as it was given, anything else as its handler's type writes it.

    Raises: InvalidCronJob where it cannot be written.
    """
    try:
        # A copy, as it will be read again: tuples are lists then, and so the row compares with itself.
        return cast(JsonValue, json.loads(json.dumps(payload, allow_nan=False)))
    except TypeError:
        return _encoded(handler, payload, enqueuer)
    except (ValueError, RecursionError) as error:
        raise InvalidCronJob({"payload": f"cannot be stored as JSON: {error}"}) from error


def _encoded(handler: Handler[Any] | str, payload: Any, enqueuer: Enqueuer) -> JsonValue:
    """Raises: InvalidCronJob."""
    known = enqueuer.registry.find(name_of(handler))
    try:
        if known is None or known.payload is None:
            text = encoding.encode_json(payload)
        else:
            text = encoding.encode_payload(known.payload, known.validate(payload), has_secrets=known.has_secrets)
        return cast(JsonValue, encoding.decode_json(text))
    except InvalidPayload as error:
        raise InvalidCronJob(error.field_errors) from error
    except ValueError as error:
        raise InvalidCronJob({"payload": f"cannot be stored as JSON: {error}"}) from error
