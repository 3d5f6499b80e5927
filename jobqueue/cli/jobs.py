"""`jobqueue jobs`: look at jobs, and retry, cancel and remove them."""

from __future__ import annotations

from typing import Annotated

import typer

from jobqueue.cli import jobs_acts
from jobqueue.cli.console import run
from jobqueue.cli.jobs_acts import Meant
from jobqueue.cli.options import (
    AsJson,
    CreatedBy,
    From,
    JobQueue,
    OfName,
    OrderKey,
    RegistryName,
    Related,
    StateWord,
    Text,
    To,
    Yes,
)
from jobqueue.cli.wanted import read_filter, read_state
from jobqueue.control import NO_REASON
from jobqueue.inspector import MAX_LIMIT, JobFilter

LIST_EXAMPLES = """Examples:

jobqueue jobs list --state failed --name syncData

jobqueue jobs list --related order:7 --limit 10 --json | jq -r '.data[].jobId'

jobqueue jobs list --state completed --from 2030-01-31T09:00:00Z --q r1
"""
SHOW_EXAMPLES = """Examples:

jobqueue jobs show 42

jobqueue jobs show r1-nightly --queue reports --json | jq .state
"""
RETRY_EXAMPLES = """Examples:

jobqueue jobs retry 42 43

jobqueue jobs retry --state failed --name syncData --yes
"""
CANCEL_EXAMPLES = """Examples:

jobqueue jobs cancel 42

jobqueue jobs cancel r1-nightly --queue reports --reason 'the report is not needed'
"""
REMOVE_EXAMPLES = """Examples:

jobqueue jobs remove 42

jobqueue jobs remove --state failed --created-by alice --yes
"""

PAGE_SIZE = 50
JobIds = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="The jobs' ids.")]


def add_to(app: typer.Typer) -> None:
    jobs = typer.Typer(help="Look at jobs, and retry, cancel and remove them.", no_args_is_help=True)
    jobs.callback()(_group)
    jobs.command("list", epilog=LIST_EXAMPLES)(list_some)
    jobs.command("show", epilog=SHOW_EXAMPLES)(show)
    jobs.command("retry", epilog=RETRY_EXAMPLES)(retry)
    jobs.command("cancel", epilog=CANCEL_EXAMPLES)(cancel)
    jobs.command("remove", epilog=REMOVE_EXAMPLES)(remove)
    app.add_typer(jobs, name="jobs")


def _group() -> None:
    """Look at jobs, and retry, cancel and remove them. What is done is in the audit log."""


def list_some(
    state: StateWord = None,
    name: OfName = None,
    related: Related = None,
    created_by: CreatedBy = None,
    order_key: OrderKey = None,
    from_time: From = None,
    to_time: To = None,
    text: Text = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LIMIT, help="How many at most.")] = PAGE_SIZE,
    offset: Annotated[int, typer.Option(min=0, help="How many to pass over.")] = 0,
    scan_from: Annotated[int, typer.Option(min=0, help="Go on where the look before this one stopped.")] = 0,
    queue: JobQueue = None,
    registry: RegistryName = None,
    as_json: AsJson = False,
) -> None:
    """Print jobs, newest first: finished ones by the time of their end, others by that of their enqueueing.

    A filter looks at a bounded number of jobs; where that is not all of them, standard error says how to go on.
    """
    wanted = read_filter(
        name=name,
        related=related,
        created_by=created_by,
        order_key=order_key,
        from_time=from_time,
        to_time=to_time,
        text=text,
    )
    page = jobs_acts.Page(None if state is None else read_state(state), wanted, offset, limit, scan_from)
    run(jobs_acts.list_some(registry, queue, page, as_json))


def show(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    queue: JobQueue = None,
    registry: RegistryName = None,
    as_json: AsJson = False,
) -> None:
    """Print one job: state, payload, result or error, times and log. Secrets are masked."""
    run(jobs_acts.show(registry, queue, job_id, as_json))


def retry(
    job_ids: JobIds = None,
    state: StateWord = None,
    name: OfName = None,
    related: Related = None,
    created_by: CreatedBy = None,
    text: Text = None,
    queue: JobQueue = None,
    yes: Yes = False,
    registry: RegistryName = None,
    as_json: AsJson = False,
) -> None:
    """Put failed and cancelled jobs back to waiting, their attempts counted from the start.

    Those of the given ids, or with --state failed all that match; that asks first. Ends with 1 where a job was refused.
    """
    wanted = read_filter(name=name, related=related, created_by=created_by, text=text)
    run(jobs_acts.act(registry, queue, "retry", _meant(job_ids, state, wanted), is_sure=yes, as_json=as_json))


def cancel(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    reason: Annotated[str, typer.Option(help="Why, in one line; the job's error says it.")] = NO_REASON,
    queue: JobQueue = None,
    registry: RegistryName = None,
    as_json: AsJson = False,
) -> None:
    """Keep a job from running, or stop it while it runs. It ends failed, and is not retried by itself.

    Prints `cancelled` where it had not started, `cancelling` where its worker ends it in a moment.
    """
    run(jobs_acts.cancel(registry, queue, job_id, reason, as_json))


def remove(
    job_ids: JobIds = None,
    state: StateWord = None,
    name: OfName = None,
    related: Related = None,
    created_by: CreatedBy = None,
    text: Text = None,
    queue: JobQueue = None,
    yes: Yes = False,
    registry: RegistryName = None,
    as_json: AsJson = False,
) -> None:
    """Delete jobs with their children, logs and results; asks first. A job that runs is refused.

    Those of the given ids, or with --state all that match. Ends with 1 where a job was refused.
    """
    wanted = read_filter(name=name, related=related, created_by=created_by, text=text)
    run(jobs_acts.act(registry, queue, "remove", _meant(job_ids, state, wanted), is_sure=yes, as_json=as_json))


def _meant(job_ids: list[str] | None, state: str | None, wanted: JobFilter) -> Meant:
    """Raises: BadParameter where it is not clear which jobs are meant."""
    ids = tuple(dict.fromkeys(job_ids or ()))
    if ids and (state is not None or wanted != JobFilter()):
        raise typer.BadParameter("give ids, or --state with filters, not both", param_hint="ID")
    if not ids and state is None:
        raise typer.BadParameter("name the jobs by their ids, or by --state", param_hint="ID")
    return Meant(ids, None if state is None else read_state(state), wanted)
