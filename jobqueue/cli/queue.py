"""`jobqueue queue`: look at whole queues, pause them, and empty them."""

from __future__ import annotations

from typing import Annotated

import typer

from jobqueue.cleaning import CLEANABLE
from jobqueue.cli import queue_acts
from jobqueue.cli.ages import read_age_ms
from jobqueue.cli.completing import state_words
from jobqueue.cli.console import run
from jobqueue.cli.options import AsJson, QueueName, RegistryName, Yes

LIST_EXAMPLES = """Examples:

jobqueue queue list

jobqueue queue list --json | jq '.[] | select(.paused) | .name'
"""
PAUSE_EXAMPLES = """Example:

jobqueue queue pause reports
"""
RESUME_EXAMPLES = """Example:

jobqueue queue resume reports
"""
CLEAN_EXAMPLES = """Examples:

jobqueue queue clean reports --state completed --older-than 7d

jobqueue queue clean reports --state failed --older-than 0 --limit 1000 --yes --json
"""
DRAIN_EXAMPLES = """Examples:

jobqueue queue drain reports

jobqueue queue drain reports --delayed --yes
"""


def add_to(app: typer.Typer) -> None:
    queue = typer.Typer(help="Look at whole queues, pause them, and empty them.", no_args_is_help=True)
    queue.callback()(_group)
    queue.command("list", epilog=LIST_EXAMPLES)(list_all)
    queue.command("pause", epilog=PAUSE_EXAMPLES)(pause)
    queue.command("resume", epilog=RESUME_EXAMPLES)(resume)
    queue.command("clean", epilog=CLEAN_EXAMPLES)(clean)
    queue.command("drain", epilog=DRAIN_EXAMPLES)(drain)
    app.add_typer(queue, name="queue")


def _group() -> None:
    """Look at whole queues, pause them, and empty them. What is done is in the audit log."""


def list_all(registry: RegistryName = None, as_json: AsJson = False) -> None:
    """Print all queues with their counts: those of the registry's handlers, then the others under the prefix."""
    run(queue_acts.list_all(registry, as_json))


def pause(queue: QueueName, registry: RegistryName = None, as_json: AsJson = False) -> None:
    """Let no worker begin a job of the queue. Jobs that run go on; twice is fine."""
    run(queue_acts.pause(registry, queue, as_json))


def resume(queue: QueueName, registry: RegistryName = None, as_json: AsJson = False) -> None:
    """Let workers begin jobs of the queue again. Twice is fine."""
    run(queue_acts.resume(registry, queue, as_json))


def clean(
    queue: QueueName,
    state: Annotated[
        str, typer.Option(metavar="|".join(CLEANABLE), help="Of jobs in this state.", autocompletion=state_words)
    ],
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Older than that: 7d, 12h, 30m, 45s; 0 for all of them.")
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many; all by default.")] = None,
    yes: Yes = False,
    registry: RegistryName = None,
    as_json: AsJson = False,
) -> None:
    """Remove old jobs of one state; asks first.

    A finished job is as old as its end, another as its last try or its enqueueing. The next jobs of schedulers stay.
    """
    wanted = queue_acts.Old(state, read_age_ms("--older-than", older_than), older_than, limit)
    run(queue_acts.clean(registry, queue, wanted, is_sure=yes, as_json=as_json))


def drain(
    queue: QueueName,
    delayed: Annotated[
        bool, typer.Option("--delayed", help="Delayed jobs too, but for schedulers' next ones.")
    ] = False,
    yes: Yes = False,
    registry: RegistryName = None,
    as_json: AsJson = False,
) -> None:
    """Remove all jobs that wait to run; asks first. Active and finished jobs stay, and so do parked ones."""
    run(queue_acts.drain(registry, queue, delayed=delayed, is_sure=yes, as_json=as_json))
