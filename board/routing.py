"""Routing: one route for each path, whatever its methods, so that a 405 names all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from board.site import Answer


def routes_of(answers: Iterable[tuple[str, str, Answer]]) -> list[Route]:
    """From method, path and how it is answered; HEAD is answered as GET. The order is that of the paths."""
    by_path: dict[str, dict[str, Answer]] = {}
    for method, path, answer in answers:
        by_path.setdefault(path, {})[method] = answer
    return [Route(path, _by_method(of_path), methods=list(of_path)) for path, of_path in by_path.items()]


def _by_method(answers: Mapping[str, Answer]) -> Answer:
    async def answer(request: Request) -> Response:
        return await answers["GET" if request.method == "HEAD" else request.method](request)

    return answer
