"""Cron: the admin routes of the cron jobs, which are rows of a table that the schedulers in Redis follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import Response

from board.access import ADMIN_PATH
from board.api import bodies, questions
from board.api.answers import CronJobPage, CronJobShown, Data, TriggeredShown
from board.api.body import SMALL_BYTES, check_no_form, read_body
from board.api.operations import Operation
from board.api.questions import read_query
from board.api.serialize import cron_job_json
from board.cron_acts import cron_acts_of
from board.json import Json
from board.paths import segment
from board.site import Site
from jobqueue.cron import CronFields, CronJob, CronJobs
from jobqueue.cron.masked import masked_payload
from jobqueue.errors import UnreadableCronJob

_PATH: Final = f"{ADMIN_PATH}/cronJob"
_ONE: Final = f"{_PATH}/{{id}}"
_CRON_JOB: Final = Data[CronJobShown]


def cron_operations(site: Site) -> tuple[Operation, ...]:
    cron = _Cron(site)
    return (
        Operation(
            method="GET",
            path=_PATH,
            summary="List the cron jobs, by name",
            answer=cron.list_all,
            query=questions.Paged,
            answers={200: CronJobPage},
        ),
        Operation(
            method="POST",
            path=_PATH,
            summary="Create a cron job",
            answer=cron.create,
            body=bodies.NewCronJob,
            needs_body=True,
            answers={201: _CRON_JOB},
            names={"id": "/data/id"},
            problems=(409,),
        ),
        Operation(
            method="GET",
            path=_ONE,
            summary="Show a cron job",
            answer=cron.show,
            answers={200: _CRON_JOB},
            problems=(404, 409),
        ),
        Operation(
            method="PATCH",
            path=_ONE,
            summary="Change fields of a cron job",
            answer=cron.change,
            body=bodies.CronJobChanges,
            needs_body=True,
            answers={200: _CRON_JOB},
            problems=(404, 409),
        ),
        Operation(
            method="DELETE",
            path=_ONE,
            summary="Delete a cron job, its scheduler and the job of its next slot",
            answer=cron.delete,
            answers={204: None},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/trigger",
            summary="Run a cron job now, enabled or not",
            answer=cron.trigger,
            answers={202: Data[TriggeredShown]},
            problems=(404, 409),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Cron:
    site: Site

    async def list_all(self, request: Request) -> Response:
        """By name."""
        asked = read_query(request, questions.Paged)
        async with self.site.cron_jobs() as cron_jobs:
            rows, total = await cron_jobs.page(asked.offset, asked.limit)
            page = [self._json(cron_jobs, row) for row in rows]
        return Json({"data": page, "total": total})

    async def create(self, request: Request) -> Response:
        row = await cron_acts_of(self.site, request).create(await self._read(request, bodies.NewCronJob))
        return Json({"data": await self._shown(row)}, 201)

    async def show(self, request: Request) -> Response:
        return Json({"data": await self._shown(await self._row(request))})

    async def change(self, request: Request) -> Response:
        """Changes the fields that are given; where none is, the row is shown as it is."""
        given = await self._read(request, bodies.CronJobChanges)
        row = await cron_acts_of(self.site, request).change(await self._row(request), given)
        return Json({"data": await self._shown(row)})

    async def delete(self, request: Request) -> Response:
        check_no_form(request)
        try:
            row = await self._row(request)
        except UnreadableCronJob:
            row = None
        await cron_acts_of(self.site, request).delete(_id(request), row)
        return Response(status_code=204)

    async def trigger(self, request: Request) -> Response:
        """202: the job is stored, and a worker runs it in a moment."""
        check_no_form(request)
        enqueued = await cron_acts_of(self.site, request).trigger(await self._row(request))
        return Json({"data": {"jobId": enqueued.job_id, "handler": enqueued.name}}, 202)

    async def _row(self, request: Request) -> CronJob:
        async with self.site.cron_jobs() as cron_jobs:
            return await cron_jobs.get(_id(request))

    async def _read(self, request: Request, model: type[bodies.NewCronJob]) -> CronFields:
        """The fields in our words; what they hold is checked when they are saved."""
        limit_bytes = self.site.app.settings.jobs_max_payload_bytes + SMALL_BYTES
        return cast(CronFields, (await read_body(request, model, limit_bytes)).given())

    async def _shown(self, row: CronJob) -> CronJobShown:
        async with self.site.cron_jobs() as cron_jobs:
            return self._json(cron_jobs, row)

    def _json(self, cron_jobs: CronJobs, row: CronJob) -> CronJobShown:
        return cron_job_json(row, masked_payload(row, self.site.app.registry), cron_jobs.next_run_ms(row))


def _id(request: Request) -> str:
    return segment(request, "id")
