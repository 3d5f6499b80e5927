"""Queues: the admin routes of whole queues, and of many jobs at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from board.access import ADMIN_PATH, actor_of
from board.api import bodies
from board.api.answers import BulkShown, Data, QueueShown, RemovedShown
from board.api.body import check_no_form, read_body, read_body_if_any
from board.api.operations import Operation
from board.api.serialize import bulk_json, queue_json, removed_json
from board.json import Json
from board.paths import segment
from board.site import Site
from jobqueue.control import NO_REASON
from jobqueue.inspector import Bulk, Operator

BULK_BYTES: Final = 512 * 1024
"""Room for as many ids as a bulk act may name."""

_PATH: Final = f"{ADMIN_PATH}/queue"
_ONE: Final = f"{_PATH}/{{queue}}"
_QUEUE: Final = Data[QueueShown]
_BULK: Final = Data[BulkShown]


def queue_operations(site: Site) -> tuple[Operation, ...]:
    queues = _Queues(site)
    return (
        Operation(
            method="GET",
            path=_PATH,
            summary="List the queues with their counts",
            answer=queues.list_all,
            answers={200: Data[list[QueueShown]]},
        ),
        Operation(
            method="GET",
            path=_ONE,
            summary="Show a queue",
            answer=queues.show,
            answers={200: _QUEUE},
            problems=(404,),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/pause",
            summary="Let no worker begin a job of this queue",
            answer=queues.pause,
            answers={200: _QUEUE},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/resume",
            summary="Let workers begin jobs again",
            answer=queues.resume,
            answers={200: _QUEUE},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/clean",
            summary="Remove old jobs of one state",
            about="`complete` is false where time ran out: ask again.",
            answer=queues.clean,
            body=bodies.Clean,
            needs_body=True,
            answers={200: Data[RemovedShown]},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/drain",
            summary="Remove all jobs that wait, and the delayed ones where that is asked for",
            about="`complete` is false where time ran out: ask again.",
            answer=queues.drain,
            body=bodies.Drain,
            answers={200: Data[RemovedShown]},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/retry-failed",
            summary="Retry all failed jobs",
            answer=queues.retry_failed,
            answers={200: _BULK},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/promote-delayed",
            summary="Let all delayed jobs run now",
            answer=queues.promote_delayed,
            answers={200: _BULK},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/jobs",
            summary="Retry, cancel, promote or remove many jobs",
            about="Those in `ids`, or all of `state` that match. `complete` is false where time ran out: ask again.",
            answer=queues.apply,
            body=bodies.Bulk,
            needs_body=True,
            answers={200: _BULK},
            problems=(404, 409),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Queues:
    site: Site

    async def list_all(self, request: Request) -> Response:
        return Json({"data": [queue_json(queue) for queue in await self.site.inspector.queues()]})

    async def show(self, request: Request) -> Response:
        return await self._shown(await self._queue(request))

    async def pause(self, request: Request) -> Response:
        check_no_form(request)
        queue = await self._queue(request)
        await self._operator(request).pause(queue)
        return await self._shown(queue)

    async def resume(self, request: Request) -> Response:
        check_no_form(request)
        queue = await self._queue(request)
        await self._operator(request).resume(queue)
        return await self._shown(queue)

    async def clean(self, request: Request) -> Response:
        body = await read_body(request, bodies.Clean)
        queue = await self._queue(request)
        done = await self._operator(request).clean(queue, body.state, body.older_than_ms, body.limit)
        return Json({"data": removed_json(done)})

    async def drain(self, request: Request) -> Response:
        body = await read_body_if_any(request, bodies.Drain)
        queue = await self._queue(request)
        done = await self._operator(request).drain(queue, delayed=body.delayed)
        return Json({"data": removed_json(done)})

    async def retry_failed(self, request: Request) -> Response:
        return await self._many(request, self._operator(request).retry_failed)

    async def promote_delayed(self, request: Request) -> Response:
        return await self._many(request, self._operator(request).promote_delayed)

    async def apply(self, request: Request) -> Response:
        body = await read_body(request, bodies.Bulk, BULK_BYTES)
        queue, operator = await self._queue(request), self._operator(request)
        reason = NO_REASON if body.reason is None else body.reason
        if body.in_state is None:
            done = await operator.apply(queue, body.act, body.ids, reason)
        else:
            done = await operator.apply_to_all(queue, body.act, body.in_state, body.matching.wanted(), reason)
        return Json({"data": bulk_json(done)})

    async def _many(self, request: Request, act: Callable[[str], Awaitable[Bulk]]) -> Response:
        check_no_form(request)
        return Json({"data": bulk_json(await act(await self._queue(request)))})

    async def _shown(self, queue: str) -> Response:
        return Json({"data": queue_json(await self.site.inspector.queue(queue))})

    async def _queue(self, request: Request) -> str:
        """The queue of the address. Raises: HTTPException with 404 for one that nobody has used."""
        queue = segment(request, "queue")
        if not await self.site.inspector.has_queue(queue):
            raise HTTPException(404)
        return queue

    def _operator(self, request: Request) -> Operator:
        return self.site.inspector.acting_as(actor_of(request.scope))
