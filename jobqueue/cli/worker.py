"""`jobqueue worker`: run jobs, in this process or in several."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from jobqueue.app import App, set_default_app
from jobqueue.cli.ending import run_server
from jobqueue.cli.environment import load_settings, open_app
from jobqueue.cli.later import later
from jobqueue.cli.options import RegistryName, Reloads
from jobqueue.cli.processes import Processes, usable_cpus
from jobqueue.cli.running import run_worker
from jobqueue.cli.stopping import Stopper, tell_parent
from jobqueue.logs import configure_logging, set_level
from jobqueue.settings import Settings
from jobqueue.worker import Worker

if TYPE_CHECKING:
    from jobqueue.cli import health, reload
else:
    # Only where an option asks for them: a web framework, and a watch over files.
    health, reload = later("jobqueue.cli.health"), later("jobqueue.cli.reload")

EXAMPLES = """Examples:

jobqueue worker

jobqueue worker --queue reports --queue mail --concurrency 50 --health-port 8081

jobqueue worker --processes 0 --name blue

jobqueue worker --reload --registry shop.jobs:registry
"""

_log = logging.getLogger("jobqueue.worker")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say that a child must be told; `number` is a child's own, from 1."""

    queues: Sequence[str]
    concurrency: int | None
    name: str | None
    registry: str | None
    has_parent: bool
    number: int | None

    def words(self, number: int | None = None) -> list[str]:
        """The command of a child; with a number, of one among several."""
        words = ["worker", "--has-parent", *(f"--queue={queue}" for queue in self.queues)]
        given = {"concurrency": self.concurrency, "name": self.name, "registry": self.registry, "number": number}
        return words + [f"--{option}={value}" for option, value in given.items() if value is not None]

    @property
    def worker_name(self) -> str | None:
        """The worker's own name: that of one among several is told apart; None leaves it to the worker."""
        if self.number is None:
            return self.name
        return f"{self.name}-{self.number}" if self.name else f"{socket.gethostname()}-{os.getpid()}"


def add_to(app: typer.Typer) -> None:
    app.command("worker", epilog=EXAMPLES)(worker)


def worker(
    queue: Annotated[list[str] | None, typer.Option(help="Serve this queue; may be given more than once.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Jobs at once in each queue.")] = None,
    name: Annotated[str | None, typer.Option(help="The worker's name; host and process id otherwise.")] = None,
    count: Annotated[
        int, typer.Option("--processes", metavar="N", min=0, help="Run that many; 0 is one for each CPU.")
    ] = 1,
    health_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve /healthz, /readyz and /metrics on 127.0.0.1.")
    ] = None,
    registry: RegistryName = None,
    reloads: Reloads = False,
    has_parent: Annotated[bool, typer.Option("--has-parent", hidden=True)] = False,
    number: Annotated[int | None, typer.Option("--number", hidden=True)] = None,
) -> None:
    """Run jobs until SIGTERM or Ctrl-C.

    The first signal lets active jobs finish (WORKER_SHUTDOWN_MS), the second ends them at once; the exit status is 0.
    With ENVIRONMENT=test it says so and returns.

    With --processes a worker that dies is started again, and the names are NAME-1, NAME-2, …
    """
    if reloads and count != 1:
        raise typer.BadParameter("cannot be had with --reload, which runs one process", param_hint="'--processes'")
    asked = Asked(queue or [], concurrency, name, registry, has_parent, number)
    configure_logging(sys.stderr)
    if number is not None:
        _name_lines(asked.worker_name)
    settings = load_settings(jobs_registry=registry, worker_concurrency=concurrency)
    set_level(settings.log_level)
    several = count or usable_cpus()
    if settings.environment == "test":
        _log.info("ENVIRONMENT is test: no worker is started")
    elif reloads:
        asyncio.run(_reload(settings, asked, health_port))
    elif several > 1:
        raise typer.Exit(asyncio.run(_supervise(settings, asked, several, health_port)))
    else:
        run_server(_work(settings, asked, health_port))


async def _work(settings: Settings, asked: Asked, health_port: int | None) -> None:
    stopper = Stopper()
    with stopper.on_signals(has_parent=asked.has_parent):
        async with AsyncExitStack() as opened:
            app = await opened.enter_async_context(open_app(settings))
            set_default_app(app)
            running = Worker(app, queues=asked.queues or None, name=asked.worker_name)
            if health_port is not None:
                await opened.enter_async_context(health.health_served(app, health_port, metrics=True))
            await run_worker(running, stopper, when_started=_tell_parent if asked.has_parent else None)


async def _tell_parent() -> None:
    tell_parent()


async def _supervise(settings: Settings, asked: Asked, count: int, health_port: int | None) -> int:
    """No handler is imported here. Returns the exit status."""
    stopper = Stopper()
    with stopper.on_signals():
        workers = Processes(asked.words, count, stopper)
        async with AsyncExitStack() as opened:
            if health_port is not None:
                app = await opened.enter_async_context(App(settings=settings))
                checks = {"workers": workers.all_serve}
                await opened.enter_async_context(health.health_served(app, health_port, checks))
            _log.info("%d workers are started; the first goes ahead", count)
            return await workers.run()


async def _reload(settings: Settings, asked: Asked, health_port: int | None) -> None:
    words = [*asked.words(), *([f"--health-port={health_port}"] if health_port is not None else [])]
    stopper = Stopper()
    with stopper.on_signals():
        await reload.Reloader(lambda _is_restart: words, reload.sources_of(settings), stopper).run()


def _name_lines(name: str | None) -> None:
    """Every line of this process's log tells the worker's name."""

    def add_name(record: logging.LogRecord) -> bool:
        record.worker = name
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(add_name)
