"""A service on a real server of this process, and a client that asks it over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.types import ASGIApp

from tests.support.eventually import eventually
from tests.support.processes import free_port


@asynccontextmanager
async def serving(service: ASGIApp) -> AsyncGenerator[httpx.AsyncClient]:
    """The service answers from the first line of the block on, and has ended in good order after the last."""
    port = free_port()
    config = uvicorn.Config(service, port=port, log_config=None, ws="none", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started or running.done())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        await running
