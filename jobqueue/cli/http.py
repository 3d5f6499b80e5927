"""HTTP: a server on an event loop that is not its own, with a socket that was bound before."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import ip_address

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobqueue.errors import JobqueueError

GRACE_S = 5
"""How long requests that are being answered may take once the server is to stop."""


class CannotListen(JobqueueError):
    """The address is not to be had."""

    def __init__(self, host: str, port: int, option: str, reason: str) -> None:
        super().__init__(f"cannot listen on {host}:{port}: {reason}; choose another with {option}")


def listen(host: str, port: int, *, option: str = "--host or --port") -> socket.socket:
    """A listening socket. Raises: CannotListen, naming the address and the option that changes it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            # A server that has just ended leaves connections behind that must not block its port.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(2048)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CannotListen(host, port, option, reason.lower()) from None
    return listening


def url_of(listening: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listening.getsockname()[:2]
    shown = "localhost" if host in ("127.0.0.1", "::1") or ip_address(host).is_unspecified else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


class _Uvicorn(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """The process has one set of signals, and it is not uvicorn's."""
        yield


class _EndingStreams:
    """An event stream never ends by itself, and a server that stops waits for all that it answers. So this tells those
    who send one that their client has hung up, and ends the answer in their place.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streaming = asyncio.Event()

        async def send_and_see(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_event_stream(message):
                streaming.set()
            elif not message.get("more_body"):
                streaming.clear()
            await send(message)

        async def receive_or_stop() -> Message:
            receiving = asyncio.ensure_future(receive())
            stopping = asyncio.ensure_future(self._stops(streaming))
            try:
                await asyncio.wait((receiving, stopping), return_when=asyncio.FIRST_COMPLETED)
                return receiving.result() if receiving.done() else {"type": "http.disconnect"}
            finally:
                receiving.cancel()
                stopping.cancel()

        await self._app(scope, receive_or_stop, send_and_see)
        if streaming.is_set() and self._stopping.is_set():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stops(self, streaming: asyncio.Event) -> None:
        await streaming.wait()
        await self._stopping.wait()


def _is_event_stream(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/event-stream")


class HttpServer:
    """Serves `app` on `listening`, which it closes. `stop` returns when all is closed; twice is fine."""

    def __init__(self, app: Starlette, listening: socket.socket) -> None:
        self._app = _EndingStreams(app)
        config = uvicorn.Config(
            self._app,
            access_log=False,
            lifespan="off",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            ws="none",
        )
        self._server = _Uvicorn(config)
        self._listening = listening
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Connections are taken from now on; the task ends when the server does."""
        if self._serving is None:
            self._serving = asyncio.create_task(self._server.serve(sockets=[self._listening]))
        return self._serving

    async def stop(self) -> None:
        self._app.stop()
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving

    def stop_at_once(self) -> None:
        """Let `stop` wait for no request any more."""
        self._server.force_exit = True
