"""Bulk: one act on many jobs, those that were ticked or all that match a filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from board.access import actor_of
from board.errors import invalid
from board.notices import noted
from board.pages.forms import confirmation, fields_of, is_confirmed, read_form, text_of, texts_of
from board.pages.jobs.filters import Filter, read_filter
from board.pages.jobs.listing import ALL, state_of
from board.pages.outcome import DONE_WORDS, outcome
from board.paths import segment
from board.site import Routes, Site
from jobqueue.control import NO_REASON
from jobqueue.inspector import ACTS, MAX_IDS, Act
from jobqueue.inspector.bulk_acts import check_act
from jobqueue.job import State

_WORDS: Final[dict[Act, str]] = {"retry": "Retry", "cancel": "Cancel", "promote": "Promote", "remove": "Remove"}
_DETAILS: Final[dict[Act, str]] = {
    "retry": "What is retried goes back to waiting, its attempts counted from the start.",
    "cancel": "What waits will not run, and what runs is told to stop; both end as failed.",
    "promote": "What is promoted runs as soon as a worker is free.",
    "remove": "What is removed is gone for good, with its log and its result.",
}
MORE_THAN_COUNTED: Final = "There are more of them than can be counted quickly."
_ASKS_FIRST: Final[frozenset[Act]] = frozenset({"cancel", "remove"})


def routes(site: Site) -> Routes:
    return (("POST", "/queues/{queue}/jobs", _BulkActs(site).answer),)


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked: an act on the jobs of these ids, or where `matching` is set on all that the filter wants.

    `state` is that of the list in which they were seen; None for the list of all states.
    """

    act: Act
    ids: Sequence[str]
    state: State | None
    matching: State | None
    reason: str
    asked: Filter
    back: str


@dataclass(frozen=True, slots=True)
class _BulkActs:
    site: Site

    async def answer(self, request: Request) -> Response:
        queue, form = segment(request, "queue"), await read_form(request)
        if not await self.site.inspector.has_queue(queue):
            raise HTTPException(404)
        order = self._order(request, queue, form)
        if order.matching is None and not order.ids:
            return RedirectResponse(noted(order.back, "nothing"), 303)
        if not is_confirmed(form) and (order.matching is not None or order.act in _ASKS_FIRST):
            return await self._ask(request, queue, form, order)
        operator = self.site.inspector.acting_as(actor_of(request.scope))
        if order.matching is None:
            bulk = await operator.apply(queue, order.act, order.ids, order.reason, state=order.state)
        else:
            bulk = await operator.apply_to_all(queue, order.act, order.matching, order.asked.wanted, order.reason)
        return outcome(self.site, request, bulk, DONE_WORDS[order.act], order.back)

    def _address(self, request: Request, queue: str) -> str:
        return self.site.links(request).queue_act(queue, "jobs") or ""

    def _order(self, request: Request, queue: str, form: FormData) -> _Order:
        acts: dict[str, Act] = {act: act for act in ACTS}
        act = acts.get(text_of(form, "act"))
        if act is None:
            raise invalid({"act": f"must be one of {', '.join(ACTS)}, not {text_of(form, 'act')!r:.100}"})
        word = text_of(form, "matching") or text_of(form, "state") or ALL
        state = state_of(word)
        matching = state if text_of(form, "matching") else None
        if text_of(form, "matching") and matching is None:
            raise invalid({"matching": "must be a state"})
        check_act(act, state)
        asked = read_filter(form, word)
        if asked.faults:
            raise invalid(asked.faults)
        ids = () if matching is not None else tuple(dict.fromkeys(texts_of(form, "id")))
        if len(ids) > MAX_IDS:
            raise invalid({"id": f"must be given at most {MAX_IDS} times, not {len(ids)}"})
        links = self.site.links(request)
        listed = links.state(queue, state or ALL, wanted=asked.fields) or links.queues()
        return _Order(act, ids, state, matching, text_of(form, "reason") or NO_REASON, asked, listed)

    async def _ask(self, request: Request, queue: str, form: FormData, order: _Order) -> Response:
        details = [_DETAILS[order.act]]
        how_many = jobs_in_words(len(order.ids))
        if order.matching is not None:
            found = await self.site.inspector.jobs(queue, order.matching, 0, 1, wanted=order.asked.wanted)
            how_many = jobs_in_words(found.total, order.matching, " that match" if order.asked.fields else "")
            if found.total is None:
                details.insert(0, MORE_THAN_COUNTED)
        return confirmation(
            self.site,
            request,
            question=f"{_WORDS[order.act]} {how_many} of {queue}?",
            button=_WORDS[order.act],
            action=self._address(request, queue),
            back=order.back,
            details=details,
            fields=fields_of(form),
        )


def jobs_in_words(count: int | None, state: str = "", which: str = "") -> str:
    """How many: "3 failed jobs that match", or "all failed jobs" where nobody has counted them."""
    what = " ".join(word for word in (state, "job" if count == 1 else "jobs") if word)
    return f"{'all' if count is None else f'{count:,}'} {what}{which}"
