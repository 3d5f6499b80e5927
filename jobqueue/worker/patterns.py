"""Patterns: whether a job may run now, and what becomes of one that may not."""

from __future__ import annotations

from typing import Any, Final, assert_never

from jobqueue.handler import Handler, Singleton
from jobqueue.steering import DONE
from jobqueue.transitions import Entry, Mark
from jobqueue.worker.outcomes import Cancelled, Completed, Outcome, Parked, Postponed, Released, Skipped, Superseded

ON_BUSY_WAIT_MS: Final = 1_000


def refused(entry: Entry, handler: Handler[Any]) -> Outcome | None:
    """The outcome of a job that may not run; None where it may."""
    match entry.verdict:
        case "run":
            return None
        case "marked":
            return heeded(entry.mark)
        case "duplicate":
            return Skipped(entry.other)
        case "busy":
            waits = isinstance(handler.pattern, Singleton) and handler.pattern.on_busy == "wait"
            return Postponed(ON_BUSY_WAIT_MS) if waits else Skipped(entry.other)
        case "booked":
            return Postponed(entry.wait_ms)
        case "parked":
            return Parked(entry.next)
        case "lost":
            return Released()  # which will be refused, and told, like every end of a job that another worker has
        case _:
            assert_never(entry.verdict)


def heeded(mark: Mark | None) -> Outcome | None:
    """What a mark makes of a job that does not run."""
    match mark:
        case Mark("superseded", by):
            return Superseded(by)
        case Mark("cancelled", reason):
            return Cancelled(reason)
        case Mark("acknowledged", how) if how.startswith(DONE):
            return Completed(how.removeprefix(DONE))
        case _:
            return None
