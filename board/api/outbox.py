"""Outbox: the admin routes of the jobs on their way to Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from board.access import ADMIN_PATH
from board.api import bodies, questions
from board.api.answers import Data, OutboxRowPage, OutboxRowShown, OutboxShown, TreatedShown
from board.api.body import check_no_form, read_body
from board.api.operations import Operation
from board.api.questions import read_query
from board.api.serialize_outbox import outbox_json, row_json, treated_json
from board.json import Json
from board.outbox import ROW_ID, outbox_acts_of, row_id_of
from board.site import Site
from jobqueue.outbox.shelf import RowAct

_PATH: Final = f"{ADMIN_PATH}/outbox"
_ROWS: Final = f"{_PATH}/row"
_ONE: Final = f"{_ROWS}/{{{ROW_ID}}}"
_GOES_ON: Final = "`complete` is false where time ran out: ask again."


def outbox_operations(site: Site) -> tuple[Operation, ...]:
    outbox = _Outbox(site)
    return (
        Operation(
            method="GET",
            path=_PATH,
            summary="List the queues with jobs on their way to Redis, and those that overflow",
            answer=outbox.queues,
            answers={200: Data[OutboxShown]},
        ),
        Operation(
            method="GET",
            path=_ROWS,
            summary="List the rows of a queue that are set aside, or those that wait",
            answer=outbox.rows,
            query=questions.OutboxRows,
            answers={200: OutboxRowPage},
            problems=(400,),
        ),
        Operation(
            method="GET",
            path=_ONE,
            summary="Show a row",
            answer=outbox.show,
            answers={200: Data[OutboxRowShown]},
            problems=(404,),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/retry",
            summary="Let the relay try a row again that is set aside",
            answer=outbox.retry,
            answers={200: Data[OutboxRowShown]},
            problems=(404, 409),
        ),
        Operation(
            method="DELETE",
            path=_ONE,
            summary="Remove a row that is set aside: its job will never run",
            answer=outbox.remove,
            answers={204: None},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_PATH}/retry",
            summary="Let the relay try all rows of a queue again that are set aside",
            about=_GOES_ON,
            answer=outbox.retry_all,
            body=bodies.OfOutbox,
            needs_body=True,
            answers={200: Data[TreatedShown]},
        ),
        Operation(
            method="POST",
            path=f"{_PATH}/remove",
            summary="Remove all rows of a queue that are set aside",
            about=_GOES_ON,
            answer=outbox.remove_all,
            body=bodies.OfOutbox,
            needs_body=True,
            answers={200: Data[TreatedShown]},
        ),
    )


@dataclass(frozen=True, slots=True)
class _Outbox:
    site: Site

    async def queues(self, request: Request) -> Response:
        async with self.site.opened_database() as database:
            return Json({"data": outbox_json(await self.site.inspector.outbox(database))})

    async def rows(self, request: Request) -> Response:
        asked = read_query(request, questions.OutboxRows)
        queue = asked.queue or self.site.app.settings.jobs_queue
        async with self.site.opened_database() as database:
            page = self.site.inspector.outbox_page(database, queue, asked.state, asked.after, asked.limit)
            rows, following = await page
        return Json({"data": [row_json(row) for row in rows], "next": following})

    async def show(self, request: Request) -> Response:
        return await self._shown(row_id_of(request))

    async def retry(self, request: Request) -> Response:
        check_no_form(request)
        row = await outbox_acts_of(self.site, request).retry(row_id_of(request))
        return Json({"data": row_json(self.site.inspector.shown_row(row))})

    async def remove(self, request: Request) -> Response:
        check_no_form(request)
        await outbox_acts_of(self.site, request).remove(row_id_of(request))
        return Response(status_code=204)

    async def retry_all(self, request: Request) -> Response:
        return await self._treat_all(request, "retry")

    async def remove_all(self, request: Request) -> Response:
        return await self._treat_all(request, "remove")

    async def _treat_all(self, request: Request, act: RowAct) -> Response:
        body = await read_body(request, bodies.OfOutbox)
        return Json({"data": treated_json(await outbox_acts_of(self.site, request).treat_all(act, body.queue))})

    async def _shown(self, row_id: int) -> Response:
        async with self.site.opened_database() as database:
            return Json({"data": row_json(await self.site.inspector.outbox_row(database, row_id))})
