"""Looking: the admin routes that only show: handlers, workers and the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from board.access import ADMIN_PATH
from board.api import questions
from board.api.answers import AuditPageShown, Data, HandlerShown, WorkerShown
from board.api.operations import Operation
from board.api.questions import read_query
from board.api.serialize import audit_page_json, handler_json, worker_json
from board.json import Json
from board.site import Site

_HANDLERS: Final = f"{ADMIN_PATH}/handler"


def looking_operations(site: Site) -> tuple[Operation, ...]:
    looking = _Looking(site)
    return (
        Operation(
            method="GET",
            path=_HANDLERS,
            summary="List the handlers with their policies and the JSON Schema of their payloads",
            answer=looking.handlers,
            answers={200: Data[list[HandlerShown]]},
        ),
        Operation(
            method="GET",
            path=f"{ADMIN_PATH}/worker",
            summary="List the workers and what they are at",
            answer=looking.workers,
            answers={200: Data[list[WorkerShown]]},
        ),
        Operation(
            method="GET",
            path=f"{ADMIN_PATH}/audit",
            summary="List who did what, newest first",
            answer=looking.audit,
            query=questions.AuditTrail,
            answers={200: AuditPageShown},
            problems=(400,),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Looking:
    site: Site

    async def handlers(self, request: Request) -> Response:
        default_queue = self.site.app.settings.jobs_queue
        return Json({"data": [handler_json(handler, default_queue) for handler in self.site.app.registry]})

    async def workers(self, request: Request) -> Response:
        return Json({"data": [worker_json(worker) for worker in await self.site.inspector.workers()]})

    async def audit(self, request: Request) -> Response:
        asked = read_query(request, questions.AuditTrail)
        page = await self.site.inspector.audit(asked.queue, before=asked.before, limit=asked.limit)
        return Json(audit_page_json(page))
