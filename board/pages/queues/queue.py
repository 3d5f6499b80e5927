"""Queue: one queue's counts, charts, handlers and gates, and what can be done to all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from board import charts
from board.attention import oldest
from board.pages.jobs.listing import SHOWN_STATES
from board.paths import segment
from board.site import Routes, Site
from jobqueue.cleaning import Cleanable
from jobqueue.clock import now_ms
from jobqueue.errors import QueueVersionError
from jobqueue.inspector.statistics import Point, Span, Statistics

SPANS: Final[tuple[Span, ...]] = get_args(Span)
CLEANABLE: Final[tuple[Cleanable, ...]] = ("completed", "failed", "delayed", "waiting", "prioritized")
"""What a person may clean, that which is cleaned most often first. Active jobs are cancelled, not cleaned."""
UNITS_MS: Final[Mapping[str, int]] = {"minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}
MAX_HANDLERS: Final = 100
MAX_GATES: Final = 20
_NOTHING: Final = Point(0)


def routes(site: Site) -> Routes:
    page = QueuePage(site)
    return (("GET", "/queues/{queue}", page.answer),)


@dataclass(frozen=True, slots=True)
class HandlerRow:
    """What one handler did in the span. Units: `oldest_at_ms` epoch milliseconds."""

    name: str
    point: Point
    oldest_at_ms: int | None


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Also shown, with faults beside its fields, in answer to a form that was not right."""

    site: Site

    async def answer(self, request: Request) -> Response:
        return await self.show(request, segment(request, "queue"))

    async def show(
        self,
        request: Request,
        queue: str,
        *,
        given: Mapping[str, str] | None = None,
        faults: Mapping[str, str] | None = None,
    ) -> Response:
        """Raises: HTTPException for a queue that nobody has; QueueVersionError for one of BullMQ 5."""
        inspector = self.site.inspector
        if not await inspector.has_queue(queue):
            raise HTTPException(404)
        view = await inspector.queue(queue)
        if view.refused:
            raise QueueVersionError(queue, view.refused)
        span = _span(request)
        statistics, by_handler, waiting, gates, workers = await asyncio.gather(
            inspector.statistics(queue, span),
            inspector.handler_statistics(queue, span, most=MAX_HANDLERS),
            inspector.oldest_waiting(queue),
            inspector.gates(queue, MAX_GATES),
            inspector.worker_counts([queue]),
        )
        context: Mapping[str, Any] = {
            "queue": view,
            "states": SHOWN_STATES,
            "span": span,
            "spans": SPANS,
            "statistics": statistics,
            "oldest_at_ms": oldest(waiting),
            "workers": workers.get(queue, 0),
            "handlers": _handlers(by_handler, waiting),
            "gates": gates,
            "cleanable": CLEANABLE,
            "units": tuple(UNITS_MS),
            "given": given or {},
            "faults": faults or {},
            "own_address": self.site.links(request).queue(queue) if faults else None,
            "ages": charts.ages(waiting, now_ms()),
            **_charts(statistics, span),
        }
        return self.site.page(request, "queue.html", context, status=400 if faults else 200)


def _span(request: Request) -> Span:
    named: dict[str, Span] = {span: span for span in SPANS}
    return named.get(request.query_params.get("span", ""), "hour")


def _charts(statistics: Statistics, span: Span) -> Mapping[str, charts.Chart]:
    return {
        "throughput": charts.throughput(statistics, span),
        "wait": charts.wait(statistics, span),
        "run": charts.run(statistics, span),
    }


def _handlers(by_handler: Mapping[str, Point], waiting: Mapping[str, int]) -> Sequence[HandlerRow]:
    """The busiest first."""
    names = by_handler.keys() | waiting.keys()
    rows = [HandlerRow(name, by_handler.get(name, _NOTHING), waiting.get(name)) for name in names]
    rows.sort(key=lambda row: (-row.point.completed - row.point.failed, row.name))
    return rows[:MAX_HANDLERS]
