"""HTTP: a server on an event loop that is not its own, with a socket that was bound before."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

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
    shown = "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0", "::") else host  # noqa: S104
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


class _Uvicorn(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """The process has one set of signals, and it is not uvicorn's."""
        yield


class HttpServer:
    """Serves `app` on `listening`, which it closes. `stop` returns when all is closed; twice is fine."""

    def __init__(self, app: Starlette, listening: socket.socket) -> None:
        config = uvicorn.Config(
            app,
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
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving

    def stop_at_once(self) -> None:
        """Let `stop` wait for no request any more."""
        self._server.force_exit = True
