"""`jobqueue dev`: everything on one machine."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from contextlib import AsyncExitStack
from typing import Annotated

import typer

from board import create_app
from jobqueue.app import App, set_default_app
from jobqueue.cli import folder
from jobqueue.cli.console import say
from jobqueue.cli.ending import run_server
from jobqueue.cli.environment import MIGRATIONS, open_app
from jobqueue.cli.folder import DevFolder
from jobqueue.cli.http import HttpServer, listen, url_of
from jobqueue.cli.options import RegistryName, Reloads
from jobqueue.cli.reload import Reloader, sources_of
from jobqueue.cli.running import run_worker
from jobqueue.cli.signing_key import new_signing_key
from jobqueue.cli.stopping import Stopper, tell_parent
from jobqueue.database import open_database
from jobqueue.logs import configure_logging, set_level
from jobqueue.redis.embedded import EmbeddedRedis
from jobqueue.settings import Settings
from jobqueue.upgrades import upgrade
from jobqueue.worker import Worker

EXAMPLES = """Examples:

jobqueue dev

jobqueue dev --port 9000 --reload --registry shop.jobs:registry

jobqueue enqueue heartbeat --wait 5      # in another terminal, in the same folder
"""

_log = logging.getLogger("jobqueue.dev")


def add_to(app: typer.Typer) -> None:
    app.command("dev", epilog=EXAMPLES)(dev)


def dev(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="0 takes a free one.")] = 8000,
    registry: RegistryName = None,
    reload: Reloads = False,
    fd: Annotated[int | None, typer.Option("--fd", hidden=True)] = None,
    is_restart: Annotated[bool, typer.Option("--is-restart", hidden=True)] = False,
) -> None:
    """Run everything on this machine: Redis, database, worker, API and board.

    What is set in the environment is used; the rest lives in .jobqueue/ and is kept: a Redis of its own (REDIS_URL), an
    SQLite database (DATABASE_URL), a key that signs webhooks (WEBHOOK_SIGNING_PRIVATE_KEY). ENVIRONMENT is local.

    Other commands find all this by themselves when they run in the same folder while this server runs.

    Ctrl-C lets active jobs finish; a second one ends them at once. The exit status is 0.
    """
    configure_logging(sys.stderr)
    if fd is not None:
        run_server(_run_as_child(socket.socket(fileno=fd), is_restart=is_restart))
        return
    given = {"jobs_registry": registry} if registry else {}
    settings = Settings.load(**given)
    home = folder.current()
    with listen(host, port) as listening, home.held():
        run = asyncio.run if reload else run_server
        run(_dev(settings, home, listening, reload=reload))


async def _dev(settings: Settings, home: DevFolder, listening: socket.socket, *, reload: bool) -> None:
    stopper = Stopper()
    with stopper.on_signals():
        async with AsyncExitStack() as opened:
            settings = await _prepare(settings, home, opened)
            if reload:
                listener = listening.fileno()
                reloader = Reloader(lambda again: _child(listener, again), sources_of(settings), stopper, [listener])
                await reloader.run()
            else:
                await _run(settings, listening, stopper, is_restart=False, has_parent=False)
    say("stopped; the data stay in .jobqueue/")


async def _prepare(settings: Settings, home: DevFolder, opened: AsyncExitStack) -> Settings:
    """Start and make what is not given, and tell this process, its children and other terminals where it is."""
    given = settings.model_fields_set
    key = settings.webhook_signing_private_key
    variables = {
        "ENVIRONMENT": settings.environment or "local",
        "REDIS_URL": settings.redis_url if "redis_url" in given else await _embedded(home, opened),
        "DATABASE_URL": settings.database_url if "database_url" in given else home.database_url,
        "WEBHOOK_SIGNING_PRIVATE_KEY": key.get_secret_value() if key else home.signing_key(new_signing_key),
        "JOBS_QUEUE": settings.jobs_queue,
        "JOBS_PREFIX": settings.jobs_prefix,
        "JOBS_REGISTRY": settings.jobs_registry,
    }
    if settings.jobs_config is not None:
        variables["JOBS_CONFIG"] = str(settings.jobs_config.resolve())
    os.environ.update(variables)
    await upgrade(variables["DATABASE_URL"], MIGRATIONS)
    opened.enter_context(home.shared(variables))
    return Settings.load()


async def _embedded(home: DevFolder, opened: AsyncExitStack) -> str:
    server = await opened.enter_async_context(EmbeddedRedis(home.redis))
    return server.url


def _child(listener: int, is_restart: bool) -> list[str]:
    return ["dev", "--fd", str(listener), *(["--is-restart"] if is_restart else [])]


async def _run_as_child(listening: socket.socket, *, is_restart: bool) -> None:
    stopper = Stopper()
    with stopper.on_signals(has_parent=True), listening:
        await _run(Settings.load(), listening, stopper, is_restart=is_restart, has_parent=True)


async def _run(
    settings: Settings, listening: socket.socket, stopper: Stopper, *, is_restart: bool, has_parent: bool
) -> None:
    """Worker, API and board on this event loop."""
    set_level(settings.log_level)
    async with open_app(settings) as app, open_database(settings.database_url) as database:
        set_default_app(app)
        server = HttpServer(create_app(app, database=database), listening)
        if not is_restart:
            _greet(app, url_of(listening))
        worker = Worker(app)
        await run_worker(
            worker, stopper, server, when_started=lambda: _say_started(app, has_parent=has_parent, again=is_restart)
        )


async def _say_started(app: App, *, has_parent: bool, again: bool) -> None:
    """To the parent; and a first heartbeat shows a person at once that the whole path works."""
    if has_parent:
        tell_parent()
    if not again and "heartbeat" in app.registry.names:
        stored = await app.enqueue_job("heartbeat")
        _log.info("enqueued a heartbeat as job %s", stored.job_id)


def _greet(app: App, url: str) -> None:
    probe = "jobqueue enqueue heartbeat --wait 5" if "heartbeat" in app.registry.names else "jobqueue enqueue --help"
    say(f"""
  jobqueue dev

  board      {url}{app.settings.bull_board_path}
  API        {url}/api/admin/job
  data       {folder.NAME}/ (kept; ignored by git)
  try        {probe}    in another terminal, in this folder
  stop       Ctrl-C
""")
