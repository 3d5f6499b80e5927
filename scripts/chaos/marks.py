"""Marks: when each job was told in Redis that a newer one took its lane, and which runs that leaves unmarked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from scripts.chaos.ledger import Run
from scripts.chaos.watch import Seen

PATTERN: Final = '"(set|del|unlink|SET|DEL|UNLINK)" .*:job:superseded:'
_KEY: Final = ":job:superseded:"


class Mark(NamedTuple):
    """A job's mark. `ended_us` is when it was taken away, or 0."""

    set_us: int
    ended_us: int


class Overlap(NamedTuple):
    """Two runs of a lane that were both unmarked for a while."""

    lane: str
    first: str
    second: str
    lasted_us: int


def marks(seen: Iterable[Seen]) -> dict[str, list[Mark]]:
    """The marks of each job, oldest first. A mark that is set anew has been there all the time."""
    found: defaultdict[str, list[Mark]] = defaultdict(list)
    for at_us, (command, *words), _ in seen:
        if command.lower() == "set":
            job_id = words[0].rpartition(_KEY)[2]
            if not found[job_id] or found[job_id][-1].ended_us:
                found[job_id].append(Mark(at_us, 0))
            continue
        for key in (word for word in words if _KEY in word):
            known = found[key.rpartition(_KEY)[2]]
            if known and not known[-1].ended_us:
                known[-1] = known[-1]._replace(ended_us=at_us)
    return {job_id: known for job_id, known in found.items() if known}


def overlaps(runs: Sequence[Run], marked: Mapping[str, Sequence[Mark]]) -> list[Overlap]:
    """Where two runs of one lane were at work at an instant at which Redis marked neither."""
    by_lane: defaultdict[str, list[tuple[int, int, Run]]] = defaultdict(list)
    for run in runs:
        for begin_us, end_us in _unmarked(run, marked.get(run.job_id, ())):
            by_lane[run.key].append((begin_us, end_us, run))
    found: list[Overlap] = []
    for lane, spans in by_lane.items():
        spans.sort(key=lambda span: span[0])
        latest_us, latest = 0, None
        for begin_us, end_us, run in spans:
            if latest is not None and begin_us < latest_us:
                lasted_us = min(latest_us, end_us) - begin_us
                found.append(Overlap(lane, _named(latest), _named(run), lasted_us))
            if end_us > latest_us:
                latest_us, latest = end_us, run
    return found


def _unmarked(run: Run, marked: Iterable[Mark]) -> list[tuple[int, int]]:
    """The parts of a run in which its job had no mark."""
    parts: list[tuple[int, int]] = []
    begin_us = run.started_us
    for mark in marked:
        if mark.set_us > begin_us:
            parts.append((begin_us, min(mark.set_us, run.ended_us)))
        begin_us = max(begin_us, mark.ended_us or run.ended_us)
    parts.append((begin_us, run.ended_us))
    return [(begin, end) for begin, end in parts if begin < end]


def _named(run: Run) -> str:
    return f"job {run.job_id} claim {run.claim} ({run.how})"
