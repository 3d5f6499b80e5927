"""Queues: the overview, and where the find box leads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from board import charts
from board.attention import QueueRow, attention, oldest
from board.glance import Glance
from board.outbox import set_aside_of
from board.pages.jobs.listing import SHOWN_STATES
from board.query import clamped
from board.site import Routes, Site
from jobqueue.clock import now_ms
from jobqueue.inspector import MAX_OFFSET, FoundJobs, QueueView
from jobqueue.outbox.shelf import LEAST_COUNTED

PAGE_SIZE: Final = 50
MAX_ALERTS: Final = 20
MAX_SOUGHT: Final = 300
"""Characters of an id: one of ours has 255 at most."""
_NOTHING: Final = FoundJobs((), 0)


def routes(site: Site) -> Routes:
    pages = _Pages(site, set_aside_of(site))
    return (
        ("GET", "", pages.overview),
        ("GET", "/", pages.overview),
        ("GET", "/find", pages.find),
    )


@dataclass(frozen=True, slots=True)
class _Pages:
    site: Site
    glance: Glance[Mapping[str, int]]

    async def overview(self, request: Request) -> Response:
        """What is wrong is looked for in the queues of the page only: a page must not read what it does not show."""
        offset = clamped(request, "offset", 0, least=0, most=MAX_OFFSET)
        names = await self.site.inspector.queue_names()
        page = names[offset : offset + PAGE_SIZE]
        views, workers, overflowing, set_aside = await asyncio.gather(
            self.site.inspector.queues(page),
            self.site.inspector.worker_counts(page),
            self.site.inspector.overflowing(page),
            self.glance.see(),
        )
        rows = await asyncio.gather(*(self._row(view, workers.get(view.name, 0)) for view in views))
        alerts = attention(rows, now_ms(), set_aside, overflowing)
        context: dict[str, Any] = {
            "rows": rows,
            "sparks": {row.view.name: charts.spark(row.statistics) for row in rows if row.statistics is not None},
            "states": SHOWN_STATES,
            "alerts": alerts[:MAX_ALERTS],
            "counted_to": LEAST_COUNTED,
            "more_alerts": max(len(alerts) - MAX_ALERTS, 0),
            "total": len(names),
            "offset": offset,
            "page_size": PAGE_SIZE,
        }
        return self.site.page(request, "overview.html", context)

    async def find(self, request: Request) -> Response:
        """The job of that id; where several queues have one, the choice."""
        sought = request.query_params.get("q", "").strip()
        found = await self.site.inspector.find(sought) if 0 < len(sought) <= MAX_SOUGHT else _NOTHING
        links = self.site.links(request)
        if len(found.jobs) == 1 and (address := links.job(found.jobs[0].queue, found.jobs[0].id)) is not None:
            return RedirectResponse(address, 303)
        return self.site.page(request, "find.html", {"sought": sought, "found": found})

    async def _row(self, view: QueueView, workers: int) -> QueueRow:
        if view.refused:
            return QueueRow(view, 0, None, None)
        statistics, waiting = await asyncio.gather(
            self.site.inspector.statistics(view.name, "hour"), self.site.inspector.oldest_waiting(view.name)
        )
        return QueueRow(view, workers, oldest(waiting), statistics)
