"""Rules of R6 and R6C: what may be lost or run twice when another server takes over, and how long work stands still."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from scripts.chaos.at_shards import RECORDED
from scripts.chaos.ground import Ground
from scripts.chaos.ledger import Entry, Run, runs
from scripts.chaos.numbered_producer import DOUBTED, REFUSED, REPLICATED, STORED
from scripts.chaos.replication import Takeover
from scripts.chaos.report import Findings

RESUMES_S: Final = 10.0
LEAVES_US: Final = 2_000_000
"""How long a client may still be served by a master that was replaced in good order once it can know of it."""
RECORDS_US: Final = 10_000_000
"""How long after its end a run may wait for its record, where no worker says when it was made."""


class Harm(NamedTuple):
    """What was done, when, and to which queues, by their places. Units: epoch microseconds.

    `writable_us` where no server could take writes before, as it was told not to. The pause does not count where
    those who had to act stood still themselves, for the machine being too busy.
    """

    kind: str
    begun_us: int
    queues: frozenset[int]
    writable_us: int = 0
    counts: bool = True


class Window(NamedTuple):
    """A time in which what happened to some queues may be unknown to the server that has them afterwards.

    Units: epoch microseconds. What was acknowledged in `lost` may be gone, and what ran in `forgotten` may run again.
    """

    queues: frozenset[int]
    lost: tuple[int, int]
    forgotten: tuple[int, int]

    @classmethod
    def of_takeover(cls, takeover: Takeover, queues: frozenset[int], known_us: int = 0) -> Window:
        """From the last moment that the replica confirmed until all clients have left the master that it replaced.

        They can know of it from `known_us` on, where somebody has to tell them.
        """
        span = (takeover.confirmed_us, max(takeover.promoted_us, known_us) + LEAVES_US)
        return cls(queues, span, span)

    @classmethod
    def of_long_move(cls, begun_us: int, ended_us: int, queues: frozenset[int]) -> Window:
        """A slot's way to another node, where locks could expire on it; nothing may be lost there."""
        return cls(queues, (0, 0), (begun_us, ended_us + LEAVES_US))

    def may_lose(self, queue: int, acknowledged_us: int) -> bool:
        """Whether what was acknowledged then may not have reached the server that took over."""
        return queue in self.queues and self.lost[0] < acknowledged_us <= self.lost[1]

    def touches(self, queue: int, run: Run, recorded_us: int | None) -> bool:
        """Whether the run's claim, lock or record may not have reached it."""
        over_us = recorded_us or run.ended_us + RECORDS_US
        return queue in self.queues and self.forgotten[0] < over_us and run.started_us <= self.forgotten[1]


class Stored(NamedTuple):
    """A job that its producer was told is stored; `is_replicated` where it asked, and the replica had it."""

    number: int
    job_id: str
    at_us: int
    is_replicated: bool


def stored_in(entries: Iterable[Entry]) -> list[Stored]:
    """Every job that was acknowledged."""
    found: dict[str, Stored] = {}
    for entry in entries:
        if entry.what == STORED:
            found[entry.job_id] = Stored(int(entry.job_id), entry.key, entry.at_us, is_replicated=False)
        elif entry.what == REPLICATED:
            found[entry.job_id] = found[entry.job_id]._replace(is_replicated=True)
    return list(found.values())


async def judge_jobs(
    sites: Sequence[Ground], entries: Sequence[Entry], windows: Sequence[Window], findings: Findings
) -> None:
    """What became of the jobs; each of `sites` is one queue, as it is now."""
    stored, known = stored_in(entries), runs(entries)
    gone = [one for queue in range(len(sites)) for one in await _gone(sites, queue, stored)]
    ran = {run.job_id for run in known if run.how == "finished"}
    at_risk = [one for one in stored if _may_lose(windows, one, len(sites))]
    findings.figures |= {
        "jobs acknowledged": len(stored),
        "calls refused": sum(entry.what == REFUSED for entry in entries),
        "calls whose answer was lost": sum(entry.what == DOUBTED for entry in entries),
        "acknowledged, not known to be in the replica that took over": len(at_risk),
        "of these gone, and had never run": sum(str(one.number) not in ran for one in gone),
        "of these gone, though they had run": sum(str(one.number) in ran for one in gone),
        "ids that were given out twice": _given_twice(stored, len(sites)),
        "acknowledged, and confirmed by WAIT": sum(one.is_replicated for one in stored),
    }
    findings.claim(
        "nothing is lost that the replica had when it took over",
        [_told(one, windows) for one in gone if not _may_lose(windows, one, len(sites))],
    )
    findings.claim(
        "nothing is lost that WAIT confirmed",
        [_told(one, windows) for one in gone if one.is_replicated],
        seen=f"none of {findings.figures['acknowledged, and confirmed by WAIT']}",
    )
    _judge_runs(known, _records(entries), len(sites), windows, findings)


