"""`jobqueue jobs`: look at jobs, and cancel them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from board.api.serialize import job_json
from jobqueue.app import App
from jobqueue.cli.acting import person
from jobqueue.cli.console import note, one_line, run, say, say_json
from jobqueue.cli.environment import load_settings, open_app
from jobqueue.control import NO_REASON, Cancelling
from jobqueue.inspector import Inspector, JobView, Turn
from jobqueue.job import Envelope, Job

SHOW_EXAMPLES = """Examples:

jobqueue jobs show 42

jobqueue jobs show r1-nightly --queue reports --json | jq .state
"""
CANCEL_EXAMPLES = """Examples:

jobqueue jobs cancel 42

jobqueue jobs cancel r1-nightly --queue reports --reason 'the report is not needed'
"""
SENTENCES: dict[Cancelling, str] = {
    "cancelled": "it never runs",
    "cancelling": "its worker was told to stop it",
}


def add_to(app: typer.Typer) -> None:
    jobs = typer.Typer(help="Look at jobs, and cancel them.", no_args_is_help=True)
    jobs.callback()(_group)
    jobs.command("show", epilog=SHOW_EXAMPLES)(show)
    jobs.command("cancel", epilog=CANCEL_EXAMPLES)(cancel)
    app.add_typer(jobs, name="jobs")


def _group() -> None:
    """Look at jobs, and cancel them."""


def show(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    queue: Annotated[str | None, typer.Option(help="The job's queue; JOBS_QUEUE by default.")] = None,
    registry: Annotated[str | None, typer.Option(help="module:attribute instead of JOBS_REGISTRY.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print one job: state, payload, result or error, times and log. Secrets are masked."""
    app = open_app(load_settings(jobs_registry=registry))
    view = run(_read(app, queue or app.settings.jobs_queue, job_id))
    if as_json:
        say_json(job_json(view))
    else:
        for line in _as_lines(view):
            say(line)


def cancel(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    reason: Annotated[str, typer.Option(help="Why, in one line; the job's error says it.")] = NO_REASON,
    queue: Annotated[str | None, typer.Option(help="The job's queue; JOBS_QUEUE by default.")] = None,
    registry: Annotated[str | None, typer.Option(help="module:attribute instead of JOBS_REGISTRY.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Keep a job from running, or stop it while it runs. It ends failed, and is not retried by itself.

    Prints `cancelled` where it had not started, `cancelling` where its worker ends it in a moment.
    """
    app = open_app(load_settings(jobs_registry=registry))
    state = run(_cancel(app, queue or app.settings.jobs_queue, job_id, reason))
    if as_json:
        say_json({"jobId": job_id, "state": state})
    else:
        note(f"job {one_line(job_id)}: {SENTENCES[state]}")
        say(state)


async def _cancel(app: App, queue: str, job_id: str, reason: str) -> Cancelling:
    async with app:
        return await Inspector(app).acting_as(person()).cancel(queue, job_id, reason)


async def _read(app: App, queue: str, job_id: str) -> JobView:
    async with app:
        return await Inspector(app).job(queue, job_id)


def _as_lines(view: JobView) -> Iterator[str]:
    rows = [("job", view.id), ("queue", view.queue), ("state", view.state)]
    if view.turn is not None:
        rows.append(("waits for", _turn(view.turn)))
    rows += _rows(view.job, view.run_at_ms) if view.job is not None else [("problem", view.problem or "")]
    for label, text in rows:
        yield f"{label:<10} {one_line(text)}"
    if view.job is not None and view.job.stacktrace:
        yield "stack"
        yield from (f"  {one_line(line)}" for line in view.job.stacktrace[-1].splitlines())
    if view.logs:
        hidden = view.log_count - len(view.logs)
        yield f"log        (the last {len(view.logs)} of {view.log_count} lines)" if hidden else "log"
        yield from (f"  {one_line(line)}" for line in view.logs)


def _rows(job: Job, run_at_ms: int | None) -> list[tuple[str, str]]:
    rows = [("handler", job.name), ("payload", _compact(job.envelope.payload))]
    rows += [("attempts", f"{job.attempts_made} of {job.attempts}"), *_links(job.envelope)]
    for label, value in (("progress", job.progress), ("result", job.result)):
        if value not in (None, 0):
            rows.append((label, _compact(value)))
    if job.failed_reason is not None:
        rows.append(("error", job.failed_reason))
    times = (
        ("enqueued", job.enqueued_at_ms),
        ("expires", job.envelope.expires_at_ms),
        ("runs", run_at_ms),
        ("started", job.processed_at_ms),
        ("finished", job.finished_at_ms),
    )
    return rows + [(label, _moment(at_ms)) for label, at_ms in times if at_ms is not None]


def _links(envelope: Envelope) -> list[tuple[str, str]]:
    """What ties the job to others."""
    related = None if envelope.related is None else f"{envelope.related.type} {envelope.related.id}"
    found = (("related", related), ("order key", envelope.order_key), ("created by", envelope.created_by))
    return [(label, text) for label, text in found if text is not None]


def _turn(turn: Turn) -> str:
    more = turn.holder_count - len(turn.holders)
    holders = ", ".join(turn.holders) + (f" and {more} more" if more else "")
    return f"its turn: {turn.kind} {turn.name}" + (f", held by {holders}" if holders else "")


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _moment(at_ms: int) -> str:
    """A number that is no time, as a foreign job may have it, is shown as it is."""
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(at_ms)[:40]
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
