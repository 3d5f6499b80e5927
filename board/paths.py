"""Paths: one segment of a URL is one name. Links go out encoded; routes see them encoded; handlers decode once.

Servers hand over a decoded path, in which the job id `a%2Fb` has become two segments and `..%2f` looks like a step up.
So the app routes by the path as it was sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode

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


def with_query(address: str | None, query: Mapping[str, str | int | None]) -> str | None:
    """The address with what the query has, but for what is None; None where there is no address."""
    given = urlencode({name: value for name, value in query.items() if value is not None}, quote_via=quote)
    return f"{address}?{given}" if address is not None and given else address


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

    def queues_from(self, offset: int) -> str:
        return f"{self.base}?offset={offset}" if offset else self.base

    def find(self) -> str:
        return f"{self.base}/find"

    def cron(self, text: str = "", offset: int = 0, limit: int | None = None) -> str:
        """The cron jobs; `text` is looked for in their name, job id and handler."""
        address = f"{self.base}/cron"
        return with_query(address, {"q": text or None, "offset": offset or None, "limit": limit}) or address

    def cron_new(self, handler: str | None = None) -> str:
        address = f"{self.base}/cron/new"
        return with_query(address, {"handler": handler}) or address

    def cron_preview(self) -> str:
        return f"{self.base}/cron/preview"

    def cron_job(self, cron_job_id: str, act: str | None = None) -> str | None:
        """The page of one row by its id, or where an act on it is sent: edit, trigger, enable, disable, delete."""
        if cron_job_id in _UNREACHABLE:
            return None
        address = f"{self.base}/cron/{quote(cron_job_id, safe='')}"
        return f"{address}/{act}" if act else address

    def handlers(self) -> str:
        return f"{self.base}/handlers"

    def handler(self, name: str) -> str | None:
        return None if name in _UNREACHABLE else f"{self.handlers()}/{quote(name, safe='')}"

    def workers(self, queue: str | None = None, offset: int = 0) -> str:
        """Those that serve one queue, or all."""
        address = f"{self.base}/workers"
        return with_query(address, {"queue": queue, "offset": offset or None}) or address

    def audit(self, queue: str | None = None, before: str | None = None) -> str:
        address = f"{self.base}/audit"
        return with_query(address, {"queue": queue, "before": before}) or address

    def audit_entry(self, entry_id: str) -> str:
        """The page of what came of an act on many jobs."""
        return f"{self.base}/audit/{quote(entry_id, safe='')}"

    def outbox(self, queue: str | None = None, state: str | None = None, after: str | None = None) -> str:
        """The jobs on their way; with a queue its rows in a state."""
        address = f"{self.base}/outbox"
        return with_query(address, {"queue": queue, "state": state, "after": after}) or address

    def outbox_row(self, row_id: int, act: str | None = None) -> str:
        """The page of one row, or where an act on it is sent: retry, remove."""
        address = f"{self.base}/outbox/row/{row_id}"
        return f"{address}/{act}" if act else address

    def outbox_act(self, act: str) -> str:
        """Where an act on all rows of a queue that are set aside is sent: retry, remove."""
        return f"{self.base}/outbox/{act}"

    def static(self, name: str) -> str:
        return f"{self.base}/static/{name}"

    def queue(self, queue: str, span: str | None = None) -> str | None:
        """The page of one queue; `span` is how far back its charts reach."""
        return with_query(self._under_queue(queue), {"span": span})

    def queue_act(self, queue: str, act: str) -> str | None:
        """Where an act on the whole queue is sent: pause, clean, …, and jobs for what is done to many of them."""
        return self._under_queue(queue, act)

    def state(
        self,
        queue: str,
        state: str,
        offset: int = 0,
        limit: int | None = None,
        wanted: Mapping[str, str] | None = None,
        scan_from: int = 0,
    ) -> str | None:
        """The jobs in a state; `wanted` has the fields of a filter as the query has them."""
        place = {"offset": offset or None, "limit": limit, "scanFrom": scan_from or None}
        return with_query(self._under_queue(queue, state), {**(wanted or {}), **place})

    def job(self, queue: str, job_id: str) -> str | None:
        return None if job_id in _UNREACHABLE else self._under_queue(queue, "jobs", job_id)

    def retry(self, queue: str, job_id: str) -> str | None:
        return None if job_id in _UNREACHABLE else self._under_queue(queue, "jobs", job_id, "retry")

    def job_act(self, queue: str, job_id: str, act: str) -> str | None:
        """Where an act on one job is asked for: cancel, promote, remove, again."""
        return None if job_id in _UNREACHABLE else self._under_queue(queue, "jobs", job_id, act)

    def _under_queue(self, queue: str, *names: str) -> str | None:
        if queue in _UNREACHABLE:
            return None
        return "/".join([self.base, "queues", *(quote(name, safe="") for name in (queue, *names))])
