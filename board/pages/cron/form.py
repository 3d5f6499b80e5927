"""Cron form: where a cron job is made and edited, with the next times of what was typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from board.cron_acts import cron_acts_of
from board.errors import Refused
from board.notices import noted
from board.pages.cron.fields import Texts, changed_fields, conflicts, given_fields, new_texts, texts_of_form
from board.pages.cron.fields import texts_of_row as shown_texts
from board.pages.cron.times import Preview, preview_of
from board.pages.forms import MAX_FORM_BYTES, read_form, text_of
from board.paths import segment
from board.site import Routes, Site
from jobqueue.clock import now_ms
from jobqueue.cron import CronJob
from jobqueue.cron.checking import DEFAULTS, FIELDS, fields_of
from jobqueue.cron.table import MAX_TEXT
from jobqueue.cron.zones import names as zone_names
from jobqueue.errors import DuplicateCronJob, InvalidCronJob
from jobqueue.problems import Problem

SEEN: Final = "seen"
"""The field that says which version of a row the form was made from."""
PREVIEW: Final = "preview"
"""The button that saves nothing."""
_MOST_ENCODED: Final = 3
"""Bytes of a form for one of a payload: %7B."""


def routes(site: Site) -> Routes:
    pages = _CronForms(site)
    return (
        ("GET", "/cron/new", pages.new),
        ("POST", "/cron/new", pages.create),
        ("GET", "/cron/preview", pages.preview),
        ("GET", "/cron/{cron_job_id}/edit", pages.edit),
        ("POST", "/cron/{cron_job_id}/edit", pages.save),
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A form as it is to be shown. `faults` are by field, `present` is what others have made of a field meanwhile."""

    texts: Texts
    row: CronJob | None = None
    faults: Mapping[str, str] = field(default_factory=dict[str, str])
    present: Mapping[str, str] = field(default_factory=dict[str, str])
    status: int = 200


@dataclass(frozen=True, slots=True)
class _CronForms:
    site: Site

    async def new(self, request: Request) -> Response:
        self._refuse_read_only()
        handler = request.query_params.get("handler", "")[:MAX_TEXT]
        return self._form(request, Shown({**new_texts(), "handler": handler}))

    async def create(self, request: Request) -> Response:
        form = await read_form(request, self._limit_bytes())
        texts = texts_of_form(form)
        if PREVIEW in form:
            return self._form(request, Shown(texts))
        given = given_fields(texts)
        try:
            if given.faults:
                raise InvalidCronJob(given.all_faults(DEFAULTS, self.site.app.enqueuer))
            row = await cron_acts_of(self.site, request).create(given.fields)
        except (InvalidCronJob, DuplicateCronJob) as error:
            return self._refused(request, Shown(texts), error)
        return self._see(request, row, "created")

    async def edit(self, request: Request) -> Response:
        self._refuse_read_only()
        row = await self._row(request)
        return self._form(request, Shown(shown_texts(row, self.site.app.registry), row))

    async def save(self, request: Request) -> Response:
        """Only what was typed over is changed, and nothing where somebody has changed the row since it was shown."""
        form, row = await read_form(request, self._limit_bytes()), await self._row(request)
        texts, shown = texts_of_form(form), shown_texts(row, self.site.app.registry)
        if PREVIEW in form:
            return self._form(request, Shown(texts, row))
        if text_of(form, SEEN) not in ("", version_of(row)):
            return self._form(request, Shown(texts, row, present=conflicts(texts, shown), status=409))
        given = changed_fields(texts, shown, takes_payload=self._takes_payload(texts["handler"]))
        try:
            if given.faults:
                raise InvalidCronJob(given.all_faults(fields_of(row), self.site.app.enqueuer))
            changed = await cron_acts_of(self.site, request).change(row, given.fields)
        except (InvalidCronJob, DuplicateCronJob) as error:
            return self._refused(request, Shown(texts, row), error)
        return self._see(request, changed, "saved")

    async def preview(self, request: Request) -> Response:
        """A piece of a page, to be put beside the fields while somebody types."""
        pattern, timezone = (request.query_params.get(name, "").strip() for name in ("pattern", "timezone"))
        return self.site.page(request, "cron_preview.html", {"preview": self._preview(pattern, timezone)})

    def _refused(self, request: Request, shown: Shown, error: InvalidCronJob | DuplicateCronJob) -> Response:
        if isinstance(error, DuplicateCronJob):
            return self._form(request, Shown(shown.texts, shown.row, {error.field: error.problem}, status=409))
        return self._form(request, Shown(shown.texts, shown.row, error.field_errors, status=400))

    def _form(self, request: Request, shown: Shown) -> Response:
        links, texts = self.site.links(request), shown.texts
        context: dict[str, Any] = {
            "shown": shown,
            "texts": texts,
            "row": shown.row,
            "version": version_of(shown.row) if shown.row else "",
            "faults": _by_input(shown.faults),
            "present": shown.present,
            "preview": self._preview(texts["pattern"], texts["timezone"]),
            "action": links.cron_job(shown.row.id, "edit") if shown.row else links.cron_new(),
            "queues": {name: self.site.app.queue_of(name) for name in sorted(self.site.app.registry.names)},
            "zones": ("UTC", *(name for name in zone_names() if name != "UTC")),
        }
        return self.site.page(request, "cron_form.html", context, status=shown.status)

    def _preview(self, pattern: str, timezone: str) -> Preview | None:
        return preview_of(pattern, timezone or "UTC", self.site.app.enqueuer, now_ms()) if pattern else None

    def _takes_payload(self, handler_name: str) -> bool:
        handler = self.site.app.registry.find(handler_name)
        return handler is not None and handler.payload is not None

    async def _row(self, request: Request) -> CronJob:
        async with self.site.cron_jobs() as cron_jobs:
            return await cron_jobs.get(segment(request, "cron_job_id"))

    def _see(self, request: Request, row: CronJob, word: str) -> Response:
        links = self.site.links(request)
        return RedirectResponse(noted(links.cron_job(row.id) or links.cron(), word), status_code=303)

    def _limit_bytes(self) -> int:
        return _MOST_ENCODED * self.site.app.settings.jobs_max_payload_bytes + MAX_FORM_BYTES

    def _refuse_read_only(self) -> None:
        if self.site.read_only:
            raise Refused(Problem(403, "read_only", "this board is read-only"))


def version_of(row: CronJob) -> str:
    """What is another after each change of a row by people or code; not what happens to its runs."""
    return row.updated_at.isoformat()


def _by_input(faults: Mapping[str, str]) -> Mapping[str, str]:
    """What is wrong, by the input that it stands beside. What is wrong inside a payload names its place."""
    found: dict[str, list[str]] = {}
    for name, fault in faults.items():
        outer, dot, inner = name.partition(".")
        place = outer if outer in FIELDS else "name"
        found.setdefault(place, []).append(f"{inner}: {fault}" if dot else fault)
    return {name: "; ".join(found[name]) for name in FIELDS if name in found}
