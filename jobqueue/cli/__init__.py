"""The command line: what `jobqueue` on a terminal runs."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from dataclasses import dataclass
from typing import Annotated

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from jobqueue._version import __version__
from jobqueue.cli.console import INTERRUPTED, colours, exit_code, report
from jobqueue.errors import JobqueueError

EPILOG = "Exit status: 0 it went well, 1 it failed or you said no, 2 wrong usage or setting, 130 ended by Ctrl-C."
COMPLETING = "_JOBQUEUE_COMPLETE"
"""Is set by the shells that complete a word."""
RUN, ACT, LOOK_AFTER = "Run", "Jobs, queues and cron jobs", "Look after it"


@dataclass(frozen=True, slots=True)
class Row:
    """One word of the command line: the module that adds it has a function `add_to(app)`.

    `page` is where the documentation tells more; `panel` the heading under which the help lists it.
    """

    word: str
    module: str
    panel: str
    page: str
    summary: str


ROWS = (
    Row(
        "dev", "jobqueue.cli.dev", RUN, "cli", "Run everything on this machine: Redis, database, worker, API and board."
    ),
    Row("worker", "jobqueue.cli.worker", RUN, "worker", "Run jobs."),
    Row("serve", "jobqueue.cli.serve", RUN, "board", "Serve the API and the board."),
    Row("enqueue", "jobqueue.cli.enqueue", ACT, "handlers", "Store a job."),
    Row("jobs", "jobqueue.cli.jobs", ACT, "cli", "Look at jobs, and retry, cancel and remove them."),
    Row("queue", "jobqueue.cli.queue", ACT, "cli", "Look at whole queues, pause them, and empty them."),
    Row("cron", "jobqueue.cli.cron", ACT, "cron", "Say what runs at which times."),
    Row("webhook", "jobqueue.cli.webhook", ACT, "webhooks", "Say who is told of changes by webhook."),
    Row("top", "jobqueue.cli.top", LOOK_AFTER, "cli", "Watch queues and workers, live."),
    Row("doctor", "jobqueue.cli.doctor", LOOK_AFTER, "cli", "Check Redis, the database and this installation."),
    Row("db", "jobqueue.cli.db", LOOK_AFTER, "cli", "Look after the database."),
    Row("bench", "jobqueue.cli.bench", LOOK_AFTER, "performance", "Measure this and its peers."),
)


def main() -> None:
    """The program `jobqueue`."""
    try:
        status = get_command(_build(_asked()))(prog_name="jobqueue", standalone_mode=False)
    except TyperException as error:
        if message := error.format_message():  # empty where the help was printed for want of a command
            report(message)
        raise SystemExit(error.exit_code) from None
    except JobqueueError as error:
        report(error)
        raise SystemExit(exit_code(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    finally:
        gc.freeze()  # the process ends: what the interpreter collects at last takes 0.2 s, and frees nothing that stays
    raise SystemExit(status)


def _asked() -> str | None:
    """The first word that is no option: of this command, or of one that a shell wants to complete."""
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS")
    words = line.split() if COMPLETING in os.environ and line else sys.argv
    return words[1] if len(words) > 1 else None


def _build(asked: str | None) -> typer.Typer:
    """The commands. Only the one that is asked for is imported, so that help comes at once."""
    app = typer.Typer(
        context_settings={"help_option_names": ["-h", "--help"], "color": colours()},
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for row in ROWS:
        if row.word == asked:
            importlib.import_module(row.module).add_to(app)
            _say_more(app, f"{EPILOG}\n\nSee also: docs/{row.page}.md")
        else:
            app.command(row.word, help=row.summary, rich_help_panel=row.panel)(_not_asked_for)
    return app


def _say_more(app: typer.Typer, more: str) -> None:
    """Below the examples of each command that was added, and of those in its group."""
    for group in app.registered_groups:
        for command in group.typer_instance.registered_commands if group.typer_instance else ():
            command.epilog = f"{command.epilog}\n{more}"
    for command in app.registered_commands:
        if command.callback is not _not_asked_for:
            command.epilog = f"{command.epilog}\n{more}"


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

    Start with `jobqueue dev`. `jobqueue COMMAND --help` shows examples; docs/cli.md tells more.
    """


def _not_asked_for() -> None:
    """Stands in the list of commands for one that was not asked for."""
