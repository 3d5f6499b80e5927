"""Again: a job is enqueued once more, with its payload as it was shown or edited."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from board.access import actor_of
from board.errors import Refused
from board.pages.handlers.enqueue_form import EnqueueForm, Wanted, filled_form
from board.pages.handlers.enqueueing import answer_form
from board.pages.handlers.option_fields import OPTIONS, options_as_before
from board.pages.jobs.job import refuse_read_only
from board.paths import segment
from board.site import Routes, Site
from jobqueue.inspector import JobView
from jobqueue.job import Enqueued, Job
from jobqueue.problems import Problem


def routes(site: Site) -> Routes:
    pages = _Again(site)
    return (
        ("GET", "/queues/{queue}/jobs/{job_id}/again", pages.show),
        ("POST", "/queues/{queue}/jobs/{job_id}/again", pages.enqueue),
    )


@dataclass(frozen=True, slots=True)
class _Again:
    site: Site

    async def show(self, request: Request) -> Response:
        """The form says what the job's page shows: secrets are masks, which stand for what is stored."""
        refuse_read_only(self.site)
        view, job = await self._job(request)
        handler = self.site.app.registry.find(job.name)
        return self._page(request, view, filled_form(handler, job.envelope.payload))

    async def enqueue(self, request: Request) -> Response:
        view, job = await self._job(request)
        handler = self.site.app.registry.find(job.name)
        operator = self.site.inspector.acting_as(actor_of(request.scope))

        async def show(form: EnqueueForm) -> Response:
            return self._page(request, view, form)

        async def enqueue(wanted: Wanted) -> Enqueued:
            return await operator.enqueue_again(view.queue, segment(request, "job_id"), wanted.payload, wanted.options)

        return await answer_form(self.site, request, handler, show=show, enqueue=enqueue)

    async def _job(self, request: Request) -> tuple[JobView, Job]:
        """Raises: Refused for a job that cannot be read."""
        view = await self.site.inspector.job(segment(request, "queue"), segment(request, "job_id"))
        if view.job is None:
            raise Refused(Problem(409, "malformed", f"job {view.id} cannot be read, so it cannot be enqueued again"))
        return view, view.job

    def _page(self, request: Request, view: JobView, form: EnqueueForm) -> Response:
        links = self.site.links(request)
        context = {
            "view": view,
            "form": form,
            "form_queue": form.typed.get("options.queue") or view.queue,
            "options": OPTIONS,
            "usual": options_as_before(view),
            "action": links.job_act(view.queue, view.id, "again") or links.queues(),
        }
        return self.site.page(request, "again.html", context, status=form.status)
