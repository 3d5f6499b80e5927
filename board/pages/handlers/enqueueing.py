"""Enqueueing: what comes of a form that was sent, the same for a new job and for one that is enqueued again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from board.notices import noted
from board.pages.forms import read_form
from board.pages.handlers.enqueue_form import SHOW, EnqueueForm, Wanted, refused, sent_form, switched, wanted_of
from board.site import Site
from jobqueue.errors import DuplicateJob, InvalidOption, InvalidPayload, PayloadTooLarge
from jobqueue.handler import Handler
from jobqueue.job import Enqueued

_ENCODED: Final = 3
"""Bytes of a form for one byte of what was typed, at most."""
_ROOM_BESIDE_PAYLOAD_BYTES: Final = 64 * 1024

ShowForm: TypeAlias = Callable[[EnqueueForm], Awaitable[Response]]
Enqueue: TypeAlias = Callable[[Wanted], Awaitable[Enqueued]]


async def answer_form(
    site: Site, request: Request, handler: Handler[Any] | None, *, show: ShowForm, enqueue: Enqueue
) -> Response:
    """The page of the new job; or the form again, with what is wrong with it, or written the other way.

    Raises: Refused for what is no form or is larger than any payload may be; what `enqueue` raises, but for faults of
    what was typed.
    """
    limit_bytes = _ENCODED * (site.app.settings.jobs_max_payload_bytes + _ROOM_BESIDE_PAYLOAD_BYTES)
    sent = await read_form(request, limit_bytes)
    form = sent_form(handler, sent)
    if SHOW in sent:
        return await show(switched(form))
    wanted = wanted_of(form, handler)
    if not isinstance(wanted, Wanted):
        return await show(wanted)
    try:
        enqueued = await enqueue(wanted)
    except (InvalidPayload, InvalidOption, PayloadTooLarge, DuplicateJob) as error:
        return await show(refused(form, error))
    links = site.links(request)
    if enqueued.outboxed:
        return RedirectResponse(noted(links.outbox(enqueued.queue, "waiting"), "spilled"), 303)
    address = links.job(enqueued.queue, enqueued.job_id) or links.queues()
    return RedirectResponse(noted(address, "enqueued" if enqueued.created else "existed"), 303)
