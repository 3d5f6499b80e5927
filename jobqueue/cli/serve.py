"""`jobqueue serve`: the API and the board, without a worker."""

from __future__ import annotations

import socket
import sys
from typing import Annotated

import typer

from board import create_app
from jobqueue.app import set_default_app
from jobqueue.cli.console import note
from jobqueue.cli.ending import run_server
from jobqueue.cli.environment import load_settings, open_app
from jobqueue.cli.http import HttpServer, listen, url_of
from jobqueue.cli.options import RegistryName
from jobqueue.cli.stopping import Stopper
from jobqueue.database import open_database
from jobqueue.logs import configure_logging, set_level
from jobqueue.settings import Settings

EXAMPLES = """Examples:

jobqueue serve

BULL_BOARD_USERNAME=me BULL_BOARD_PASSWORD=… jobqueue serve --host 0.0.0.0 --port 80
"""


def add_to(app: typer.Typer) -> None:
    app.command("serve", epilog=EXAMPLES)(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="0 takes a free one.")] = 8000,
    registry: RegistryName = None,
) -> None:
    """Serve the API and the board; jobs are run by `jobqueue worker`.

    Stops on SIGTERM or Ctrl-C, with exit status 0.
    """
    configure_logging(sys.stderr)
    settings = load_settings(jobs_registry=registry)
    set_level(settings.log_level)
    run_server(_serve(settings, listen(host, port)))


async def _serve(settings: Settings, listening: socket.socket) -> None:
    stopper = Stopper()
    with stopper.on_signals(), listening:
        async with open_app(settings) as app, open_database(settings.database_url) as database:
            set_default_app(app)
            server = HttpServer(create_app(app, database=database), listening)
            server.start()
            note(f"serving {url_of(listening)}{settings.bull_board_path}; Ctrl-C ends it")
            await stopper.asked()
            await server.stop()
