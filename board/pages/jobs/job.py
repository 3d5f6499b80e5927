"""Job: one job with all that is known of it, and what can be done to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from board.access import actor_of
from board.errors import Refused
from board.notices import noted
from board.pages.forms import confirmation, is_confirmed, read_form, text_of
from board.pages.jobs.progress import percent_of
from board.paths import segment
from board.site import Routes, Site
from jobqueue.control import MAX_REASON, NO_REASON
from jobqueue.errors import InvalidOption
from jobqueue.inspector import STATES, JobView, Moment
from jobqueue.inspector.acting import Operator
from jobqueue.job import State
from jobqueue.problems import Problem

_ENDED: Final[frozenset[State]] = frozenset({"completed", "failed"})


def routes(site: Site) -> Routes:
    pages = _Job(site)
    return (
        ("GET", "/queues/{queue}/jobs/{job_id}", pages.show),
        ("POST", "/queues/{queue}/jobs/{job_id}/retry", pages.retry),
        ("POST", "/queues/{queue}/jobs/{job_id}/promote", pages.promote),
        ("GET", "/queues/{queue}/jobs/{job_id}/cancel", pages.ask_to_cancel),
        ("POST", "/queues/{queue}/jobs/{job_id}/cancel", pages.cancel),
        ("GET", "/queues/{queue}/jobs/{job_id}/remove", pages.ask_to_remove),
        ("POST", "/queues/{queue}/jobs/{job_id}/remove", pages.remove),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One moment in the life of a job, and how long it was until then since the one before."""

    moment: Moment
    after_ms: int | None


def steps_of(timeline: tuple[Moment, ...]) -> tuple[Step, ...]:
    """The moments in their order. A clock that went backwards makes no duration."""
    before = (None, *(moment.at_ms for moment in timeline))
    return tuple(
        Step(moment, None if since is None or since > moment.at_ms else moment.at_ms - since)
        for moment, since in zip(timeline, before, strict=False)
    )


def acts_of(view: JobView) -> frozenset[str]:
    """What can be done to a job in this state; what is offered may have become impossible when it is asked for."""
    acts: set[str] = set()
    if view.state == "failed":
        acts.add("retry")
    if view.state == "delayed":
        acts.add("promote")
    if view.state not in _ENDED and view.state != "unknown":
        acts.add("cancel")
    if view.state != "active":
        acts.add("remove")
    if view.job is not None:
        acts.add("again")
    return frozenset(acts)


def refuse_read_only(site: Site) -> None:
    """Raises: Refused, for a page that leads to a change and nowhere else."""
    if site.read_only:
        raise Refused(Problem(403, "read_only", "this board is read-only"))


@dataclass(frozen=True, slots=True)
class _Job:
    site: Site

    async def show(self, request: Request) -> Response:
        queue, job_id = _place(request)
        inspector, registry = self.site.inspector, self.site.app.registry
        view, family = await asyncio.gather(inspector.job(queue, job_id), inspector.family(queue, job_id))
        handler = None if view.job is None else registry.find(view.job.name)
        context = {
            "view": view,
            "family": family,
            "steps": steps_of(view.timeline),
            "acts": acts_of(view),
            "handler": handler,
            "percent": None if view.job is None else percent_of(view.job.progress),
        }
        return self.site.page(request, "job.html", context)

    async def retry(self, request: Request) -> Response:
        """303, so that the browser asks for the job's page and a reload does not retry again."""
        await read_form(request)
        queue, job_id = _place(request)
        await self._operator(request).retry(queue, job_id)
        return RedirectResponse(self._address(request), 303)

    async def promote(self, request: Request) -> Response:
        await read_form(request)
        queue, job_id = _place(request)
        await self._operator(request).promote(queue, job_id)
        return RedirectResponse(noted(self._address(request), "promoted"), 303)

    async def ask_to_cancel(self, request: Request) -> Response:
        refuse_read_only(self.site)
        return await self._ask_to_cancel(request)

    async def cancel(self, request: Request) -> Response:
        """Asks for the reason first, which may be left out."""
        form = await read_form(request)
        reason = text_of(form, "reason")
        if not is_confirmed(form):
            return await self._ask_to_cancel(request, reason)
        queue, job_id = _place(request)
        try:
            done = await self._operator(request).cancel(queue, job_id, reason or NO_REASON)
        except InvalidOption as error:
            if error.field != "reason":
                raise
            return await self._ask_to_cancel(request, reason, error.problem)
        return RedirectResponse(noted(self._address(request), done), 303)

    async def _ask_to_cancel(self, request: Request, reason: str = "", fault: str = "") -> Response:
        view = await self.site.inspector.job(*_place(request))
        context = {"view": view, "reason": reason, "fault": fault, "longest": MAX_REASON}
        return self.site.page(request, "cancel.html", context, status=400 if fault else 200)

    async def ask_to_remove(self, request: Request) -> Response:
        refuse_read_only(self.site)
        return self._ask_to_remove(request, await self.site.inspector.job(*_place(request)))

    async def remove(self, request: Request) -> Response:
        """Asks first, and removes it from the state in which it was then. The way back leads to the others of that."""
        form = await read_form(request)
        queue, job_id = _place(request)
        view = await self.site.inspector.job(queue, job_id)
        if not is_confirmed(form):
            return self._ask_to_remove(request, view)
        seen: dict[str, State] = {state: state for state in STATES}
        state = seen.get(text_of(form, "state"))
        await self._operator(request).remove(queue, job_id, state)
        links = self.site.links(request)
        address = links.queue(queue) if view.state == "unknown" else links.state(queue, state or view.state)
        return RedirectResponse(noted(address or links.queues(), "removed"), 303)

    def _ask_to_remove(self, request: Request, view: JobView) -> Response:
        links = self.site.links(request)
        name = "the malformed job" if view.job is None else view.job.name
        return confirmation(
            self.site,
            request,
            question=f"Remove {name} {view.id}?",
            button="Remove",
            action=links.job_act(view.queue, view.id, "remove") or links.queues(),
            back=links.job(view.queue, view.id) or links.queues(),
            details=(
                f"It is {view.state} in the queue {view.queue}.",
                "Its data, result and log are deleted, and so are its children in a flow. Nothing brings them back.",
            ),
            fields=() if view.state == "unknown" else (("state", view.state),),
        )

    def _operator(self, request: Request) -> Operator:
        return self.site.inspector.acting_as(actor_of(request.scope))

    def _address(self, request: Request) -> str:
        links = self.site.links(request)
        return links.job(*_place(request)) or links.queues()


def _place(request: Request) -> tuple[str, str]:
    """The queue and the id of the job that the path names."""
    return segment(request, "queue"), segment(request, "job_id")
