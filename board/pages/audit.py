"""Audit: who did what, and what came of it, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response

from board.paths import Links
from board.query import clamped
from board.site import Routes, Site
from jobqueue.inspector.audit import MAX_ENTRIES, AuditEntry

PAGE_SIZE: Final = 50

ACTIONS: Final[Mapping[str, str]] = {
    "retry": "Retry a job",
    "cancel": "Cancel a job",
    "promote": "Promote a job",
    "remove": "Remove a job",
    "enqueue": "Enqueue a job",
    "enqueue again": "Enqueue a job again",
    "pause": "Pause the queue",
    "resume": "Resume the queue",
    "drain": "Drain the queue",
    "remove leaks": "Remove leaked keys",
    "clean": "Clean the queue",
    "retry failed": "Retry all failed jobs",
    "promote delayed": "Promote all delayed jobs",
    "cron create": "Create a cron job",
    "cron change": "Change a cron job",
    "cron enable": "Enable a cron job",
    "cron disable": "Disable a cron job",
    "cron trigger": "Trigger a cron job",
    "cron delete": "Delete a cron job",
    "outbox retry": "Try a row of the outbox again",
    "outbox remove": "Remove a row of the outbox",
    "outbox retry all": "Try the set-aside rows of the outbox again",
    "outbox remove all": "Remove the set-aside rows of the outbox",
}
"""What each action is in words. One that is not here is shown by its name."""
_CRON: Final = "cron "
_OUTBOX: Final = "outbox "
_PROBLEMS: Final = "problems"
"""Of an act on many jobs; they have a page of their own."""
_REMOVALS: Final = frozenset({"remove", "cron delete", "outbox remove"})
"""After these there is no page to lead to."""


def routes(site: Site) -> Routes:
    async def show(request: Request) -> Response:
        queue = request.query_params.get("queue") or None
        before = request.query_params.get("before") or None
        limit = clamped(request, "limit", PAGE_SIZE, least=1, most=MAX_ENTRIES)
        page = await site.inspector.audit(queue, before=before, limit=limit)
        context = {
            "next": page.next,
            "queue": queue,
            "queues": await site.inspector.queue_names(),
            "before": before,
            "rows": tuple(_row(entry, site.links(request)) for entry in page.entries),
        }
        return site.page(request, "audit.html", context)

    return (("GET", "/audit", show),)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry as the page shows it.

    `mark` is a shape and `outcome` the word beside it; `why` is what was said of an act that was refused or failed.
    `target` is what the act was done to by its name, `address` its page where it has one.
    """

    entry: AuditEntry
    action: str
    mark: str
    outcome: str
    why: str
    target: str | None
    address: str | None
    details: Mapping[str, JsonValue]


def _row(entry: AuditEntry, links: Links) -> AuditRow:
    word, _, why = (entry.outcome or "").partition(": ")
    mark, outcome = _OUTCOMES.get(word, ("none", word or "not finished"))
    is_cron = entry.action.startswith(_CRON)
    name = entry.details.get("name")
    target = name if is_cron and isinstance(name, str) else entry.target
    address = None
    if entry.target and not (entry.action in _REMOVALS and entry.outcome == "done"):
        address = _address(entry, entry.target, links)
    elif _PROBLEMS in entry.details:
        target, address = "what came of it", links.audit_entry(entry.id)
    action = ACTIONS.get(entry.action, entry.action)
    hidden = {"name", _PROBLEMS} if is_cron else {_PROBLEMS}
    details = {key: value for key, value in entry.details.items() if key not in hidden}
    return AuditRow(entry, action, mark, outcome, why, target, address, details)


def _address(entry: AuditEntry, target: str, links: Links) -> str | None:
    if entry.action.startswith(_CRON):
        return links.cron_job(target)
    if entry.action.startswith(_OUTBOX):
        return links.outbox_row(int(target)) if target.isdecimal() else None
    return links.job(_queue_of_target(entry), target)


def _queue_of_target(entry: AuditEntry) -> str:
    """Where the job is: a queue that was not there yet, or another one than that of the job it was made of."""
    named = entry.details.get("queue")
    return named if isinstance(named, str) else entry.queue


_OUTCOMES: Final[Mapping[str, tuple[str, str]]] = {
    "": ("warning", "not finished"),
    "done": ("completed", "done"),
    "refused": ("cancelled", "refused"),
    "failed": ("failed", "failed"),
}
"""Word of an outcome -> its shape, and the word that is shown."""
