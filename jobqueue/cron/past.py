"""Past: what a row says of its last run, and what an event makes of it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["active", "completed", "failed", "skipped", "superseded", "removed"]
"""`removed`: the job is gone, and nobody will tell how it ended."""


class Seen(NamedTuple):
    """One thing that happened to a job of a cron job.

    `at` is by Redis's clock, `claimed_at` by that of the worker that took the job last. `running` is the job beside
    which one was skipped, where that is of the same row and unfinished. `is_final` says that the job has told its end
    itself, by the clock of the worker that ended it.
    """

    kind: Kind
    job_id: str
    row_id: str
    at: datetime
    claimed_at: datetime | None = None
    running: str = ""
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of the last run of a cron job.

    `last_run_at`, `last_job_id` and `last_status` are of the run that began last; a try that follows a failed one
    begins anew. It is "active" until it ends for good, in its pauses too. `last_status` is "skipped" where a slot was
    skipped since; `last_completed_at` is of any run that did its work.
    """

    last_run_at: datetime | None = None
    last_status: str | None = None
    last_job_id: str | None = None
    last_completed_at: datetime | None = None

    def after_all(self, seen: Iterable[Seen]) -> Past:
        """What is known after all that, in this order."""
        return reduce(Past.after, seen, self)

    def after(self, seen: Seen) -> Past:
        """What is known after that.

        Events may be told twice, a stretch of them at a time: what is older than the run that began last changes
        nothing of it, so the end is the same.
        """
        if seen.is_final and self._is_running(seen.job_id) and self._is_before_run(seen.at):
            seen = seen._replace(at=self.last_run_at or seen.at)  # that clock is behind Redis's
        match seen.kind:
            case "active":
                return self._begun(seen.at, seen.job_id) if _is_later(seen.at, self.last_run_at) else self
            case "skipped":
                return self._after_skip(seen)
            case "removed":
                return replace(self, last_status="removed") if self._is_running(seen.job_id) else self
            case "completed" | "failed" | "superseded":
                return self._after_end(seen)

    def _after_end(self, seen: Seen) -> Past:
        past = self
        if seen.kind == "completed" and _is_later(seen.at, self.last_completed_at):
            past = replace(self, last_completed_at=seen.at)
        if seen.job_id == self.last_job_id:
            return past if self._is_before_run(seen.at) else replace(past, last_status=seen.kind)
        began_at = seen.claimed_at or self.last_run_at or seen.at
        if not _is_later(began_at, self.last_run_at):
            return past  # another run has begun since
        return replace(past._begun(began_at, seen.job_id), last_status=seen.kind)

    def _after_skip(self, seen: Seen) -> Past:
        """A skipped slot is no run, and does not hide one that goes on."""
        if self._is_before_run(seen.at):
            return self
        if self._is_running(seen.job_id) and seen.running:  # its claim had been taken for the beginning of a run
            return replace(self, last_job_id=seen.running)
        goes_on = self.last_status == "active" and not self._is_running(seen.job_id)
        return self if goes_on else replace(self, last_status="skipped")

    def _begun(self, at: datetime, job_id: str) -> Past:
        return replace(self, last_run_at=at, last_status="active", last_job_id=job_id)

    def _is_running(self, job_id: str) -> bool:
        return self.last_status == "active" and self.last_job_id == job_id

    def _is_before_run(self, at: datetime) -> bool:
        return self.last_run_at is not None and at < self.last_run_at


def moment_of(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


def _is_later(at: datetime, than: datetime | None) -> bool:
    return than is None or at > than
