"""Cron: the cron jobs, the page of one, and what is done to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from board.cron_acts import cron_acts_of
from board.notices import noted
from board.pages.cron.times import moment_ms, preview_of, wall_clock
from board.pages.forms import confirmation, is_confirmed, read_form
from board.paths import segment
from board.query import clamped
from board.render import shown
from board.site import Routes, Site
from jobqueue.clock import now_ms
from jobqueue.cron import CronJob
from jobqueue.cron.listing import list_cron_jobs, problem_of
from jobqueue.cron.masked import masked_payload
from jobqueue.errors import InvalidCronJob, UnreadableCronJob
from jobqueue.inspector import MAX_LIMIT, MAX_OFFSET

PAGE_SIZE: Final = 50
MAX_TEXT: Final = 200


def routes(site: Site) -> Routes:
    pages = _CronPages(site)
    one = "/cron/{cron_job_id}"
    return (
        ("GET", "/cron", pages.list_all),
        ("GET", one, pages.show),
        ("POST", f"{one}/trigger", pages.trigger),
        ("POST", f"{one}/enable", pages.enable),
        ("POST", f"{one}/disable", pages.disable),
        ("POST", f"{one}/delete", pages.delete),
    )


@dataclass(frozen=True, slots=True)
class _CronPages:
    site: Site

    async def list_all(self, request: Request) -> Response:
        """By name; those that cannot be read come last, and none hides another."""
        offset = clamped(request, "offset", 0, least=0, most=MAX_OFFSET)
        limit = clamped(request, "limit", PAGE_SIZE, least=1, most=MAX_LIMIT)
        text = request.query_params.get("q", "").strip()[:MAX_TEXT]
        async with self.site.opened_database() as database:
            found = await list_cron_jobs(self.site.app, database, text, offset, limit)
        queues = {listed.row.id: self.site.app.queue_of(listed.row.handler) for listed in found.jobs}
        times = {listed.row.id: _times(listed.row, listed.next_run_ms) for listed in found.jobs}
        context = {
            "found": found,
            "queues": queues,
            "times": times,
            "text": text,
            "offset": offset,
            "limit": limit,
            "page_size": PAGE_SIZE,
        }
        return self.site.page(request, "cron.html", context)

    async def show(self, request: Request) -> Response:
        cron_job_id = segment(request, "cron_job_id")
        try:
            row = await self._row(cron_job_id)
        except UnreadableCronJob as error:
            return self.site.page(request, "cron_job.html", {"row": None, "id": error.which, "problem": str(error)})
        return await self._page(request, row)

    async def trigger(self, request: Request) -> Response:
        await read_form(request)
        row = await self._row(segment(request, "cron_job_id"))
        try:
            enqueued = await cron_acts_of(self.site, request).trigger(row)
        except InvalidCronJob as error:
            return await self._page(request, row, "It cannot run", error)
        links = self.site.links(request)
        return _see(links.job(enqueued.queue, enqueued.job_id) or links.cron(), "triggered")

    async def enable(self, request: Request) -> Response:
        return await self._switch(request, enabled=True)

    async def disable(self, request: Request) -> Response:
        return await self._switch(request, enabled=False)

    async def delete(self, request: Request) -> Response:
        """Asks first. A row that cannot be read can be deleted too."""
        form, links = await read_form(request), self.site.links(request)
        cron_job_id = segment(request, "cron_job_id")
        try:
            row = await self._row(cron_job_id)
        except UnreadableCronJob:
            row = None
        if not is_confirmed(form):
            return confirmation(
                self.site,
                request,
                question=f"Delete the cron job {shown(row.name)}?"
                if row
                else "Delete the cron job that cannot be read?",
                button="Delete",
                action=links.cron_job(cron_job_id, "delete") or links.cron(),
                back=links.cron_job(cron_job_id) or links.cron(),
                details=("Its schedule and the job of its next run are removed.", "A job that runs goes on."),
            )
        await cron_acts_of(self.site, request).delete(cron_job_id, row)
        return _see(links.cron(), "deleted")

    async def _switch(self, request: Request, *, enabled: bool) -> Response:
        form = await read_form(request)
        row = await self._row(segment(request, "cron_job_id"))
        try:
            await cron_acts_of(self.site, request).set_enabled(row, enabled=enabled)
        except InvalidCronJob as error:
            return await self._page(request, row, "It cannot be enabled", error)
        links = self.site.links(request)
        back = links.cron() if form.get("back") == "list" else links.cron_job(row.id)
        return _see(back or links.cron(), "enabled" if enabled else "disabled")

    async def _row(self, cron_job_id: str) -> CronJob:
        async with self.site.cron_jobs() as cron_jobs:
            return await cron_jobs.get(cron_job_id)

    async def _page(
        self, request: Request, row: CronJob, refused: str | None = None, error: InvalidCronJob | None = None
    ) -> Response:
        """One row. `refused` says what was not done, and `error` why."""
        app = self.site.app
        preview = preview_of(row.pattern, row.timezone, app.enqueuer, now_ms())
        next_ms = preview.slots[0].at_ms if row.enabled and preview.slots else None
        context = {
            "row": row,
            "queue": app.queue_of(row.handler),
            "is_known": app.registry.find(row.handler) is not None,
            "payload": masked_payload(row, app.registry),
            "preview": preview,
            "times": _times(row, next_ms),
            "problem": await problem_of(app, row),
            "refused": refused,
            "faults": error.field_errors if error else {},
            "own_address": self.site.links(request).cron_job(row.id) if error else None,
        }
        return self.site.page(request, "cron_job.html", context, status=400 if error else 200)


@dataclass(frozen=True, slots=True)
class CronTimes:
    """When a row runs and ran, in epoch milliseconds, and as the clocks of its zone show it."""

    next_ms: int | None
    next_wall: str
    last_ms: int | None
    last_wall: str
    completed_ms: int | None
    created_ms: int | None
    updated_ms: int | None


def _times(row: CronJob, next_ms: int | None) -> CronTimes:
    last_ms = moment_ms(row.last_run_at)
    return CronTimes(
        next_ms,
        _wall(row, next_ms),
        last_ms,
        _wall(row, last_ms),
        moment_ms(row.last_completed_at),
        moment_ms(row.created_at),
        moment_ms(row.updated_at),
    )


def _wall(row: CronJob, at_ms: int | None) -> str:
    return "" if at_ms is None else wall_clock(row.timezone, at_ms)


def _see(address: str, word: str) -> Response:
    """303, so that the browser asks for the page and a reload does not act again."""
    return RedirectResponse(noted(address, word), status_code=303)
