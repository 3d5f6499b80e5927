"""Queue acts: what a person does to a whole queue. What destroys, or moves many jobs, asks first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from board.access import actor_of
from board.notices import noted
from board.pages.bulk import MORE_THAN_COUNTED, jobs_in_words
from board.pages.forms import confirmation, fields_of, is_confirmed, read_form, text_of
from board.pages.outcome import outcome
from board.pages.queues.queue import CLEANABLE, UNITS_MS, QueuePage
from board.paths import segment
from board.site import Routes, Site
from jobqueue.cleaning import Cleanable
from jobqueue.clock import now_ms
from jobqueue.inspector import Bulk, JobFilter, Operator

_MOST_AGE: Final = 100_000
_GONE: Final = "What is removed is gone for good, with its log and its result."


def routes(site: Site) -> Routes:
    acts = _QueueActs(site, QueuePage(site))
    return (
        ("POST", "/queues/{queue}/pause", acts.pause),
        ("POST", "/queues/{queue}/resume", acts.resume),
        ("POST", "/queues/{queue}/clean", acts.clean),
        ("POST", "/queues/{queue}/drain", acts.drain),
        ("POST", "/queues/{queue}/retry-failed", acts.retry_failed),
        ("POST", "/queues/{queue}/promote-delayed", acts.promote_delayed),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request to act on a queue; `action` is its address, `back` the queue's page."""

    request: Request
    queue: str
    form: FormData
    operator: Operator
    action: str
    back: str


@dataclass(frozen=True, slots=True)
class _QueueActs:
    site: Site
    page: QueuePage

    async def pause(self, request: Request) -> Response:
        asked = await self._asked(request, "pause")
        await asked.operator.pause(asked.queue)
        return RedirectResponse(noted(asked.back, "paused"), 303)

    async def resume(self, request: Request) -> Response:
        asked = await self._asked(request, "resume")
        await asked.operator.resume(asked.queue)
        return RedirectResponse(noted(asked.back, "resumed"), 303)

    async def retry_failed(self, request: Request) -> Response:
        asked = await self._asked(request, "retry-failed")
        if not is_confirmed(asked.form):
            count = (await self.site.inspector.queue(asked.queue)).counts.get("failed", 0)
            details = ("What is retried goes back to waiting, its attempts counted from the start.",)
            return self._ask(asked, f"Retry {jobs_in_words(count, 'failed')} of {asked.queue}?", "Retry", details)
        bulk = await asked.operator.retry_failed(asked.queue)
        return self._outcome(asked, bulk, "retried")

    async def promote_delayed(self, request: Request) -> Response:
        asked = await self._asked(request, "promote-delayed")
        if not is_confirmed(asked.form):
            count = (await self.site.inspector.queue(asked.queue)).counts.get("delayed", 0)
            details = ("What is promoted runs as soon as a worker is free. Cron jobs keep their times.",)
            return self._ask(asked, f"Promote {jobs_in_words(count, 'delayed')} of {asked.queue}?", "Promote", details)
        bulk = await asked.operator.promote_delayed(asked.queue)
        return self._outcome(asked, bulk, "promoted")

    async def drain(self, request: Request) -> Response:
        asked = await self._asked(request, "drain")
        with_delayed = text_of(asked.form, "delayed") == "yes"
        if not is_confirmed(asked.form):
            counts = (await self.site.inspector.queue(asked.queue)).counts
            states = ("waiting", "prioritized", *(("delayed",) if with_delayed else ()))
            how_many = jobs_in_words(sum(counts.get(state, 0) for state in states))
            what = "that wait or are delayed" if with_delayed else "that wait"
            details = (_GONE, "Jobs that run go on; cron jobs and parked jobs stay.")
            return self._ask(asked, f"Drain {asked.queue}: remove {how_many} {what}?", "Drain", details)
        bulk = await asked.operator.drain(asked.queue, delayed=with_delayed)
        return self._outcome(asked, bulk, "removed")

    async def clean(self, request: Request) -> Response:
        asked = await self._asked(request, "clean")
        states: dict[str, Cleanable] = {state: state for state in CLEANABLE}
        state, age_ms = states.get(text_of(asked.form, "state")), _age_ms(asked.form)
        if state is None or age_ms is None:
            faults = {} if state else {"state": f"must be one of {', '.join(CLEANABLE)}"}
            faults |= (
                {} if age_ms is not None else {"age": f"must be a whole number from 0 to {_MOST_AGE}; 0 removes all"}
            )
            return await self.page.show(request, asked.queue, given=dict(fields_of(asked.form)), faults=faults)
        if not is_confirmed(asked.form):
            return await self._ask_to_clean(asked, state, age_ms)
        bulk = await asked.operator.clean(asked.queue, state, age_ms)
        return self._outcome(asked, bulk, "removed")

    async def _ask_to_clean(self, asked: _Asked, state: Cleanable, age_ms: int) -> Response:
        wanted = JobFilter(to_ms=now_ms() - age_ms)
        found = await self.site.inspector.jobs(asked.queue, state, 0, 1, wanted=wanted)
        age = f" older than {text_of(asked.form, 'age')} {text_of(asked.form, 'unit')}" if age_ms else ""
        details = (*(() if found.complete else (MORE_THAN_COUNTED,)), _GONE)
        question = f"Clean {asked.queue}: remove {jobs_in_words(found.total, state, age)}?"
        return self._ask(asked, question, "Clean", details)

    async def _asked(self, request: Request, act: str) -> _Asked:
        queue, form = segment(request, "queue"), await read_form(request)
        links = self.site.links(request)
        back, action = links.queue(queue), links.queue_act(queue, act)
        if back is None or action is None or not await self.site.inspector.has_queue(queue):
            raise HTTPException(404)
        operator = self.site.inspector.acting_as(actor_of(request.scope))
        return _Asked(request, queue, form, operator, action, back)

    def _ask(self, asked: _Asked, question: str, button: str, details: Sequence[str]) -> Response:
        return confirmation(
            self.site,
            asked.request,
            question=question,
            button=button,
            action=asked.action,
            back=asked.back,
            details=details,
            fields=fields_of(asked.form),
        )

    def _outcome(self, asked: _Asked, bulk: Bulk, word: str) -> Response:
        return outcome(self.site, asked.request, bulk, word, asked.back)


def _age_ms(form: FormData) -> int | None:
    """How old; None where no number is given. A unit that is none counts as days, the longest, which removes least."""
    given = text_of(form, "age")
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(_MOST_AGE))) or int(given) > _MOST_AGE:
        return None
    return int(given) * UNITS_MS.get(text_of(form, "unit"), UNITS_MS["days"])
