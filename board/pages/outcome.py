"""Outcome: what came of an act on many jobs: a notice where all went well, else a page that says what did not.

The page shows the act's audit entry, so a reload repeats nothing; and reasons, which come from jobs, travel through no
address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from board.notices import noted, sentence
from board.pages.jobs.listing import ALL
from board.pages.queues.queue import CLEANABLE, UNITS_MS
from board.paths import Links, segment
from board.site import Routes, Site
from jobqueue.control import NO_REASON
from jobqueue.inspector import ACTS, Act, AuditEntry, Bulk, JobFilter
from jobqueue.inspector.auditing import is_whole
from jobqueue.inspector.outcomes import filter_of, outcome_of

DONE_WORDS: Final[Mapping[Act, str]] = {
    "retry": "retried",
    "cancel": "cancelled",
    "promote": "promoted",
    "remove": "removed",
}
_OF_QUEUES: Final[Mapping[str, str]] = {
    "retry failed": "retried",
    "promote delayed": "promoted",
    "drain": "removed",
    "clean": "removed",
}
_WORDS: Final[Mapping[str, str]] = {
    **_OF_QUEUES,
    "outbox retry all": "rows-retried",
    "outbox remove all": "rows-removed",
    **{f"{act} {which}": DONE_WORDS[act] for act in ACTS for which in ("selected", "matching")},
}
"""Action -> the word of its notice."""

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GoOn:
    """What is sent, and where, to go on with the jobs for which there was no time. It asks first, as ever."""

    action: str
    fields: Fields


def routes(site: Site) -> Routes:
    async def show(request: Request) -> Response:
        entry = await site.inspector.audit_entry(segment(request, "entry"))
        bulk = None if entry is None else outcome_of(entry)
        if entry is None or bulk is None or entry.action not in _WORDS:
            raise HTTPException(404)
        links = site.links(request)
        context = {
            "queue": entry.queue,
            "bulk": bulk,
            "sentence": sentence(_WORDS[entry.action], bulk.done),
            "go_on": None if bulk.complete or site.read_only else _go_on(entry, links),
            "back": _back(entry, links) or links.queues(),
        }
        return site.page(request, "outcome.html", context)

    return (("GET", "/audit/{entry}", show),)


def outcome(site: Site, request: Request, bulk: Bulk, word: str, back: str) -> Response:
    """303: to `back` with a notice of that word; where jobs were refused or the time ran out to the page that says so.

    An act whose audit entry could not be finished has no such page.
    """
    if bulk.entry is None or (bulk.complete and not bulk.refused):
        return RedirectResponse(noted(back, word, bulk.done), 303)
    return RedirectResponse(site.links(request).audit_entry(bulk.entry), 303)


def queue_of_rows(entry: AuditEntry) -> str:
    """The queue of an act on its rows: where Redis does not know it, the act is in the log of another one."""
    named = entry.details.get("queue")
    return named if isinstance(named, str) else entry.queue


def _go_on(entry: AuditEntry, links: Links) -> GoOn | None:
    """None for picked jobs, of which the entry does not tell which, and where it tells less than was asked."""
    match entry.action.split():
        case ["outbox", act, _]:
            return GoOn(links.outbox_act(act), {"queue": queue_of_rows(entry)})
        case _:
            act, fields = _asked(entry)
    action = None if fields is None else links.queue_act(entry.queue, act)
    return None if fields is None or action is None else GoOn(action, fields)


def _asked(entry: AuditEntry) -> tuple[str, Fields | None]:
    """The last word of the address to which it was sent, and the fields."""
    match entry.action.split():
        case ["drain"]:
            return "drain", {"delayed": "yes"} if entry.details.get("delayed") is True else {}
        case ["clean"]:
            return "clean", _clean_fields(entry.details)
        case [_, "matching"]:
            return "jobs", _matching_fields(entry)
        case ["retry" | "promote", "failed" | "delayed"]:
            return entry.action.replace(" ", "-"), {}
        case _:
            return "", None


def _clean_fields(details: Mapping[str, JsonValue]) -> Fields | None:
    state, age_ms = details.get("state"), details.get("olderThanMs")
    if state not in CLEANABLE or not isinstance(age_ms, int) or details.get("limit") is not None:
        return None
    unit = next((unit for unit in reversed(tuple(UNITS_MS)) if age_ms % UNITS_MS[unit] == 0), None)
    return None if unit is None else {"state": str(state), "age": str(age_ms // UNITS_MS[unit]), "unit": unit}


def _matching_fields(entry: AuditEntry) -> Fields | None:
    wanted, reason = _filter_fields(entry.details), str(entry.details.get("reason", NO_REASON))
    if wanted is None or not is_whole(reason):
        return None
    why = {} if reason == NO_REASON else {"reason": reason}
    return {"act": entry.action.partition(" ")[0], "matching": str(entry.details.get("state")), **wanted, **why}


def _filter_fields(details: Mapping[str, JsonValue]) -> Fields | None:
    """The filter as the fields of a form have it; None where it is not known whole."""
    wanted = filter_of(details)
    if wanted is None:
        return None
    try:
        fields = _as_fields(wanted)
    except (ValueError, OverflowError, OSError):  # a time for which no calendar has a date
        return None
    return {name: text for name, text in fields.items() if text is not None}


def _as_fields(wanted: JobFilter) -> Mapping[str, str | None]:
    return {
        "name": wanted.name,
        "related": None if wanted.related is None else f"{wanted.related.type}:{wanted.related.id}",
        "createdBy": wanted.created_by,
        "orderKey": wanted.order_key,
        "from": _moment(wanted.from_ms),
        "to": _moment(wanted.to_ms),
        "q": wanted.text,
        "cancelled": None if wanted.cancelled is None else str(wanted.cancelled).lower(),
    }


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _back(entry: AuditEntry, links: Links) -> str | None:
    """The list that it was about; the page of the queue where it was about all of that."""
    if entry.action in _OF_QUEUES:
        return links.queue(entry.queue)
    if entry.action.startswith("outbox "):
        return links.outbox(queue_of_rows(entry), "set_aside")
    state = entry.details.get("state")
    wanted = _filter_fields(entry.details) if entry.action.endswith("matching") else None
    return links.state(entry.queue, state if isinstance(state, str) else ALL, wanted=wanted)
