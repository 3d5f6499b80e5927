"""Live: tells an open page that something has happened, never what. The page then asks for itself again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from board.errors import Refused
from board.hearing import Ear, Pulse
from board.site import Routes, Site
from board.watch import Watch
from jobqueue.app import App
from jobqueue.errors import ClientClosed
from jobqueue.inspector import Inspector
from jobqueue.problems import Problem
from jobqueue.redis.retry import until_answered

_log = logging.getLogger("board")

MAX_STREAMS: Final = 200
MAX_QUEUES: Final = 50
"""Each queue that is listened to costs a connection to Redis."""
SEND_S: Final = 30.0


def routes(site: Site) -> Routes:
    return (("GET", "/live", Live(site.app, site.inspector).stream),)


class Live:
    """The open streams of one board."""

    def __init__(self, app: App, inspector: Inspector) -> None:
        self._app = app
        self._inspector = inspector
        self._watches: dict[Watch, None] = {}
        self._pulse = Pulse(app, self._watches)

    async def stream(self, request: Request) -> Response:
        """`queue`, several of them or none for all, and with one queue `job`.

        Opens while Redis is away, too. A queue that nobody knows is not listened to; of all queues the first 50 are,
        and the others count as changed now and then. 400 where more are named, 503 where too many pages are open.
        """
        wanted = tuple(dict.fromkeys(request.query_params.getlist("queue")))
        if len(wanted) > MAX_QUEUES:
            message = f"{len(wanted)} queues are asked for, but a page hears {MAX_QUEUES} at most; name none for all"
            raise Refused(Problem(400, "too_many_queues", message))
        if len(self._watches) >= MAX_STREAMS:
            message = f"{MAX_STREAMS} pages are live already, which is the most; try again later"
            raise Refused(Problem(503, "too_many_streams", message, headers={"retry-after": "10"}))
        job_id = request.query_params.get("job") if len(wanted) == 1 else None
        return _EventStream(self, Watch(job_id), wanted)

    @asynccontextmanager
    async def listening(self, watch: Watch, wanted: Sequence[str]) -> AsyncGenerator[None]:
        """Let the watch hear of these queues for the length of the block."""
        self._watches[watch] = None
        attending = asyncio.create_task(self._attend(watch, wanted), name="live")
        try:
            await self._pulse.start()  # which ends by itself after the last page
            yield
        finally:  # without an await: where a service cuts a request off, each one here is cancelled, too
            del self._watches[watch]
            attending.cancel()

    async def _attend(self, watch: Watch, wanted: Sequence[str]) -> None:
        """Hear of the queues until the watch ends, or this is cancelled."""
        ears: list[Ear] = []
        try:
            known = await until_answered(lambda: self._known(wanted))
            for queue in known[:MAX_QUEUES]:
                ears.append(Ear(self._app, queue, watch))
                await ears[-1].listen()
            watch.listens(known, known[MAX_QUEUES:])
            await watch.until_end()
        except ClientClosed:
            watch.end()
        except Exception:
            _log.exception("an open page cannot be kept live")
            watch.end()
        finally:
            for ear in ears:
                ear.leave()

    async def _known(self, wanted: Sequence[str]) -> Sequence[str]:
        if not wanted:
            return list(await self._inspector.queue_names())
        return [queue for queue in wanted if await self._inspector.has_queue(queue)]


class _EventStream(StreamingResponse):
    """Ends when the page is closed, the app is closed, or the client has taken nothing for long."""

    media_type = "text/event-stream"

    def __init__(self, live: Live, watch: Watch, wanted: Sequence[str]) -> None:
        super().__init__(watch.messages(), headers={"x-accel-buffering": "no"})
        self._live = live
        self._watch = watch
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(SEND_S):
                    await send(message)
            except TimeoutError:
                raise ClientDisconnect from None

        if scope["method"] == "HEAD":
            await Response(headers=dict(self.headers))(scope, receive, send)
            return
        async with self._live.listening(self._watch, self._wanted):
            await super().__call__(scope, receive, send_in_time)
