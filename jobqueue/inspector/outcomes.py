"""Outcomes: a bulk act as its audit entry tells of it: which jobs were asked for, and what came of it; and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final, cast

from pydantic import JsonValue

from jobqueue.encoding import as_array, as_object
from jobqueue.inspector.audit import AuditEntry
from jobqueue.inspector.auditing import is_whole
from jobqueue.inspector.bulk_acts import Bulk
from jobqueue.inspector.views import JobFilter
from jobqueue.job import Related

_FIELDS: Final = ("name", "created_by", "order_key", "from_ms", "to_ms", "text", "cancelled")


def shown_filter(wanted: JobFilter) -> dict[str, JsonValue]:
    """The fields of a filter that are set."""
    fields = asdict(replace(wanted, related=None))
    related = {} if wanted.related is None else {"related": f"{wanted.related.type}:{wanted.related.id}"}
    return {name: value for name, value in fields.items() if value is not None} | related


def filter_of(details: Mapping[str, JsonValue]) -> JobFilter | None:
    """The filter that an entry tells of; None where it tells less than was asked, being cut short or masked."""
    told = {name: details[name] for name in (*_FIELDS, "related") if name in details}
    if not all(is_whole(value) for value in told.values() if isinstance(value, str)):
        return None
    kind, _, identity = str(told.pop("related", "")).partition(":")
    return JobFilter(**cast(Mapping[str, Any], told), related=Related(kind, identity) if kind else None)


def came_of(bulk: Bulk) -> dict[str, JsonValue]:
    """What an entry tells of a bulk act, beside its count."""
    told: dict[str, JsonValue] = {"refused": bulk.refused, "complete": bulk.complete}
    if bulk.problems:
        told["problems"] = [{"job": job_id, "why": why} for job_id, why in bulk.problems.items()]
    return told


def outcome_of(entry: AuditEntry) -> Bulk | None:
    """What came of a bulk act, with as many of its problems as its entry has room for; None of any other entry."""
    refused, complete = entry.details.get("refused"), entry.details.get("complete")
    if entry.count is None or not isinstance(refused, int) or not isinstance(complete, bool):
        return None
    told = [as_object(one) for one in as_array(entry.details.get("problems"))]
    return Bulk(entry.count, refused, {str(one.get("job")): str(one.get("why")) for one in told}, complete, entry.id)
