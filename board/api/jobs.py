"""Jobs: the admin routes of jobs and handlers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from board.access import ADMIN_PATH
from board.api.body import check_content_type, has_body, read_object
from board.api.options import read_options, refused_option
from board.api.serialize import enqueued_json, handler_json, job_json
from board.errors import invalid
from board.json import Json
from board.paths import segment
from board.site import Answer, Site
from jobqueue.app import App
from jobqueue.control import NO_REASON
from jobqueue.errors import InvalidOption, RedisError
from jobqueue.handler import Handler
from jobqueue.inspector import Inspector
from jobqueue.job import Enqueued

ROOM_BESIDE_PAYLOAD_BYTES: Final = 16 * 1024


def job_routes(site: Site) -> list[Route]:
    admin = _Jobs(site.app, site.inspector)
    routes: tuple[tuple[str, str, Answer], ...] = (
        ("POST", "/job", admin.enqueue),
        ("GET", "/job/{job_id}", admin.show_job),
        ("POST", "/job/{job_id}/retry", admin.retry_job),
        ("POST", "/job/{job_id}/cancel", admin.cancel_job),
        ("GET", "/handler", admin.list_handlers),
    )
    return [Route(ADMIN_PATH + path, answer, methods=[method]) for method, path, answer in routes]


@dataclass(frozen=True, slots=True)
class _Jobs:
    app: App
    inspector: Inspector

    async def enqueue(self, request: Request) -> Response:
        limit_bytes = self.app.settings.jobs_max_payload_bytes + ROOM_BESIDE_PAYLOAD_BYTES
        body = await read_object(request, limit_bytes, ("handler", "payload", "options"))
        handler, payload = self._handler(body), body.get("payload")
        options = read_options(body.get("options"))
        queue = options.get("queue") or handler.policy.queue or self.app.settings.jobs_queue
        try:
            await self.inspector.check_version(queue)
            enqueued = await self.app.enqueue_job(handler.name, payload, **options)
        except InvalidOption as error:
            raise refused_option(error) from error
        shown = enqueued_json(enqueued, await self._enqueued_at_ms(enqueued))
        return Json({"data": shown}, 201 if enqueued.created else 200)

    async def show_job(self, request: Request) -> Response:
        view = await self.inspector.job(self._queue(request), segment(request, "job_id"))
        return Json({"data": job_json(view)})

    async def retry_job(self, request: Request) -> Response:
        if has_body(request):
            check_content_type(request)
        queue, job_id = self._queue(request), segment(request, "job_id")
        await self.inspector.retry(queue, job_id)
        return Json({"data": job_json(await self.inspector.job(queue, job_id))})

    async def cancel_job(self, request: Request) -> Response:
        """202, for the worker of an active job ends it a moment later."""
        body: Mapping[str, Any] = {}
        if has_body(request):
            body = await read_object(request, ROOM_BESIDE_PAYLOAD_BYTES, ("reason",))
        reason = body.get("reason")
        queue, job_id = self._queue(request), segment(request, "job_id")
        state = await self.inspector.cancel(queue, job_id, NO_REASON if reason is None else reason)
        return Json({"data": {"jobId": job_id, "state": state}}, 202)

    async def list_handlers(self, request: Request) -> Response:
        default_queue = self.app.settings.jobs_queue
        return Json({"data": [handler_json(handler, default_queue) for handler in self.app.registry]})

    def _queue(self, request: Request) -> str:
        return request.query_params.get("queue") or self.app.settings.jobs_queue

    def _handler(self, body: Mapping[str, Any]) -> Handler[Any]:
        name = body.get("handler")
        if not isinstance(name, str):
            raise invalid({"handler": "must be the name of a handler"})
        return self.app.registry.get(name)

    async def _enqueued_at_ms(self, enqueued: Enqueued) -> int | None:
        """The job is stored, so the answer is a success even where Redis has gone away since."""
        try:
            return await self.inspector.enqueued_at_ms(enqueued.queue, enqueued.job_id)
        except RedisError:
            return None
