"""Pages: what a person sees. Readable without JavaScript; an action is a form, answered by a redirect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from board.errors import Problem, Refused
from board.paths import Links, segment
from board.query import clamped
from board.render import Renderer
from jobqueue.inspector import MAX_LIMIT, MAX_LOOKED_AT, MAX_OFFSET, STATES, Inspector
from jobqueue.job import State

FORM: Final = "application/x-www-form-urlencoded"
PAGE_SIZE: Final = 50
SHOWN_STATES: Final[tuple[State, ...]] = tuple(state for state in STATES if state != "paused")
"""A paused queue keeps its jobs waiting; BullMQ 5 moved them to a state of their own."""


def page_routes(board_path: str, inspector: Inspector, renderer: Renderer) -> list[BaseRoute]:
    pages = _Pages(board_path, inspector, renderer)
    routes: tuple[tuple[str, str, Callable[[Request], Any]], ...] = (
        ("GET", "", pages.queues),
        ("GET", "/", pages.queues),
        ("GET", "/queues/{queue}/{state}", pages.jobs),
        ("GET", "/queues/{queue}/jobs/{job_id}", pages.job),
        ("POST", "/queues/{queue}/jobs/{job_id}/retry", pages.retry),
    )
    return [
        *(Route(board_path + path, answer, methods=[method]) for method, path, answer in routes),
        Mount(f"{board_path}/static", StaticFiles(packages=[("board", "static")])),
    ]


@dataclass(frozen=True, slots=True)
class _Pages:
    board_path: str
    inspector: Inspector
    renderer: Renderer

    async def queues(self, request: Request) -> Response:
        context = {"queues": await self.inspector.queues(), "states": SHOWN_STATES}
        return self.renderer.page("queues.html", self._links(request), context)

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
        return self.renderer.page("jobs.html", self._links(request), context)

    async def job(self, request: Request) -> Response:
        view = await self.inspector.job(segment(request, "queue"), segment(request, "job_id"))
        return self.renderer.page("job.html", self._links(request), {"view": view})

    async def retry(self, request: Request) -> Response:
        """303, so that the browser asks for the job's page and a reload does not retry again."""
        _check_form(request)
        queue, job_id = segment(request, "queue"), segment(request, "job_id")
        await self.inspector.retry(queue, job_id)
        links = self._links(request)
        return RedirectResponse(links.job(queue, job_id) or links.queues(), status_code=303)

    def _links(self, request: Request) -> Links:
        return Links.of(request.scope, self.board_path)


def _check_form(request: Request) -> None:
    given = request.headers.get("content-type", FORM)
    if given.partition(";")[0].strip().lower() != FORM:
        raise Refused(Problem(400, "invalid", f"content-type must be {FORM}, not {given!r:.100}"))


def _cancelled(request: Request) -> bool | None:
    """Which failed jobs are asked for; None for all, as where the query says neither."""
    return {"true": True, "false": False}.get(request.query_params.get("cancelled", ""))
