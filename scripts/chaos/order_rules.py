"""Order rules: what the runs of one order key, in the order of their starts, must not do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from scripts.chaos.ledger import Run

NEVER_US: Final = 2**63
TERMINAL: Final = ("finished", "failed for good")


def together(several: Sequence[Run]) -> list[str]:
    """Runs of one key that began before an earlier one had ended."""
    found: list[str] = []
    latest = several[0]
    for run in several[1:]:
        if run.started_us < latest.ended_us:
            found.append(f"{run.key}: number {latest.note} (job {latest.job_id}) and {run.note} (job {run.job_id})")
        latest = max(latest, run, key=lambda one: one.ended_us)
    return found


def _first_runs(several: Sequence[Run]) -> list[Run]:
    first: dict[str, Run] = {}
    for run in several:
        first.setdefault(run.job_id, run)
    return [*first.values()]


def out_of_order(several: Sequence[Run]) -> list[str]:
    """First runs of one key that came after that of a job with a greater number. A run's note is its job's number."""
    return [
        f"{after.key}: number {after.note} after {before.note}"
        for before, after in pairwise(_first_runs(several))
        if int(after.note) < int(before.note)
    ]


def overtaking(several: Sequence[Run], removed: Mapping[str, int]) -> list[str]:
    """First runs of one key that began while the job before was not over yet: it had neither finished nor failed for
    good. One that a person removes (epoch µs) is over then.
    """
    found: list[str] = []
    for before, after in pairwise(_first_runs(several)):
        ends = [run.ended_us for run in several if run.job_id == before.job_id and run.how in TERMINAL]
        over_us = min([*ends, removed.get(before.job_id, NEVER_US)], default=NEVER_US)
        if after.started_us < over_us:
            found.append(f"{after.key}: number {after.note} before {before.note} (job {before.job_id}) was over")
    return found


def pauses(by_key: Mapping[str, Sequence[Run]]) -> Iterator[float]:
    """Seconds for which nothing of a key ran before a job's first run: it was waiting for its turn all that time."""
    for several in by_key.values():
        first, latest_us = {run.job_id: run for run in reversed(several)}, several[0].ended_us
        for run in several[1:]:
            if first[run.job_id] is run:
                yield max(run.started_us - latest_us, 0) / 1e6
            latest_us = max(latest_us, run.ended_us)
