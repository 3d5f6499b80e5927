"""`jobqueue top`: queues, workers and failures, live in a terminal."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jobqueue.cli.console import run
from jobqueue.cli.environment import load_settings, open_app
from jobqueue.cli.options import RegistryName
from jobqueue.cli.top import printing, watching

EXAMPLES = """Examples:

jobqueue top

jobqueue top --once

jobqueue top --json | jq -c '.queues[] | {name, waiting: .counts.waiting}'
"""


def add_to(app: typer.Typer) -> None:
    app.command("top", epilog=EXAMPLES)(top)


def top(
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, once a second.")] = False,
    registry: RegistryName = None,
) -> None:
    """Watch queues with counts, throughput and latency, workers, what runs now and what failed lately.

    Follows the queues' events, and draws at most twice a second. Arrows or j and k select a queue, Enter shows its
    active jobs, p pauses or resumes it (and asks first), q quits. While Redis is away it says so and goes on.
    """
    if not (once or as_json) and not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise typer.BadParameter("needs a terminal; --once prints one frame, --json one object a second")
    app = open_app(load_settings(jobs_registry=registry))
    if as_json:
        run(printing.print_objects(app, once=once))
    elif once:
        run(printing.print_frame(app))
    else:
        run(watching.watch(app))
