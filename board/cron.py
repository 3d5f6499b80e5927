"""Cron: the admin routes of the cron jobs, which are rows of a table that the schedulers in Redis follow."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from board.access import ADMIN_PATH, asker
from board.admin import ROOM_BESIDE_PAYLOAD_BYTES
from board.body import check_content_type, has_body, read_object
from board.errors import invalid
from board.paths import segment
from board.query import clamped
from board.serialize import Json, cron_job_json
from jobqueue.app import App
from jobqueue.cron import CronFields, CronJob, CronJobs
from jobqueue.cron.checking import FIELDS
from jobqueue.database import Database, open_database
from jobqueue.errors import CronJobNotFound
from jobqueue.inspector import MAX_LIMIT, MAX_OFFSET, Inspector
from jobqueue.job import MAX_NAME_LENGTH, is_plain_text
from jobqueue.masking import PLAIN, Masker, Unmasked, masker_of, unmask

PAGE_SIZE: Final = 50

_OURS: Final = {to_camel(name): name for name in FIELDS}


def cron_routes(app: App, inspector: Inspector, database: Database | None) -> list[Route]:
    """The rows are in `database`; without one each request opens that of the app's settings for itself."""
    cron = _Cron(app, inspector, CronJobs(app, database) if database is not None else None)
    routes: tuple[tuple[str, str, Callable[[Request], Any]], ...] = (
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
    app: App
    inspector: Inspector
    cron_jobs: CronJobs | None

    async def list_all(self, request: Request) -> Response:
        """By name."""
        offset = clamped(request, "offset", 0, least=0, most=MAX_OFFSET)
        limit = clamped(request, "limit", PAGE_SIZE, least=1, most=MAX_LIMIT)
        async with self._opened() as cron_jobs:
            rows = await cron_jobs.list()
            page = [self._shown(cron_jobs, row) for row in rows[offset : offset + limit]]
        return Json({"data": page, "total": len(rows)})

    async def create(self, request: Request) -> Response:
        given = await self._read(request)
        if "payload" in given:
            given["payload"] = _usable(unmask(given["payload"], None, PLAIN, PLAIN))
        async with self._opened() as cron_jobs:
            row = await cron_jobs.create(created_by=asker(request.scope), source="admin", **given)
            return Json({"data": self._shown(cron_jobs, row)}, 201)

    async def show(self, request: Request) -> Response:
        async with self._opened() as cron_jobs:
            row = await cron_jobs.get(_id(request))
            return Json({"data": self._shown(cron_jobs, row)})

    async def change(self, request: Request) -> Response:
        """Changes the fields that are given; where none is, the row is shown as it is."""
        given, cron_job_id = await self._read(request), _id(request)
        async with self._opened() as cron_jobs:
            row = await cron_jobs.get(cron_job_id)
            self._keep_secrets(row, given)
            row = await cron_jobs.update(cron_job_id, **given)
            return Json({"data": self._shown(cron_jobs, row)})

    async def delete(self, request: Request) -> Response:
        _check_body(request)
        async with self._opened() as cron_jobs:
            await cron_jobs.delete(_id(request))
        return Response(status_code=204)

    async def trigger(self, request: Request) -> Response:
        """202: the job is stored, and a worker runs it in a moment."""
        _check_body(request)
        async with self._opened() as cron_jobs:
            row = await cron_jobs.get(_id(request))
            await self.inspector.check_version(self._queue_of(row.handler))
            enqueued = await cron_jobs.trigger(row.id, created_by=asker(request.scope))
        return Json({"data": {"jobId": enqueued.job_id, "handler": enqueued.name}}, 202)

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[CronJobs]:
        if self.cron_jobs is not None:
            yield self.cron_jobs
            return
        async with open_database(self.app.settings.database_url) as database:
            yield CronJobs(self.app, database)

    async def _read(self, request: Request) -> CronFields:
        """The fields in our words; what they hold is checked when they are saved."""
        limit_bytes = self.app.settings.jobs_max_payload_bytes + ROOM_BESIDE_PAYLOAD_BYTES
        body = await read_object(request, limit_bytes, _OURS)
        return cast(CronFields, {_OURS[name]: value for name, value in body.items()})

    def _shown(self, cron_jobs: CronJobs, row: CronJob) -> Mapping[str, Any]:
        payload = self._masker(row.handler).payload(row.payload)
        return cron_job_json(row, payload, cron_jobs.next_run_ms(row))

    def _keep_secrets(self, row: CronJob, changes: CronFields) -> None:
        """Put the stored secrets back where the payload came back masked.

        A row that moves to another handler takes its payload along, as if that had been sent back as it was shown:
        where the other's payload type does not hide a secret, whoever looks next would see it.
        """
        masker = self._masker(row.handler)
        edited = changes.get("payload", masker.payload(row.payload))
        payload = _usable(unmask(edited, row.payload, masker, self._masker(changes.get("handler", row.handler))))
        if "payload" in changes:
            changes["payload"] = payload

    def _masker(self, handler_name: object) -> Masker:
        handler = self.app.registry.find(handler_name) if isinstance(handler_name, str) else None
        return PLAIN if handler is None else masker_of(handler.payload)

    def _queue_of(self, handler_name: str) -> str:
        handler = self.app.registry.find(handler_name)
        return (handler and handler.policy.queue) or self.app.settings.jobs_queue


def _id(request: Request) -> str:
    """Raises: CronJobNotFound for what can be no id: PostgreSQL would stumble over a NUL in it."""
    cron_job_id = segment(request, "cron_job_id")
    if not is_plain_text(cron_job_id, MAX_NAME_LENGTH):
        raise CronJobNotFound(cron_job_id)
    return cron_job_id


def _usable(payload: Unmasked) -> Any:
    """Raises: Refused with 400 where a mask would be taken for a secret, or a secret would come to light."""
    if payload.left:
        fault = "is masked, and there is no stored value that it could stand for; give the value"
        raise invalid({".".join(("payload", *path)): fault for path in payload.left})
    if payload.reveals:
        raise invalid({"payload": "would show a secret that is hidden now; give the whole payload anew"})
    return payload.value


def _check_body(request: Request) -> None:
    if has_body(request):
        check_content_type(request)
