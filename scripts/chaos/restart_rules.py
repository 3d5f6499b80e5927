"""The rules of R3: what a Redis may lose that was killed, and how soon work goes on when it is back."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from scripts.chaos.ledger import Entry, Run

RECORDS_US: Final = 500_000
"""How long after its end a run's record may reach Redis."""


class Restart(NamedTuple):
    """When Redis was killed and when it answered again, what its log had lost, and since when. Units: epoch
    microseconds, bytes.
    """

    killed_us: int
    up_us: int
    cut_bytes: int
    cut_since_us: int


def resumed(restarts: Iterable[Restart], entries: Iterable[Entry]) -> list[float]:
    """Seconds from each answer of Redis to the next run that began; nothing for one after which none did."""
    begun_us = sorted(entry.at_us for entry in entries if entry.what == "start")
    after = ((one, bisect_left(begun_us, one.up_us)) for one in restarts)
    return [(begun_us[place] - one.up_us) / 1e6 for one, place in after if place < len(begun_us)]


def stored_twice(entries: Iterable[Entry]) -> list[str]:
    """Numbers that ran as more than one job: an add was repeated that had been stored."""
    jobs: dict[str, set[str]] = {}
    for entry in entries:
        if entry.what == "start":
            jobs.setdefault(entry.job_id, set()).add(entry.note)
    return [f"{number}: jobs {sorted(ids)}" for number, ids in jobs.items() if len(ids) > 1]


def beyond_the_cut(gone: Iterable[int], stored_us: Mapping[int, int], restarts: Sequence[Restart]) -> list[str]:
    """Numbers that are gone although they were acknowledged before what the log of the next restart had lost.

    What a killed Redis has answered may be read after the kill, but before the next one answers.
    """
    ups_us = [one.up_us for one in restarts]
    found: list[str] = []
    for number in gone:
        place = bisect_left(ups_us, stored_us[number])
        if place == len(restarts):
            found.append(f"{number}, acknowledged after the last restart")
        elif stored_us[number] < restarts[place].cut_since_us:
            found.append(f"{number}, acknowledged {restarts[place].cut_since_us - stored_us[number]} µs before the cut")
    return found


def from_before_the_cut(runs: Mapping[str, Sequence[Run]], restarts: Sequence[Restart]) -> list[str]:
    """Numbers that ran again although no kill explains it: one while they ran, or one that took the end with it."""
    return [
        f"{number} ran again {(after.started_us - before.ended_us) / 1e6:.2f} s after"
        for number, several in runs.items()
        for before, after in pairwise(several)
        if not any(_may_have_lost(one, before) for one in restarts)
    ]


def _may_have_lost(one: Restart, run: Run) -> bool:
    return run.started_us <= one.up_us and run.ended_us + RECORDS_US >= one.cut_since_us
