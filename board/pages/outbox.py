"""Outbox: the jobs on their way to Redis, and what is done to those that were set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from board.errors import invalid
from board.notices import noted
from board.outbox import ROW_ID, outbox_acts_of, row_id_of
from board.pages.forms import confirmation, is_confirmed, read_form, text_of
from board.pages.outcome import outcome
from board.render import number, shown
from board.site import Routes, Site
from jobqueue.inspector import OutboxQueue
from jobqueue.job import MAX_NAME_LENGTH
from jobqueue.outbox.shelf import RowAct, RowState

PAGE_SIZE: Final = 50
_STATES: Final[dict[str, RowState]] = {"waiting": "waiting", "set_aside": "set_aside"}
_WORDS: Final[dict[RowAct, str]] = {"retry": "Try again", "remove": "Remove"}
_DONE: Final[dict[RowAct, str]] = {"retry": "rows-retried", "remove": "rows-removed"}
_DETAILS: Final[dict[RowAct, str]] = {
    "retry": "Each is tried up to five times more; what is refused again is set aside again.",
    "remove": "Their jobs are in no queue yet, and never will be. Nobody else has them.",
}


def routes(site: Site) -> Routes:
    pages = _OutboxPages(site)
    one = f"/outbox/row/{{{ROW_ID}}}"
    return (
        ("GET", "/outbox", pages.list_all),
        ("POST", "/outbox/retry", pages.retry_all),
        ("POST", "/outbox/remove", pages.remove_all),
        ("GET", one, pages.show),
        ("POST", f"{one}/retry", pages.retry),
        ("POST", f"{one}/remove", pages.remove),
    )


@dataclass(frozen=True, slots=True)
class _OutboxPages:
    site: Site

    async def list_all(self, request: Request) -> Response:
        """The queues, and where one is asked for its rows."""
        asked = request.query_params.get("queue", "")[:MAX_NAME_LENGTH]
        state = _STATES.get(request.query_params.get("state", ""), "set_aside")
        after = request.query_params.get("after") or None
        context: dict[str, Any] = {"queue": asked, "state": state, "after": after, "rows": (), "next": None}
        async with self.site.opened_database() as database:
            context["view"] = await self.site.inspector.outbox(database)
            if asked:
                page = self.site.inspector.outbox_page(database, asked, state, after, PAGE_SIZE)
                context["rows"], context["next"] = await page
        return self.site.page(request, "outbox.html", context)

    async def show(self, request: Request) -> Response:
        async with self.site.opened_database() as database:
            row = await self.site.inspector.outbox_row(database, row_id_of(request))
        is_known = self.site.app.registry.find(row.name) is not None
        return self.site.page(request, "outbox_row.html", {"row": row, "is_known": is_known})

    async def retry(self, request: Request) -> Response:
        await read_form(request)
        row_id, links = row_id_of(request), self.site.links(request)
        row = await outbox_acts_of(self.site, request).retry(row_id)
        return RedirectResponse(noted(links.outbox(row.queue), "rows-retried"), 303)

    async def remove(self, request: Request) -> Response:
        """Asks first."""
        form, row_id, links = await read_form(request), row_id_of(request), self.site.links(request)
        if is_confirmed(form):
            row = await outbox_acts_of(self.site, request).remove(row_id)
            return RedirectResponse(noted(links.outbox(row.queue), "rows-removed"), 303)
        async with self.site.opened_database() as database:
            row_seen = await self.site.inspector.outbox_row(database, row_id)
        return confirmation(
            self.site,
            request,
            question=f"Remove row {row_id}, a job for {shown(row_seen.name)}?",
            button="Remove",
            action=links.outbox_row(row_id, "remove"),
            back=links.outbox_row(row_id),
            details=("The job is in no queue yet, and never will be. Nobody else has it.",),
        )

    async def retry_all(self, request: Request) -> Response:
        return await self._treat_all(request, "retry")

    async def remove_all(self, request: Request) -> Response:
        return await self._treat_all(request, "remove")

    async def _treat_all(self, request: Request, act: RowAct) -> Response:
        """All rows of a queue that are set aside. Asks first, and says how many."""
        form = await read_form(request)
        queue, links = _queue_of(form), self.site.links(request)
        if not is_confirmed(form):
            async with self.site.opened_database() as database:
                view = await self.site.inspector.outbox(database)
            return confirmation(
                self.site,
                request,
                question=f"{_WORDS[act]}: {_rows_in_words(view.queues, queue)} of {shown(queue)} that are set aside?",
                button=_WORDS[act],
                action=links.outbox_act(act),
                back=links.outbox(queue),
                details=(_DETAILS[act],),
                fields=(("queue", queue),),
            )
        bulk = await outbox_acts_of(self.site, request).treat_all(act, queue)
        return outcome(self.site, request, bulk, _DONE[act], links.outbox(queue))


def _queue_of(form: FormData) -> str:
    queue = text_of(form, "queue")
    if not queue:
        raise invalid({"queue": "must be the name of a queue"})
    return queue


def _rows_in_words(queues: Sequence[OutboxQueue], queue: str) -> str:
    found = next((one for one in queues if one.name == queue), OutboxQueue(queue))
    if found.set_aside == 1:
        return "the row"
    more = " or more" if found.counted_to and found.set_aside >= found.counted_to else ""
    return f"{number(found.set_aside)}{more} rows"
