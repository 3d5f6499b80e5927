"""Paths: one segment of a URL is one name. Links go out encoded; routes see them encoded; handlers decode once.

Servers hand over a decoded path, in which the job id `a%2Fb` has become two segments and `..%2f` looks like a step up.
So the app routes by the path as it was sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_UNREACHABLE = (".", "..")


class EncodedPath:
    """Middleware: from here on `scope["path"]` below the root path is as the client sent it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope.get("root_path", "") + _encoded_route_path(scope)}
        await self._app(scope, receive, send)


def _encoded_route_path(scope: Scope) -> str:
    raw = scope.get("raw_path")
    sent = raw.decode("latin-1").partition("?")[0] if raw is not None else quote(scope["path"])
    root = scope.get("root_path", "")
    return next((sent[end:] for end in _ends_of_segments(sent) if unquote(sent[:end]) == root), sent)


def _ends_of_segments(path: str) -> Iterator[int]:
    yield from (position for position, letter in enumerate(path) if letter == "/")
    yield len(path)


def route_path(scope: Scope) -> str:
    """The path below the root path, which is what the routes see."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def segment(request: Request, name: str) -> str:
    """A name out of the path. Bytes that are no UTF-8 become U+FFFD, so that no such name is found."""
    return unquote(request.path_params[name])


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses of the board's pages. Invariant: each begins with exactly one slash, so none leaves the host.

    A name of one or two dots has no address: browsers take it for a step up, however it is encoded.
    """

    base: str

    @classmethod
    def of(cls, scope: Scope, board_path: str) -> Links:
        root = quote(scope.get("root_path", "")).strip("/")
        return cls(f"/{root}{board_path}" if root else board_path)

    def queues(self) -> str:
        return self.base

    def static(self, name: str) -> str:
        return f"{self.base}/static/{name}"

    def state(
        self, queue: str, state: str, offset: int = 0, limit: int | None = None, cancelled: bool | None = None
    ) -> str | None:
        address = self._under_queue(queue, state)
        kind = None if cancelled is None else str(cancelled).lower()
        wanted = {"cancelled": kind, "offset": offset or None, "limit": limit}
        query = "&".join(f"{name}={value}" for name, value in wanted.items() if value is not None)
        return f"{address}?{query}" if address and query else address

    def job(self, queue: str, job_id: str) -> str | None:
        return None if job_id in _UNREACHABLE else self._under_queue(queue, "jobs", job_id)

    def retry(self, queue: str, job_id: str) -> str | None:
        return None if job_id in _UNREACHABLE else self._under_queue(queue, "jobs", job_id, "retry")

    def _under_queue(self, queue: str, *names: str) -> str | None:
        if queue in _UNREACHABLE:
            return None
        return "/".join([self.base, "queues", *(quote(name, safe="") for name in (queue, *names))])
