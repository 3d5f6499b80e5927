"""Stage: everything that the lives need, on one machine and in one folder: Redis, database, worker, chain."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handlers.channel import registry
from handlers.channel.chain import Chain
from handlers.channel.desk import Desk
from handlers.channel.models import make_tables
from handlers.channel.monitor import ChainMonitor
from jobqueue import App, Settings, Worker
from jobqueue.database import open_database
from jobqueue.migrations import FOLDER
from jobqueue.redis.embedded import EmbeddedRedis
from jobqueue.upgrades import upgrade

SHUTDOWN_MS: Final = 2_000
BRANCHES: Final = tuple(FOLDER.parent / package / "migrations" for package in ("cron", "outbox"))
"""The tables of jobqueue itself. The example's own have no history: they are made anew for each play."""


@dataclass(frozen=True, slots=True)
class Stage:
    """`environment` is what another process must be told to see the same jobs."""

    app: App
    desk: Desk
    monitor: ChainMonitor
    environment: Mapping[str, str]


@asynccontextmanager
async def set_up(folder: Path, *, seed: int, block_s: float) -> AsyncGenerator[Stage]:
    """A stage of its own in `folder`, with a Redis that ends with it."""
    async with EmbeddedRedis(folder / "redis") as server:
        environment = {
            "ENVIRONMENT": "local",
            "REDIS_URL": server.url,
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'channel.db'}",
            "JOBS_REGISTRY": "handlers.channel:registry",
        }
        given = {name.lower(): value for name, value in environment.items()}
        settings = Settings.load(**given, worker_shutdown_ms=SHUTDOWN_MS)
        async with open_stage(settings, environment, seed=seed, block_s=block_s) as stage, Worker(stage.app):
            yield stage


@asynccontextmanager
async def open_stage(
    settings: Settings, environment: Mapping[str, str], *, seed: int, block_s: float
) -> AsyncGenerator[Stage]:
    """The tables, the chain and its monitor, on a Redis that is there; without a worker."""
    await upgrade(settings.database_url, BRANCHES)
    async with open_database(settings.database_url) as database, App(registry, settings) as app:
        await make_tables(database.engine)
        chain = Chain(database)
        await chain.start(seed)
        monitor = ChainMonitor(app, chain, block_s)
        await monitor.start()
        try:
            yield Stage(app, Desk(app, database), monitor, environment)
        finally:
            await monitor.stop()
