"""The rules of R19: what became of the jobs of a soak, of its cron job's slots, and of what was measured meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, cast

from scripts.chaos.flatness import Bound, Point, Trend, trend
from scripts.chaos.ledger import Entry, Run
from scripts.chaos.slots import slot_ms
from scripts.chaos.soak_jobs import TRIES, Kind, Manner
from scripts.chaos.vitals import CPU, HANDLES, KEYS, RSS, STATISTICS, THREADS, WAITING, Sample

MOST_WAITING: Final = 10
ENDS: Final = ("finished", "failed for good")
MOST_STATISTICS: Final = 140
"""Keys by the clock: figures are kept for each minute and each ten minutes of two hours, and for longer times."""


class Stored(NamedTuple):
    """A job that the producer was told is stored, in the order in which it was."""

    job_id: str
    kind: Kind
    group: str
    manner: Manner


def stored_in(entries: Iterable[Entry], word: str) -> list[Stored]:
    """The jobs that the ledger says are stored."""
    found: list[Stored] = []
    for entry in entries:
        if entry.what == word:
            manner, _, group = entry.note.partition("/")
            found.append(Stored(entry.job_id, cast(Kind, entry.key), group, cast(Manner, manner)))
    return found


def lost(stored: Sequence[Stored], known: Iterable[Run]) -> list[str]:
    """Jobs that never came to their end; of a lane only the last one has to."""
    ended = {run.job_id for run in known if run.how in ENDS}
    last = {one.group: one.job_id for one in stored if one.kind == "latest"}
    return [
        f"{one.kind} job {one.job_id}"
        for one in stored
        if one.job_id not in ended and (one.kind != "latest" or last[one.group] == one.job_id)
    ]


def untried(stored: Sequence[Stored], known: Iterable[Run]) -> list[str]:
    """Jobs that ran more or less often than they have tries: one, another where the first fails, or all."""
    runs = Counter(run.job_id for run in known)
    return [
        f"{one.kind} job {one.job_id} that {one.manner}: {runs[one.job_id]} runs"
        for one in stored
        if runs[one.job_id] != TRIES[one.manner] and (one.kind != "latest" or runs[one.job_id] > 1)
    ]


class Slots(NamedTuple):
    """What became of the slots of a cron job. Those `given_up` had passed when the one before them was picked up."""

    ran: int
    given_up: int
    faults: list[str]


def slots_of(known: Iterable[Run], period_ms: int) -> Slots:
    """From the first slot that ran to the last: each must have run, and once."""
    starts: dict[int, list[int]] = {}
    for run in known:
        slot = slot_ms(run.job_id)
        if slot is not None:
            starts.setdefault(slot, []).append(run.started_us // 1_000)
    faults = [f"slot {slot} ran {len(began)} times" for slot, began in starts.items() if len(began) > 1]
    given_up = 0
    ordered = sorted(starts)
    for slot, following in pairwise(ordered):
        missing = (following - slot) // period_ms - 1
        explained = max(min(missing, (starts[slot][0] - slot) // period_ms), 0)
        given_up += explained
        if missing > explained:
            faults.append(f"{missing - explained} slots without a run after {slot}")
    return Slots(len(starts), given_up, faults)


# What was measured


class Bounds(NamedTuple):
    """How much may grow. `handles` is how many more handles or threads there may be: a worker opens some when it first
    looks after cron jobs, which is later than a short soak is warm."""

    percent: float
    mb_an_hour: float
    handles: int = 0


def bound_of(name: str, bounds: Bounds) -> Bound | None:
    """What a measure of a sample must keep to; None where it is meant to grow, or not judged."""
    who, _, what = name.partition(": ")
    if name in ("s", WAITING) or what == CPU:
        return None
    if what in (HANDLES, THREADS):
        return Bound(0, slack=bounds.handles)
    if name == KEYS + STATISTICS:
        return Bound(bounds.percent, slack=MOST_STATISTICS)
    if f"{who}: " == KEYS:
        return Bound(bounds.percent, slack=10)
    return Bound(bounds.percent, an_hour=bounds.mb_an_hour if what == RSS else None)


def trends(samples: Sequence[Sample]) -> dict[str, Trend]:
    """The trend of each measure; one that a sample does not have is 0 there. Those of Redis are of calm samples."""
    names = dict.fromkeys(name for sample in samples for name in sample if name != "s")
    quiet = calm(samples) if keeps_up(samples) else samples
    return {
        name: trend([Point(sample["s"], sample.get(name, 0)) for sample in (quiet if _is_of_redis(name) else samples)])
        for name in names
    }


def calm(samples: Sequence[Sample]) -> list[Sample]:
    """Those at which next to nothing waited. What Redis holds of a backlog is what a backlog is."""
    return [sample for sample in samples if sample[WAITING] <= MOST_WAITING]


def keeps_up(samples: Sequence[Sample]) -> bool:
    """Whether most of each quarter's samples are calm, so that they can be compared."""
    size = len(samples) // 4
    quarters = [samples[first : first + size] for first in range(0, 4 * size, size)] if size else [samples]
    return all(2 * len(calm(quarter)) > len(quarter) for quarter in quarters)


def _is_of_redis(name: str) -> bool:
    return name.startswith((KEYS, "Redis: ")) and not name.endswith(CPU)


def grown(found: dict[str, Trend], bounds: Bounds) -> dict[str, list[str]]:
    """By what is judged together, what has grown by more than it may."""
    faults: dict[str, list[str]] = {}
    for name, one in found.items():
        bound = bound_of(name, bounds)
        if bound is not None:
            group = faults.setdefault(_group_of(name), [])
            if bound.exceeded_by(one):
                group.append(f"{name}: {one}")
    return faults


def _group_of(name: str) -> str:
    who, _, what = name.partition(": ")
    if f"{who}: " == KEYS:
        return "the number of keys of any kind does not grow"
    if what in (HANDLES, THREADS):
        return f"the number of {what} does not grow"
    return "the memory of Redis does not grow" if who == "Redis" else "the memory of workers and producer does not grow"
