"""Health: `/healthz` and `/readyz` of one worker or of several, for whoever looks after it on this machine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from board.errors import Refused
from board.health import Check, health_routes
from jobqueue.app import App
from jobqueue.cli.http import HttpServer, listen
from jobqueue.database import open_database
from jobqueue.inspector import Inspector

HOST = "127.0.0.1"


@asynccontextmanager
async def health_served(app: App, port: int, more: Mapping[str, Check] | None = None) -> AsyncGenerator[None]:
    """Answer on 127.0.0.1 for the length of the block; `more` must hold too where it is ready. Raises: CannotListen."""
    with listen(HOST, port, option="--health-port") as listening:
        async with open_database(app.settings.database_url) as database:
            checks: dict[str, Check] = {"redis": Inspector(app).ping, "database": database.ping, **(more or {})}
            routes = health_routes(checks)
            server = HttpServer(Starlette(routes=routes, exception_handlers={Refused: _not_ready}), listening)
            server.start()
            try:
                yield
            finally:
                await server.stop()


async def _not_ready(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "unavailable", "message": str(error)}, 503)
