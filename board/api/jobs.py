"""Jobs: the admin routes of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from board.access import ADMIN_PATH, actor_of
from board.api import bodies, questions
from board.api.answers import CancellingShown, Data, EnqueuedShown, JobPage, JobShown, UnreadableJob
from board.api.body import SMALL_BYTES, check_no_form, read_body, read_body_if_any
from board.api.operations import Operation
from board.api.options import read_options, refused_option
from board.api.questions import read_query
from board.api.serialize import enqueued_json, job_json, job_page_json
from board.json import Json
from board.paths import segment
from board.site import Site
from jobqueue.control import NO_REASON
from jobqueue.errors import InvalidOption, RedisError
from jobqueue.inspector import Operator
from jobqueue.job import Enqueued

ROOM_BESIDE_PAYLOAD_BYTES: Final = SMALL_BYTES


_PATH: Final = f"{ADMIN_PATH}/job"
_ONE: Final = f"{_PATH}/{{jobId}}"
_JOB: Final = Data[JobShown | UnreadableJob]


def job_operations(site: Site) -> tuple[Operation, ...]:
    jobs = _Jobs(site)
    return (
        Operation(
            method="POST",
            path=_PATH,
            summary="Enqueue a job",
            about="200 where a job of that `jobId` existed already: nothing was stored.",
            answer=jobs.enqueue,
            body=bodies.Enqueue,
            needs_body=True,
            answers={201: Data[EnqueuedShown], 200: Data[EnqueuedShown]},
            names={"jobId": "/data/jobId", "queue": "/data/queue"},
            problems=(409,),
        ),
        Operation(
            method="GET",
            path=_PATH,
            summary="List jobs, newest first",
            about="A filter looks at so many jobs and no more; where it stopped `complete` is false and `total` null.",
            answer=jobs.list_some,
            query=questions.Jobs,
            answers={200: JobPage},
            problems=(400, 404, 409),
        ),
        Operation(
            method="GET",
            path=_ONE,
            summary="Show a job with its log",
            answer=jobs.show,
            query=questions.OfQueue,
            answers={200: _JOB},
            problems=(400, 404, 409),
        ),
        Operation(
            method="DELETE",
            path=_ONE,
            summary="Remove a job",
            answer=jobs.remove,
            query=questions.OfQueue,
            answers={204: None},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/retry",
            summary="Retry a failed job, its attempts counted from the start",
            answer=jobs.retry,
            query=questions.OfQueue,
            answers={200: _JOB},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/promote",
            summary="Let a delayed job run now",
            answer=jobs.promote,
            query=questions.OfQueue,
            answers={200: _JOB},
            problems=(404, 409),
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/cancel",
            summary="Cancel a job that has not ended; its worker ends an active one a moment later",
            answer=jobs.cancel,
            query=questions.OfQueue,
            body=bodies.Reason,
            answers={202: Data[CancellingShown]},
            problems=(404, 409),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Jobs:
    site: Site

    async def enqueue(self, request: Request) -> Response:
        limit_bytes = self.site.app.settings.jobs_max_payload_bytes + ROOM_BESIDE_PAYLOAD_BYTES
        body = await read_body(request, bodies.Enqueue, limit_bytes)
        options = read_options(body.options)
        try:
            enqueued = await self._operator(request).enqueue(body.handler, body.payload, options)
        except InvalidOption as error:
            raise refused_option(error) from error
        shown = enqueued_json(enqueued, await self._enqueued_at_ms(enqueued))
        return Json({"data": shown}, 201 if enqueued.created else 200)

    async def list_some(self, request: Request) -> Response:
        asked = read_query(request, questions.Jobs)
        found = await self.site.inspector.jobs(
            self._queue(request),
            asked.state,
            asked.offset,
            asked.limit,
            wanted=asked.wanted(),
            scan_from=asked.scan_from,
        )
        return Json(job_page_json(found))

    async def show(self, request: Request) -> Response:
        return await self._shown(self._queue(request), segment(request, "jobId"))

    async def remove(self, request: Request) -> Response:
        check_no_form(request)
        await self._operator(request).remove(self._queue(request), segment(request, "jobId"))
        return Response(status_code=204)

    async def retry(self, request: Request) -> Response:
        check_no_form(request)
        queue, job_id = self._queue(request), segment(request, "jobId")
        await self._operator(request).retry(queue, job_id)
        return await self._shown(queue, job_id)

    async def promote(self, request: Request) -> Response:
        check_no_form(request)
        queue, job_id = self._queue(request), segment(request, "jobId")
        await self._operator(request).promote(queue, job_id)
        return await self._shown(queue, job_id)

    async def cancel(self, request: Request) -> Response:
        """202, for the worker of an active job ends it a moment later."""
        body = await read_body_if_any(request, bodies.Reason)
        queue, job_id = self._queue(request), segment(request, "jobId")
        reason = NO_REASON if body.reason is None else body.reason
        state = await self._operator(request).cancel(queue, job_id, reason)
        return Json({"data": {"jobId": job_id, "state": state}}, 202)

    async def _shown(self, queue: str, job_id: str) -> Response:
        return Json({"data": job_json(await self.site.inspector.job(queue, job_id))})

    def _operator(self, request: Request) -> Operator:
        return self.site.inspector.acting_as(actor_of(request.scope))

    def _queue(self, request: Request) -> str:
        return request.query_params.get("queue") or self.site.app.settings.jobs_queue

    async def _enqueued_at_ms(self, enqueued: Enqueued) -> int | None:
        """The job is stored, so the answer is a success even where Redis has gone away since."""
        if enqueued.outboxed:
            return None
        try:
            return await self.site.inspector.enqueued_at_ms(enqueued.queue, enqueued.job_id)
        except RedisError:
            return None
