"""Singleton rules: what runs under one lock must not do. A run's note is its fence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from scripts.chaos.ledger import Freeze, Run, was_frozen
from scripts.chaos.resource import Write


def overlapping(several: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Pairs of runs, older first, of which the older one had not ended when the newer one began."""
    return [
        (older, newer)
        for number, older in enumerate(several)
        for newer in several[number + 1 : number + 20]
        if newer.started_us < older.ended_us
    ]


def unexplained(together: Sequence[tuple[Run, Run]], frozen: Sequence[Freeze]) -> list[str]:
    """Overlaps whose older run had not stood still."""
    return [
        f"{older.key}: jobs {older.job_id} and {newer.job_id}"
        for older, newer in together
        if not stood_still(older, frozen)
    ]


def stood_still(run: Run, frozen: Sequence[Freeze]) -> bool:
    """Whether its process stood still since it took the lock: a fence is the time of that, in epoch microseconds."""
    return was_frozen(run._replace(started_us=int(run.note)), frozen)


def interleaved(writes: Sequence[Write]) -> list[str]:
    """Writes that were taken after one with a greater fence."""
    greatest: defaultdict[str, int] = defaultdict(int)
    wrong: list[str] = []
    for write in (write for write in writes if write.accepted):
        if write.fence < greatest[write.key]:
            wrong.append(f"{write.key}: fence {write.fence} of job {write.job_id} after {greatest[write.key]}")
        greatest[write.key] = max(write.fence, greatest[write.key])
    return wrong


def free_again(by_key: Mapping[str, Sequence[Run]]) -> list[float]:
    """Seconds from the death of a holder's process to the next run under that lock."""
    pairs = (pair for several in by_key.values() for pair in pairwise(several))
    return [(after.started_us - before.ended_us) / 1e6 for before, after in pairs if before.how == "killed"]
