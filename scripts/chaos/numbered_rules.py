"""The rules of R1, R2 and R3: what became of numbered jobs, by what their runs wrote into the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from scripts.chaos.ground import Ground
from scripts.chaos.ledger import Entry, Run
from scripts.chaos.report import Findings


def by_number(known: Iterable[Run]) -> dict[str, list[Run]]:
    """The runs of each number, in the order of their starts."""
    found: defaultdict[str, list[Run]] = defaultdict(list)
    for run in known:
        found[run.job_id].append(run)
    return dict(found)


def unfinished(numbers: Iterable[int], runs: Mapping[str, Sequence[Run]]) -> list[int]:
    """Numbers of which no run came to its end."""
    return [number for number in numbers if not any(run.how == "finished" for run in runs.get(str(number), ()))]


def repeated(runs: Mapping[str, Sequence[Run]]) -> int:
    """How many runs there were beside the first of each number."""
    return sum(len(several) - 1 for several in runs.values())


def unasked(runs: Mapping[str, Sequence[Run]], entries: Iterable[Entry]) -> list[str]:
    """Runs again of a number whose process had not died: what it did may be done twice."""
    gone_us = {entry.pid: entry.at_us for entry in entries if entry.what == "gone"}
    return [
        f"{after.job_id} ran again {(after.started_us - before.ended_us) / 1e6:.2f} s after a run that {before.how}"
        for several in runs.values()
        for before, after in pairwise(several)
        if gone_us.get(before.pid, after.started_us) >= after.started_us
    ]


def returns(runs: Mapping[str, Sequence[Run]]) -> list[float]:
    """Seconds from the death of a run's process to the number's next run, for each that ran again."""
    return [
        (after.started_us - before.ended_us) / 1e6
        for several in runs.values()
        for before, after in pairwise(several)
        if before.how == "killed"
    ]


async def tell_ends(
    site: Ground, stored: Mapping[int, str], runs: Mapping[str, Sequence[Run]], findings: Findings
) -> None:
    """Claim that every job that was acknowledged came to its end, in Redis and in the ledger, and none failed."""
    ends = await site.hashes([*stored.values()], "failedReason")
    findings.claim("no accepted job is lost", await site.lost([*stored.values()]))
    findings.claim("no job has failed", [f"{job_id}: {why}" for job_id, (why,) in ends.items() if why])
    findings.claim("every accepted job has run to its end", unfinished(stored, runs))
