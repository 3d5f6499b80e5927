"""Health: `/healthz` and `/readyz` of one worker or of several, for whoever looks after it on this machine; and
`/metrics` of one.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from board.errors import Refused
from board.health import Check, health_routes
from jobqueue.app import App
from jobqueue.cli.http import HttpServer, listen
from jobqueue.cli.later import later
from jobqueue.database import open_database
from jobqueue.inspector import Inspector

if TYPE_CHECKING:
    from jobqueue import prometheus
else:
    prometheus = later("jobqueue.prometheus")  # it needs an extra

HOST = "127.0.0.1"


@asynccontextmanager
async def health_served(
    app: App, port: int, more: Mapping[str, Check] | None = None, *, metrics: bool = False
) -> AsyncGenerator[None]:
    """Answer on 127.0.0.1 for the length of the block; `more` must hold too where it is ready. Raises: CannotListen.

    With `metrics` also to `/metrics`, what the app's worker does, where the extra `prometheus` is installed.
    """
    with listen(HOST, port, option="--health-port") as listening:
        async with open_database(app.settings.database_url) as database:
            checks: dict[str, Check] = {"redis": Inspector(app).ping, "database": database.ping, **(more or {})}
            with _observed(app, metrics=metrics) as more_routes:
                routes = [*health_routes(checks), *more_routes]
                server = HttpServer(Starlette(routes=routes, exception_handlers={Refused: _not_ready}), listening)
                server.start()
                try:
                    yield
                finally:
                    await server.stop()


@contextmanager
def _observed(app: App, *, metrics: bool) -> Generator[Sequence[Route]]:
    if not metrics or importlib.util.find_spec("prometheus_client") is None:
        yield ()
        return
    stop = prometheus.observe(app)
    try:
        yield (Route("/metrics", _metrics, methods=["GET"]),)
    finally:
        stop()


async def _metrics(_request: Request) -> Response:
    return Response(prometheus.exposed(), headers={"content-type": prometheus.MEDIA_TYPE})


async def _not_ready(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "unavailable", "message": str(error)}, 503)
