"""`jobqueue worker`: run jobs."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from typing import Annotated

import typer

from jobqueue.app import set_default_app
from jobqueue.cli.ending import run_server
from jobqueue.cli.environment import load_settings, open_app
from jobqueue.cli.health import health_served
from jobqueue.cli.reload import Reloader, sources_of
from jobqueue.cli.running import run_worker
from jobqueue.cli.stopping import Stopper
from jobqueue.logs import configure_logging
from jobqueue.settings import Settings
from jobqueue.worker import Worker

EXAMPLES = """Examples:

jobqueue worker

jobqueue worker --queue reports --queue mail --concurrency 50 --health-port 8081

jobqueue worker --reload --registry shop.jobs:registry
"""

_log = logging.getLogger("jobqueue.worker")


def add_to(app: typer.Typer) -> None:
    app.command("worker", epilog=EXAMPLES)(worker)


def worker(
    queue: Annotated[list[str] | None, typer.Option(help="Serve this queue; may be given more than once.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Jobs at once in each queue.")] = None,
    name: Annotated[str | None, typer.Option(help="The worker's name; host and process id otherwise.")] = None,
    health_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve /healthz and /readyz on 127.0.0.1.")
    ] = None,
    registry: Annotated[str | None, typer.Option(help="module:attribute instead of JOBS_REGISTRY.")] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start anew when a .py file changes.")] = False,
    has_parent: Annotated[bool, typer.Option("--has-parent", hidden=True)] = False,
) -> None:
    """Run jobs until SIGTERM or Ctrl-C.

    The first signal lets active jobs finish (WORKER_SHUTDOWN_MS), the second ends them at once; the exit status is 0.
    With ENVIRONMENT=test it says so and returns.
    """
    configure_logging(sys.stderr)
    settings = load_settings(jobs_registry=registry, worker_concurrency=concurrency)
    if settings.environment == "test":
        _log.info("ENVIRONMENT is test: no worker is started")
    elif reload:
        arguments = [word for word in sys.argv[2:] if word != "--reload"]
        asyncio.run(_reload(settings, ["worker", "--has-parent", *arguments]))
    else:
        run_server(_work(settings, queue, name, health_port, has_parent=has_parent))


async def _work(
    settings: Settings, queues: list[str] | None, name: str | None, health_port: int | None, *, has_parent: bool
) -> None:
    stopper = Stopper()
    with stopper.on_signals(has_parent=has_parent):
        async with AsyncExitStack() as opened:
            app = await opened.enter_async_context(open_app(settings))
            set_default_app(app)
            running = Worker(app, queues=queues, name=name)
            if health_port is not None:
                await opened.enter_async_context(health_served(app, health_port))
            await run_worker(running, stopper)


async def _reload(settings: Settings, command: list[str]) -> None:
    stopper = Stopper()
    with stopper.on_signals():
        await Reloader(lambda _is_restart: command, sources_of(settings), stopper).run()
