"""Matching: what a test looks for among the enqueued jobs, and how each of them differs from it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, cast

from pydantic import JsonValue, PydanticUserError

from jobqueue import encoding, wire
from jobqueue.enqueue import Enqueuer
from jobqueue.handler import Handler
from jobqueue.options import NOTHING_ASKED
from jobqueue.testing.clock import ms_of
from jobqueue.testing.errors import KitError
from jobqueue.testing.records import EnqueuedJob


class Unsaid(Enum):
    """The type of UNSAID, which stands for what a test does not ask about."""

    UNSAID = "unsaid"


UNSAID: Final = Unsaid.UNSAID


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job as a test describes it. A payload is either the whole one, or a part of it (`is_part`)."""

    name: str
    payload: JsonValue | Unsaid = UNSAID
    is_part: bool = False
    queue: str | None = None
    delay_ms: int | None = None
    run_at: datetime | None = None

    def __str__(self) -> str:
        payload = "" if self.payload is UNSAID else encoding.encode_json(self.payload)
        said = (
            f"payload {payload}" if payload and not self.is_part else None,
            f"{payload} in its payload" if self.is_part else None,
            f"queue {self.queue!r}" if self.queue is not None else None,
            f"delay_ms {self.delay_ms}" if self.delay_ms is not None else None,
            f"run_at {self.run_at.isoformat()}" if self.run_at is not None else None,
        )
        asked = ", ".join(one for one in said if one is not None)
        return f"{self.name} with {asked}" if asked else self.name


def wanted_payload(handler: Handler[Any] | None, payload: object, enqueuer: Enqueuer) -> tuple[JsonValue, bool]:
    """A payload as a stored job would have it, and whether it is a part only: a mapping is.

    Raises: InvalidPayload for a whole one that the handler does not take; KitError for a part with a field that no
    payload of the handler has, since `assert_not_enqueued` would always agree.
    """
    if isinstance(payload, Mapping):
        part = cast(Mapping[str, object], payload)
        _check_fields(handler, part)
        return encoding.decode_json(encoding.encode_json(dict(part))), True
    if handler is None:
        return encoding.decode_json(encoding.encode_json(payload)), False
    return wire.decode_data(enqueuer.encode(handler, payload, NOTHING_ASKED).data).payload, False


def _check_fields(handler: Handler[Any] | None, part: Mapping[str, object]) -> None:
    known = _fields(handler)
    unknown = [name for name in part if name not in known] if known is not None else []
    if handler is not None and unknown:
        there = ", ".join(known or ()) or "none"
        raise KitError(f"no payload of {handler.name} has a field {unknown[0]!r}; in JSON its fields are: {there}")


def _fields(handler: Handler[Any] | None) -> tuple[str, ...] | None:
    """The names that the fields of a handler's payload have in JSON; None where it may have any."""
    if handler is None:
        return None
    if handler.payload is None:
        return ()
    try:
        schema = handler.payload.json_schema(by_alias=True, mode="serialization")
    except PydanticUserError:  # a type that has no schema
        return None
    if "properties" not in schema or schema.get("additionalProperties"):
        return None
    return tuple(schema["properties"])


def differences(wanted: Wanted, job: EnqueuedJob) -> tuple[str, ...]:
    """What of a job is not as wanted, a line each; empty where it matches."""
    return tuple(_differences(wanted, job))


def _differences(wanted: Wanted, job: EnqueuedJob) -> Iterator[str]:
    if wanted.name != job.name:
        yield f"handler: wanted {wanted.name}, it is of {job.name}"
    if not isinstance(wanted.payload, Unsaid):
        yield from _of_values("payload", wanted.payload, job.payload, is_part=wanted.is_part)
    if wanted.queue not in (None, job.queue):
        yield f"queue: wanted {wanted.queue!r}, it is in {job.queue!r}"
    if wanted.delay_ms not in (None, job.delay_ms):
        yield f"delay_ms: wanted {wanted.delay_ms}, it has {job.delay_ms}"
    if wanted.run_at is not None and ms_of(wanted.run_at) != ms_of(job.run_at):
        yield f"run_at: wanted {wanted.run_at.isoformat()}, it has {job.run_at.isoformat()}"


def _of_values(path: str, wanted: JsonValue, found: JsonValue, *, is_part: bool) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name, value in wanted.items():
            if name in found:
                yield from _of_values(f"{path}.{name}", value, found[name], is_part=is_part)
            else:
                yield f"{path}.{name}: wanted {encoding.encode_json(value)}, it has none"
        for name in () if is_part else found.keys() - wanted.keys():
            yield f"{path}.{name}: wanted none, it has {encoding.encode_json(found[name])}"
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for place, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _of_values(f"{path}.{place}", one, other, is_part=is_part)
    elif isinstance(wanted, bool) != isinstance(found, bool) or wanted != found:  # to Python 1 and true are equal
        yield f"{path}: wanted {encoding.encode_json(wanted)}, it has {encoding.encode_json(found)}"
