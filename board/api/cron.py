"""Cron: the admin routes of the cron jobs, which are rows of a table that the schedulers in Redis follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from board.access import ADMIN_PATH, actor_of
from board.api.body import check_content_type, has_body, read_object
from board.api.jobs import ROOM_BESIDE_PAYLOAD_BYTES
from board.api.serialize import cron_job_json
from board.json import Json
from board.paths import segment
from board.query import clamped
from board.site import Answer, Site
from jobqueue.cron import CronFields, CronJob, CronJobs
from jobqueue.cron.checking import FIELDS
from jobqueue.cron.masked import masked_payload, unmasked_new
from jobqueue.inspector import MAX_LIMIT, MAX_OFFSET

PAGE_SIZE: Final = 50

_OURS: Final = {to_camel(name): name for name in FIELDS}


def cron_routes(site: Site) -> list[Route]:
    cron = _Cron(site)
    routes: tuple[tuple[str, str, Answer], ...] = (
        ("GET", "", cron.list_all),
        ("POST", "", cron.create),
        ("GET", "/{cron_job_id}", cron.show),
        ("PATCH", "/{cron_job_id}", cron.change),
        ("DELETE", "/{cron_job_id}", cron.delete),
        ("POST", "/{cron_job_id}/trigger", cron.trigger),
    )
    return [Route(f"{ADMIN_PATH}/cronJob{path}", answer, methods=[method]) for method, path, answer in routes]


@dataclass(frozen=True, slots=True)
class _Cron:
    site: Site

    async def list_all(self, request: Request) -> Response:
        """By name."""
        offset = clamped(request, "offset", 0, least=0, most=MAX_OFFSET)
        limit = clamped(request, "limit", PAGE_SIZE, least=1, most=MAX_LIMIT)
        async with self.site.cron_jobs() as cron_jobs:
            rows, total = await cron_jobs.page(offset, limit)
            page = [self._shown(cron_jobs, row) for row in rows]
        return Json({"data": page, "total": total})

    async def create(self, request: Request) -> Response:
        given = unmasked_new(await self._read(request))
        async with self.site.cron_jobs() as cron_jobs:
            row = await cron_jobs.create(created_by=actor_of(request.scope).name, source="admin", **given)
            return Json({"data": self._shown(cron_jobs, row)}, 201)

    async def show(self, request: Request) -> Response:
        async with self.site.cron_jobs() as cron_jobs:
            row = await cron_jobs.get(_id(request))
            return Json({"data": self._shown(cron_jobs, row)})

    async def change(self, request: Request) -> Response:
        """Changes the fields that are given; where none is, the row is shown as it is."""
        given, cron_job_id = await self._read(request), _id(request)
        async with self.site.cron_jobs() as cron_jobs:
            row = await cron_jobs.update(cron_job_id, is_masked=True, **given)
            return Json({"data": self._shown(cron_jobs, row)})

    async def delete(self, request: Request) -> Response:
        _check_body(request)
        async with self.site.cron_jobs() as cron_jobs:
            await cron_jobs.delete(_id(request))
        return Response(status_code=204)

    async def trigger(self, request: Request) -> Response:
        """202: the job is stored, and a worker runs it in a moment."""
        _check_body(request)
        async with self.site.cron_jobs() as cron_jobs:
            row = await cron_jobs.get(_id(request))
            await self.site.inspector.check_version(self.site.app.queue_of(row.handler))
            enqueued = await cron_jobs.trigger(row.id, created_by=actor_of(request.scope).name)
        return Json({"data": {"jobId": enqueued.job_id, "handler": enqueued.name}}, 202)

    async def _read(self, request: Request) -> CronFields:
        """The fields in our words; what they hold is checked when they are saved."""
        limit_bytes = self.site.app.settings.jobs_max_payload_bytes + ROOM_BESIDE_PAYLOAD_BYTES
        body = await read_object(request, limit_bytes, _OURS)
        return cast(CronFields, {_OURS[name]: value for name, value in body.items()})

    def _shown(self, cron_jobs: CronJobs, row: CronJob) -> Mapping[str, Any]:
        return cron_job_json(row, masked_payload(row, self.site.app.registry), cron_jobs.next_run_ms(row))


def _id(request: Request) -> str:
    return segment(request, "cron_job_id")


def _check_body(request: Request) -> None:
    if has_body(request):
        check_content_type(request)
