"""Demo: a board with everything to be seen on it, on a Redis, a database and a port of its own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from board import create_app
from jobqueue.app import App
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.cli.http import HttpServer, listen, url_of
from jobqueue.database import open_database
from jobqueue.settings import Settings
from jobqueue.upgrades import upgrade
from jobqueue.worker import Worker
from scripts.screenshots import shop
from scripts.screenshots.filling import fill, traffic
from tests.support.redis_server import running_redis


@asynccontextmanager
async def running_demo(port: int = 0) -> AsyncGenerator[str]:
    """Yields the board's address once all is there; everything ends with it."""
    with running_redis(appendonly=False) as redis, tempfile.TemporaryDirectory() as folder:
        settings = Settings.load(
            environment="local",
            redis_url=redis.url,
            database_url=f"sqlite+aiosqlite:///{Path(folder) / 'jobqueue.db'}",
            worker_shutdown_ms=100,
            worker_concurrency=4,
        )
        await upgrade(settings.database_url, MIGRATIONS)
        async with (
            App(shop.REGISTRY, settings) as app,
            open_database(settings.database_url) as database,
            Worker(app, queues=shop.SERVED, name="web-1:4711"),
        ):
            await fill(app)
            listening = listen("127.0.0.1", port)
            server = HttpServer(create_app(app, database=database), listening)
            address = f"{url_of(listening)}{settings.bull_board_path}"
            moving = asyncio.create_task(traffic(app))
            server.start()
            try:
                yield address
            finally:
                await server.stop()
                await ended(moving)


async def ended(task: asyncio.Task[None]) -> None:
    """Returns when the task has been cancelled and is over."""
    task.cancel()
    await asyncio.wait([task])
