"""Jobs shown: jobs as a terminal shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from jobqueue.cli.console import note, one_line
from jobqueue.cli.tables import print_table
from jobqueue.inspector import JobList, JobView, Turn
from jobqueue.job import Envelope, Job

HEADINGS: Final = ("ID", "STATE", "HANDLER", "TIME", "")
LONGEST: Final = 120


def print_jobs(page: JobList) -> None:
    """One line a job: when it ended or was enqueued, and what is wrong with it or what it waits for."""
    if page.jobs:
        print_table(HEADINGS, map(_cells, page.jobs), whole=("ID", "STATE", "TIME"))
    next_offset = page.offset + len(page.jobs)
    if page.scanned_to is not None:
        note(f"not all jobs were looked at; --scan-from {page.scanned_to} goes on")
    elif page.total is not None and page.total > next_offset:
        note(f"{len(page.jobs)} of {page.total:,}; --offset {next_offset} goes on")
    elif not page.jobs:
        note("no such jobs")


def _cells(view: JobView) -> tuple[str, ...]:
    if view.job is None:
        return view.id, view.state, view.raw.get("name", ""), "", (view.problem or "")[:LONGEST]
    at_ms = view.job.finished_at_ms or view.job.enqueued_at_ms
    return view.id, view.state, view.job.name, moment_of(at_ms), _remark(view, view.job)[:LONGEST]


def _remark(view: JobView, job: Job) -> str:
    if view.turn is not None:
        return _turn(view.turn)
    if view.run_at_ms is not None:
        return f"runs {moment_of(view.run_at_ms)}"
    return job.failed_reason or ""


def lines_of(view: JobView) -> Iterator[str]:
    """One job."""
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
    return rows + [(label, moment_of(at_ms)) for label, at_ms in times if at_ms is not None]


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


def moment_of(at_ms: int) -> str:
    """In UTC. A number that is no time, as a foreign job may have it, is shown as it is."""
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(at_ms)[:40]
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
