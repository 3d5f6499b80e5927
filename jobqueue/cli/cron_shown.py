"""Cron shown: cron jobs, and what a pass of the sync did, as a terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from jobqueue.cli.console import note, one_line, say
from jobqueue.cli.tables import print_table
from jobqueue.cron import CronJob, SyncReport
from jobqueue.cron.zones import zone_named
from jobqueue.errors import InvalidOption

HEADINGS = ("NAME", "PATTERN", "ZONE", "HANDLER", "ENABLED", "NEXT RUN", "LAST RUN")


def print_cron_jobs(rows: Sequence[tuple[CronJob, int | None]]) -> None:
    """One line a cron job, each with its next run."""
    print_table(HEADINGS, (_cells(row, next_ms) for row, next_ms in rows))


def _cells(row: CronJob, next_ms: int | None) -> tuple[str, ...]:
    texts = (row.name, row.pattern, row.timezone, row.handler, "yes" if row.enabled else "no")
    return (*texts, next_run(row, next_ms), _last_run(row))


def report_json(report: SyncReport) -> dict[str, Any]:
    return {
        "added": report.added,
        "replaced": report.replaced,
        "removed": report.removed,
        "kept": report.kept,
        "unknown": report.unknown,
        "refused": report.refused,
        "overtaken": report.overtaken,
    }


def print_report(report: SyncReport) -> None:
    changed = (("added", report.added), ("replaced", report.replaced), ("removed", report.removed))
    for word, scheduler_ids in changed:
        for scheduler_id in scheduler_ids:
            say(f"{word:<8} {one_line(scheduler_id)}")
    for scheduler_id in report.unknown:
        say(f"unknown  {one_line(scheduler_id)}: its handler is not in this registry")
    for scheduler_id, problem in report.refused.items():
        say(f"refused  {one_line(scheduler_id)}: {one_line(problem)}")
    if report.overtaken:
        note("another pass began later, and does what this one left")
    note(f"{len(report.kept)} as they should be")


def next_run(row: CronJob, next_ms: int | None) -> str:
    """As the clocks of the row's zone show it."""
    if next_ms is not None:
        return wall_clock(row.timezone, next_ms)
    return "no good pattern or zone" if row.enabled else "-"


def wall_clock(timezone: str, at_ms: int) -> str:
    """`2026-11-01 01:30 EST`, with the seconds where there are some."""
    moment = datetime.fromtimestamp(at_ms / 1000, _zone(timezone))
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z" if moment.second else "%Y-%m-%d %H:%M %Z")


def _last_run(row: CronJob) -> str:
    if row.last_run_at is None:
        return row.last_status or "-"
    return f"{row.last_status} {row.last_run_at.astimezone(_zone(row.timezone)):%Y-%m-%d %H:%M %Z}"


def _zone(timezone: str) -> tzinfo:
    """UTC for what is no zone: such a row must be shown, or nobody could mend it."""
    try:
        return zone_named(timezone).rules
    except InvalidOption:
        return UTC
