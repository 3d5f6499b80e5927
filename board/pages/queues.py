"""Queues: the overview, the jobs of a state, and one job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from board.pages.forms import check_form
from board.paths import segment
from board.query import clamped
from board.site import Routes, Site
from jobqueue.inspector import MAX_LIMIT, MAX_LOOKED_AT, MAX_OFFSET, STATES, Inspector
from jobqueue.job import State

PAGE_SIZE: Final = 50
SHOWN_STATES: Final[tuple[State, ...]] = tuple(state for state in STATES if state != "paused")
"""A paused queue keeps its jobs waiting; BullMQ 5 moved them to a state of their own."""


def routes(site: Site) -> Routes:
    pages = _Pages(site, site.inspector)
    return (
        ("GET", "", pages.queues),
        ("GET", "/", pages.queues),
        ("GET", "/queues/{queue}/{state}", pages.jobs),
        ("GET", "/queues/{queue}/jobs/{job_id}", pages.job),
        ("POST", "/queues/{queue}/jobs/{job_id}/retry", pages.retry),
    )


@dataclass(frozen=True, slots=True)
class _Pages:
    site: Site
    inspector: Inspector

    async def queues(self, request: Request) -> Response:
        context = {"queues": await self.inspector.queues(), "states": SHOWN_STATES}
        return self.site.page(request, "queues.html", context)

    async def jobs(self, request: Request) -> Response:
        queue, state = segment(request, "queue"), segment(request, "state")
        if state not in STATES or not await self.inspector.has_queue(queue):
            raise HTTPException(404)
        offset = clamped(request, "offset", 0, least=0, most=MAX_OFFSET)
        limit = clamped(request, "limit", PAGE_SIZE, least=1, most=MAX_LIMIT)
        cancelled = _cancelled(request) if state == "failed" else None
        found = await self.inspector.jobs(queue, state, offset, limit, cancelled=cancelled)
        context = {
            "queue": await self.inspector.queue(queue),
            "state": state,
            "states": SHOWN_STATES,
            "cancelled": cancelled,
            "found": found,
            "page_size": PAGE_SIZE,
            "most_looked_at": MAX_LOOKED_AT,
        }
        return self.site.page(request, "jobs.html", context)

    async def job(self, request: Request) -> Response:
        view = await self.inspector.job(segment(request, "queue"), segment(request, "job_id"))
        return self.site.page(request, "job.html", {"view": view})

    async def retry(self, request: Request) -> Response:
        """303, so that the browser asks for the job's page and a reload does not retry again."""
        check_form(request)
        queue, job_id = segment(request, "queue"), segment(request, "job_id")
        await self.inspector.retry(queue, job_id)
        links = self.site.links(request)
        return RedirectResponse(links.job(queue, job_id) or links.queues(), status_code=303)


def _cancelled(request: Request) -> bool | None:
    """Which failed jobs are asked for; None for all, as where the query says neither."""
    return {"true": True, "false": False}.get(request.query_params.get("cancelled", ""))
