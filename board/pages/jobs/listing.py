"""Jobs: the jobs of a queue by state, filtered and page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from board.pages.jobs.filters import Filter, read_filter
from board.paths import segment
from board.query import clamped
from board.site import Routes, Site
from jobqueue.inspector import ACTS, MAX_LIMIT, MAX_OFFSET, STATES, STATES_OF, JobList
from jobqueue.job import State

PAGE_SIZE: Final = 50
ALL: Final = "all"
SHOWN_STATES: Final[tuple[State, ...]] = tuple(state for state in STATES if state != "paused")
"""A paused queue keeps its jobs waiting; BullMQ 5 moved them to a state of their own."""


def routes(site: Site) -> Routes:
    return (("GET", "/queues/{queue}/{state}", _JobsPage(site).answer),)


def acts_in(state: str) -> tuple[str, ...]:
    """What may be done to jobs in a state, or to those of a list of all states."""
    return tuple(act for act in ACTS if state == ALL or state in STATES_OF[act])


def state_of(word: str) -> State | None:
    """The state that an address names; None for all of them. Raises: HTTPException for what is none."""
    if word == ALL:
        return None
    named: dict[str, State] = {state: state for state in STATES}
    if word not in named:
        raise HTTPException(404)
    return named[word]


@dataclass(frozen=True, slots=True)
class _JobsPage:
    site: Site

    async def answer(self, request: Request) -> Response:
        queue, word = segment(request, "queue"), segment(request, "state")
        state = state_of(word)
        if not await self.site.inspector.has_queue(queue):
            raise HTTPException(404)
        asked = read_filter(request.query_params, word)
        found = await self._found(request, queue, state, asked)
        context: Mapping[str, Any] = {
            "queue": await self.site.inspector.queue(queue),
            "state": word,
            "states": SHOWN_STATES,
            "asked": asked,
            "found": found,
            "scan_from": _scan_from(request),
            "page_size": PAGE_SIZE,
            "acts": () if self.site.read_only else acts_in(word),
        }
        return self.site.page(request, "jobs.html", context, status=400 if asked.faults else 200)

    async def _found(self, request: Request, queue: str, state: State | None, asked: Filter) -> JobList | None:
        """None where the filter is faulty: what it does not say must not be listed as if it were wanted."""
        if asked.faults:
            return None
        offset = clamped(request, "offset", 0, least=0, most=MAX_OFFSET)
        limit = clamped(request, "limit", PAGE_SIZE, least=1, most=MAX_LIMIT)
        return await self.site.inspector.jobs(
            queue, state, offset, limit, wanted=asked.wanted, scan_from=_scan_from(request)
        )


def _scan_from(request: Request) -> int:
    return clamped(request, "scanFrom", 0, least=0, most=MAX_OFFSET)
