"""Workers: who serves the queues, what they run now, and which queues nobody serves."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from board.query import clamped
from board.site import Routes, Site
from jobqueue.inspector import MAX_OFFSET

PAGE_SIZE: Final = 50
MAX_QUEUES: Final = 20
"""Queues of a worker that are named, and queues that nobody serves."""


def routes(site: Site) -> Routes:
    async def show(request: Request) -> Response:
        """All workers, or those of one queue."""
        queue = request.query_params.get("queue") or None
        offset = clamped(request, "offset", 0, least=0, most=MAX_OFFSET)
        workers = await site.inspector.workers(queue)
        context: dict[str, Any] = {
            "queue": queue,
            "workers": workers[offset : offset + PAGE_SIZE],
            "total": len(workers),
            "offset": offset,
            "page_size": PAGE_SIZE,
            "max_queues": MAX_QUEUES,
            "unserved": None if queue else await site.inspector.unserved(MAX_QUEUES),
        }
        return site.page(request, "workers.html", context)

    return (("GET", "/workers", show),)
