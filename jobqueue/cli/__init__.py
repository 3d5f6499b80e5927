"""The command line: what `jobqueue` on a terminal runs."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from jobqueue._version import __version__
from jobqueue.cli.console import INTERRUPTED, exit_code, report
from jobqueue.errors import JobqueueError

EPILOG = "Exit status: 0 it went well, 1 it failed, 2 wrong usage or setting, 130 ended by Ctrl-C."


@dataclass(frozen=True, slots=True)
class Row:
    """One word of the command line: the module that adds it has a function `add_to(app)`."""

    word: str
    module: str
    summary: str


ROWS = (
    Row("dev", "jobqueue.cli.dev", "Run everything on this machine: Redis, database, worker, API and board."),
    Row("worker", "jobqueue.cli.worker", "Run jobs."),
    Row("serve", "jobqueue.cli.serve", "Serve the API and the board."),
    Row("enqueue", "jobqueue.cli.enqueue", "Store a job."),
    Row("jobs", "jobqueue.cli.jobs", "Look at jobs, and cancel them."),
    Row("cron", "jobqueue.cli.cron", "Say what runs at which times."),
    Row("db", "jobqueue.cli.db", "Look after the database."),
    Row("webhook", "jobqueue.cli.webhook", "Say who is told of changes by webhook."),
    Row("doctor", "jobqueue.cli.doctor", "Check Redis, the database and this installation."),
    Row("bench", "jobqueue.cli.bench", "Measure this and its peers."),
)


def main() -> None:
    """The program `jobqueue`."""
    try:
        _build(sys.argv[1] if len(sys.argv) > 1 else None)(prog_name="jobqueue")
    except JobqueueError as error:
        report(error)
        raise SystemExit(exit_code(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _build(asked: str | None) -> typer.Typer:
    """The commands. Only the one that is asked for is imported, so that help comes at once."""
    app = typer.Typer(
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for row in ROWS:
        if row.word == asked:
            importlib.import_module(row.module).add_to(app)
        else:
            app.command(row.word, help=row.summary)(_not_asked_for)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"jobqueue {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Typed background jobs on Redis, in BullMQ's own format.

    Start with `jobqueue dev`. `jobqueue COMMAND --help` shows examples.
    """


def _not_asked_for() -> None:
    """Stands in the list of commands for one that was not asked for."""
