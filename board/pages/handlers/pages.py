"""Handlers: the list of them, and one with its policy, its schema and the form that enqueues a job for it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from board.access import actor_of
from board.pages.handlers.enqueue_form import EnqueueForm, Wanted, empty_form, schema_of
from board.pages.handlers.enqueueing import answer_form
from board.pages.handlers.option_fields import OPTIONS, usual_options
from board.pages.handlers.policy_words import docs_of, facts_of, in_short
from board.paths import segment
from board.schemas import shown_schema
from board.site import Routes, Site
from jobqueue.cron import CronJob
from jobqueue.errors import DatabaseUnavailable, QueueVersionError
from jobqueue.handler import Handler
from jobqueue.inspector.statistics import Point
from jobqueue.job import Enqueued

MAX_CRON_JOBS: Final = 200
"""More than these are not read for this page; the search of the cron jobs finds them."""


def routes(site: Site) -> Routes:
    pages = _Handlers(site)
    return (
        ("GET", "/handlers", pages.list),
        ("GET", "/handlers/{handler}", pages.show),
        ("POST", "/handlers/{handler}", pages.enqueue),
    )


@dataclass(frozen=True, slots=True)
class HandlerRow:
    """A handler as the list shows it; `hour` is what it did in the last one, None where it did nothing."""

    handler: Handler[Any]
    docs: str
    queue: str
    policy: str
    hour: Point | None
    cron_jobs: tuple[CronJob, ...]


@dataclass(frozen=True, slots=True)
class _Handlers:
    site: Site

    async def list(self, request: Request) -> Response:
        """The handlers by name, each with what it did in the last hour."""
        handlers = sorted(self.site.app.registry, key=lambda one: one.name)
        statistics, cron_jobs = await asyncio.gather(self._statistics(handlers), self._cron_jobs())
        rows = [self._row(one, statistics, cron_jobs or ()) for one in handlers]
        return self.site.page(request, "handlers.html", {"rows": rows, "knows_cron_jobs": cron_jobs is not None})

    def _row(self, handler: Handler[Any], hour: Mapping[str, Point], cron_jobs: Sequence[CronJob]) -> HandlerRow:
        return HandlerRow(
            handler,
            docs=docs_of(handler).partition("\n")[0],
            queue=self.site.app.queue_of(handler),
            policy=in_short(handler.policy),
            hour=hour.get(handler.name),
            cron_jobs=tuple(row for row in cron_jobs if row.handler == handler.name),
        )

    async def show(self, request: Request) -> Response:
        handler = self._handler(request)
        return await self._page(request, handler, empty_form(handler))

    async def enqueue(self, request: Request) -> Response:
        handler = self._handler(request)
        actor = actor_of(request.scope)
        operator = self.site.inspector.acting_as(actor)

        async def show(form: EnqueueForm) -> Response:
            return await self._page(request, handler, form)

        async def enqueue(wanted: Wanted) -> Enqueued:
            return await operator.enqueue(handler.name, wanted.payload, {"created_by": actor.name, **wanted.options})

        return await answer_form(self.site, request, handler, show=show, enqueue=enqueue)

    async def _page(self, request: Request, handler: Handler[Any], form: EnqueueForm) -> Response:
        queue, links = self.site.app.queue_of(handler.name), self.site.links(request)
        schema = schema_of(handler)
        statistics, cron_jobs = await asyncio.gather(self._statistics([handler]), self._cron_jobs())
        context = {
            "handler": handler,
            "docs": docs_of(handler),
            "queue": queue,
            "facts": facts_of(handler, queue),
            "hour": statistics.get(handler.name),
            "cron_jobs": None if cron_jobs is None else [row for row in cron_jobs if row.handler == handler.name],
            "schema": None if schema is None else shown_schema(schema),
            "form": form,
            "form_queue": form.typed.get("options.queue") or queue,
            "options": OPTIONS,
            "usual": usual_options(handler, queue),
            "action": links.handler(handler.name) or links.handlers(),
        }
        return self.site.page(request, "handler.html", context, status=form.status)

    def _handler(self, request: Request) -> Handler[Any]:
        handler = self.site.app.registry.find(segment(request, "handler"))
        if handler is None:
            raise HTTPException(404)
        return handler

    async def _statistics(self, handlers: Sequence[Handler[Any]]) -> Mapping[str, Point]:
        """What each handler did in the last hour, in its own queue; nothing of a queue that is not served."""
        names_of: defaultdict[str, list[str]] = defaultdict(list)
        for one in handlers:
            names_of[self.site.app.queue_of(one.name)].append(one.name)
        found: dict[str, Point] = {}
        for totals in await asyncio.gather(*(self._of_queue(queue, names) for queue, names in names_of.items())):
            found.update(totals)
        return found

    async def _of_queue(self, queue: str, names: Sequence[str]) -> Mapping[str, Point]:
        try:
            return await self.site.inspector.handler_statistics(queue, "hour", names=names)
        except QueueVersionError:
            return {}

    async def _cron_jobs(self) -> tuple[CronJob, ...] | None:
        """Those that a handler may have; None where nobody can tell now."""
        try:
            async with self.site.cron_jobs() as cron_jobs:
                return (await cron_jobs.page(0, MAX_CRON_JOBS))[0]
        except DatabaseUnavailable:
            return None
