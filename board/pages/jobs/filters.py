"""Filters: which jobs of a list a person asks for, by a query or by the fields of a form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.datastructures import FormData, QueryParams

from jobqueue.inspector import JobFilter
from jobqueue.job import Related

FIELDS: Final = ("name", "related", "createdBy", "orderKey", "from", "to", "q", "cancelled")
MAX_TEXT: Final = 1_000

_MINUTE_MS: Final = 60_000
_TO_THE_MINUTE = re.compile(r"[0-9-]{10}[T ][0-9]{2}:[0-9]{2}")
_A_TIME: Final = "must be a time in UTC, like 2030-01-31T12:00"


@dataclass(frozen=True, slots=True)
class Filter:
    """What was asked. `fields` are those that were set, as a query has them; `faults` says what is wrong with which.

    Invariant: with faults `wanted` is not what was asked, so nothing may be listed or done by it.
    """

    fields: Mapping[str, str]
    wanted: JobFilter
    faults: Mapping[str, str]


def read_filter(given: QueryParams | FormData, state: str) -> Filter:
    """`cancelled` tells failed jobs apart, and is passed over for those in other states."""
    fields = {name: text for name in FIELDS if (text := _text(given, name))}
    if state != "failed" or fields.get("cancelled") not in ("true", "false"):
        fields.pop("cancelled", None)
    faults: dict[str, str] = {
        name: f"is longer than {MAX_TEXT} characters" for name, text in fields.items() if len(text) > MAX_TEXT
    }
    wanted = JobFilter(
        name=fields.get("name"),
        related=_related(fields, faults),
        created_by=fields.get("createdBy"),
        order_key=fields.get("orderKey"),
        from_ms=_moment_ms(fields, "from", faults),
        to_ms=_end_ms(fields, faults),
        text=fields.get("q"),
        cancelled=fields["cancelled"] == "true" if "cancelled" in fields else None,
    )
    return Filter({name: text[:MAX_TEXT] for name, text in fields.items()}, wanted, faults)


def _text(given: QueryParams | FormData, name: str) -> str:
    value = given.get(name)
    return value.strip() if isinstance(value, str) else ""


def _related(fields: Mapping[str, str], faults: dict[str, str]) -> Related | None:
    if "related" not in fields or "related" in faults:
        return None
    kind, colon, identity = fields["related"].partition(":")
    if not (kind and colon and identity):
        faults["related"] = "must be type:id, like order:7"
        return None
    return Related(kind, identity)


def _moment_ms(fields: Mapping[str, str], name: str, faults: dict[str, str]) -> int | None:
    if name not in fields or name in faults:
        return None
    try:
        moment = datetime.fromisoformat(fields[name])
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        faults[name] = _A_TIME
        return None


def _end_ms(fields: Mapping[str, str], faults: dict[str, str]) -> int | None:
    """A time to the minute means all of that minute."""
    end_ms = _moment_ms(fields, "to", faults)
    if end_ms is None or not _TO_THE_MINUTE.fullmatch(fields["to"]):
        return end_ms
    return end_ms + _MINUTE_MS - 1