def _records(entries: Iterable[Entry]) -> Mapping[tuple[int, str, int], list[int]]:
    """By queue, job id and process, when a result was acknowledged to it."""
    found: defaultdict[tuple[int, str, int], list[int]] = defaultdict(list)
    for entry in entries:
        if entry.what == RECORDED:
            found[int(entry.key), entry.job_id, entry.pid].append(entry.at_us)
    return found


def _judge_runs(
    known: Sequence[Run],
    records: Mapping[tuple[int, str, int], Sequence[int]],
    queues: int,
    windows: Sequence[Window],
    findings: Findings,
) -> None:
    by_number: defaultdict[str, list[Run]] = defaultdict(list)
    for run in known:
        by_number[run.job_id].append(run)
    repeats = [pair for several in by_number.values() for pair in pairwise(several)]
    unexplained: list[str] = []
    for before, after in repeats:
        queue = int(before.job_id) % queues
        at_us = records.get((queue, before.note, before.pid), ())
        recorded_us = next((one_us for one_us in at_us if one_us >= before.ended_us), None)
        if not any(window.touches(queue, before, recorded_us) for window in windows):
            told = f"job {before.job_id} ({before.note}) {before.how} at {before.ended_us}, recorded at {recorded_us}"
            unexplained.append(f"{told}, began again at {after.started_us}")
    findings.figures |= {
        "runs": len(known),
        "runs of a job that had run before": len(repeats),
        "of these beside the earlier run": sum(after.started_us < before.ended_us for before, after in repeats),
    }
    findings.claim("nothing runs twice but what a takeover may have made unknown", unexplained)


async def _gone(sites: Sequence[Ground], queue: int, stored: Sequence[Stored]) -> list[Stored]:
    """Jobs that are not in Redis any more, or whose id another one has."""
    own = [one for one in stored if one.number % len(sites) == queue]
    data = await sites[queue].hashes([one.job_id for one in own], "data")
    return [one for one in own if not _is_in(data[one.job_id][0], one.number)]


def _is_in(data: str | None, number: int) -> bool:
    return data is not None and json.loads(data)["payload"][0] == number


def _may_lose(windows: Sequence[Window], one: Stored, queues: int) -> bool:
    return any(window.may_lose(one.number % queues, one.at_us) for window in windows)


def _given_twice(stored: Sequence[Stored], queues: int) -> int:
    ids = [(one.number % queues, one.job_id) for one in stored]
    return len(ids) - len(set(ids))


def _told(one: Stored, windows: Sequence[Window]) -> str:
    """A job that is gone, and which takeover it was nearest to."""
    nearest = min(
        windows, key=lambda window: min(abs(one.at_us - moment_us) for moment_us in window.lost), default=None
    )
    if nearest is None:
        return f"job {one.number} ({one.job_id}), and nobody had taken over"
    first_s, last_s = ((one.at_us - moment_us) / 1e6 for moment_us in nearest.lost)
    return (
        f"job {one.number} ({one.job_id}), {first_s:+.2f} s from the last confirmation, {last_s:+.2f} s from the leave"
    )


def judge_pauses(
    harms: Sequence[Harm], ended_us: int, entries: Sequence[Entry], queues: int, findings: Findings
) -> None:
    """How long a queue stood still after each harm, for each of its workers and for the producer."""
    moments = _moments(entries, queues)
    ends_us = [*(harm.begun_us for harm in harms[1:]), ended_us]
    by_kind: defaultdict[str, list[float]] = defaultdict(list)
    late: list[str] = []
    for harm, end_us in zip(harms, ends_us, strict=True):
        for queue, by_who in moments.items():
            kind = harm.kind if queue in harm.queues else f"{harm.kind}, the other queues"
            kind += "" if harm.counts else ", on too busy a machine"
            by_kind[kind] += [pause_s(times, harm.begun_us, end_us) for times in by_who]
            counted = (pause_s(times, harm.writable_us or harm.begun_us, end_us) for times in by_who)
            late += [f"{kind}: {one_s:.1f} s" for one_s in counted if harm.counts and one_s > RESUMES_S]
    for kind, pauses_s in sorted(by_kind.items()):
        findings.times(f"{kind}: pause", pauses_s)
    findings.claim(f"each worker and the producer go on within {RESUMES_S:.0f} s", late)


def _moments(entries: Sequence[Entry], queues: int) -> Mapping[int, list[list[int]]]:
    """For each queue the moments at which each worker began a job of it, and those at which one was acknowledged."""
    by_queue: dict[int, defaultdict[tuple[str, int], list[int]]] = {queue: defaultdict(list) for queue in range(queues)}
    for entry in entries:
        if entry.what in ("start", STORED):
            by_queue[int(entry.job_id) % queues][entry.what, entry.pid].append(entry.at_us)
    return {queue: list(by_who.values()) for queue, by_who in by_queue.items()}


def pause_s(times_us: Sequence[int], begun_us: int, end_us: int) -> float:
    """The longest time between the bounds in which nothing happened."""
    within = [at_us for at_us in times_us if begun_us < at_us < end_us]
    return max((after - before) / 1e6 for before, after in pairwise([begun_us, *within, end_us]))
