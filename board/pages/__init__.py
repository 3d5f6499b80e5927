"""Pages: what a person sees. Readable without JavaScript; an action is a form, answered by a redirect."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from board.pages import queues
from board.site import Site

_ROOMS = (queues,)


def page_routes(site: Site) -> list[BaseRoute]:
    answers = [one for room in _ROOMS for one in room.routes(site)]
    return [
        *(Route(site.board_path + path, answer, methods=[method]) for method, path, answer in answers),
        Mount(f"{site.board_path}/static", StaticFiles(packages=[("board", "static")])),
    ]
