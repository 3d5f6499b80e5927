"""Pages: what a person sees. Readable without JavaScript; an action is a form, answered by a redirect."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from board import live
from board.pages import audit, bulk, outbox, outcome, queue_acts, workers
from board.pages.cron import form as cron_form
from board.pages.cron import pages as cron
from board.pages.handlers import pages as handlers
from board.pages.jobs import again, job, listing
from board.pages.queues import overview, queue
from board.routing import routes_of
from board.site import Site

_ROOMS = (
    *(live, overview, queue, listing, bulk, queue_acts),
    *(cron_form, cron, workers, outbox, audit, outcome, job, again, handlers),
)


def page_routes(site: Site) -> list[BaseRoute]:
    answers = [one for room in _ROOMS for one in room.routes(site)]
    return [
        *routes_of((method, site.board_path + path, answer) for method, path, answer in answers),
        Mount(f"{site.board_path}/static", StaticFiles(packages=[("board", "static")])),
    ]
