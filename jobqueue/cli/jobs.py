"""`jobqueue jobs`: look at jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from board.serialize import job_json
from jobqueue.app import App
from jobqueue.cli.console import one_line, run, say, say_json
from jobqueue.cli.environment import load_settings, open_app
from jobqueue.inspector import Inspector, JobView
from jobqueue.job import Job

EXAMPLES = """Examples:

jobqueue jobs show 42

jobqueue jobs show r1-nightly --queue reports --json | jq .state
"""


def add_to(app: typer.Typer) -> None:
    jobs = typer.Typer(help="Look at jobs.", no_args_is_help=True)
    jobs.callback()(_group)
    jobs.command("show", epilog=EXAMPLES)(show)
    app.add_typer(jobs, name="jobs")


def _group() -> None:
    """Look at jobs."""


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


async def _read(app: App, queue: str, job_id: str) -> JobView:
    async with app:
        return await Inspector(app).job(queue, job_id)


def _as_lines(view: JobView) -> Iterator[str]:
    rows = [("job", view.id), ("queue", view.queue), ("state", view.state)]
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
    rows += [("attempts", f"{job.attempts_made} of {job.attempts}")]
    for label, value in (("progress", job.progress), ("result", job.result)):
        if value not in (None, 0):
            rows.append((label, _compact(value)))
    if job.failed_reason is not None:
        rows.append(("error", job.failed_reason))
    times = (
        ("enqueued", job.enqueued_at_ms),
        ("runs", run_at_ms),
        ("started", job.processed_at_ms),
        ("finished", job.finished_at_ms),
    )
    return rows + [(label, _moment(at_ms)) for label, at_ms in times if at_ms is not None]


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
