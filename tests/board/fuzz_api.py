"""Fuzz the admin routes: schemathesis asks a real server whatever the OpenAPI document allows, and what it does not.

`python -m tests.board.fuzz_api SECONDS` ends with 0 where no answer was a 5xx or outside of the document. With `--seed`
the same few requests are made each time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvicorn

from board import create_app
from handlers import registry
from jobqueue.app import App
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.cron import CronJobs
from jobqueue.database import open_database
from jobqueue.settings import Settings
from jobqueue.upgrades import upgrade
from tests.board.support import activate, complete, fail
from tests.outbox.shelving import enqueue_rows, set_aside
from tests.support.eventually import eventually
from tests.support.processes import free_port
from tests.support.redis_server import HOST, running_redis

CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
USER: Final = "fuzz:fuzz"
EXAMPLES_OF_A_SEED: Final = 3
DEFAULT_S: Final = 300


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask the admin routes whatever their document allows.")
    parser.add_argument("seconds", type=int, nargs="?", default=DEFAULT_S)
    parser.add_argument("--seed", type=int, help="make the same few requests each time")
    given = parser.parse_args()
    return asyncio.run(fuzz(given.seconds, given.seed))


async def fuzz(seconds: int | None, seed: int | None = None) -> int:
    """Returns the exit status of schemathesis. With a seed it ends by itself, and soon."""
    with tempfile.TemporaryDirectory() as folder, running_redis(appendonly=False) as redis:
        settings = Settings.load(
            environment="production",
            redis_url=redis.url,
            database_url=f"sqlite+aiosqlite:///{folder}/fuzz.db",
            bull_board_username=USER.partition(":")[0],
            bull_board_password=USER.partition(":")[2],
        )
        async with served(settings) as address:
            process = await asyncio.create_subprocess_exec(*command(address, seconds, seed), cwd=folder)
            try:
                return await process.wait()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


def command(address: str, seconds: int | None, seed: int | None) -> list[str]:
    """Of schemathesis. The header is that of a person who types: with basic credentials a change needs one."""
    credentials = base64.b64encode(USER.encode()).decode()
    headers = ("-H", f"Authorization: Basic {credentials}", "-H", "Sec-Fetch-Site: none")
    how_long: tuple[str, ...] = ("--max-time", str(seconds), "--generation-database", "none")
    if seed is not None:
        once = ("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES_OF_A_SEED))
        how_long = ("--generation-deterministic", "--seed", str(seed), *once)
    st = ("-m", "schemathesis.cli", "--config-file", str(CONFIG), "--no-color", "run")
    return [sys.executable, *st, f"{address}/api/openapi.json", *headers, *how_long, "--continue-on-failure"]


@asynccontextmanager
async def served(settings: Settings) -> AsyncGenerator[str]:
    """The board on a free port, with jobs in each state and a cron job; yields its address."""
    await upgrade(settings.database_url, MIGRATIONS)
    async with App(registry, settings) as app, open_database(settings.database_url) as database:
        await fill(app)
        await CronJobs(app, database).create(name="nightly", pattern="30 1 * * *", handler="heartbeat")
        await set_aside(database, await enqueue_rows(app, database, [None, None], handler="heartbeat"))
        port = free_port()
        asgi = create_app(app, database=database)
        server = uvicorn.Server(uvicorn.Config(asgi, host=HOST, port=port, log_level="error", ws="none"))
        task = asyncio.create_task(server.serve())
        try:
            await eventually(lambda: server.started)
            yield f"http://{HOST}:{port}"
        finally:
            server.should_exit = True
            await task


async def fill(app: App) -> None:
    """Jobs of each state, and one that cannot be read."""
    for number in range(60):
        enqueued = await app.enqueue_job("heartbeat", delay_ms=3_600_000 if number % 6 == 0 else 0)
        match number % 6:
            case 1:
                await complete(app, enqueued, '{"name": "worker"}')
            case 2:
                await fail(app, enqueued, "it broke", "Traceback: deep down")
            case 3:
                await activate(app, enqueued)
            case _:
                pass
    await app.client.call("HSET", app.queue().keys.job("bad"), "name", "heartbeat", "data", "{", "timestamp", "5")
    await app.client.call("ZADD", app.queue().keys.of("failed"), 5, "bad")


if __name__ == "__main__":
    raise SystemExit(main())
