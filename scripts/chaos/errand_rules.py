"""Errand rules: every job has an end, none ran once more than it was asked to, and each pattern was kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from scripts.chaos.errands import Producer
from scripts.chaos.every_pattern import Errand, alone, in_order, limited, newest, snoozing
from scripts.chaos.ground import Ground
from scripts.chaos.ledger import Run, runs
from scripts.chaos.order_rules import out_of_order, overtaking, together
from scripts.chaos.report import Figure
from scripts.chaos.slots import slot_ms, starts, twice

MOST_LIMITED = 3


async def faults_of(site: Ground, producer: Producer) -> dict[str, list[str]]:
    """What must hold of all that the producer stored, where every run had its lock all the time; and what does not."""
    stored, entries = producer.stored, site.ledger.entries()
    known = [run for run in runs(entries) if run.job_id in stored]
    slots = starts(entry for entry in entries if slot_ms(entry.job_id))
    ends = await site.hashes([*stored], "returnvalue", "failedReason", "atm")
    return {
        "no accepted job is lost": await site.lost([*stored]),
        "no job has failed": [f"{job_id}: {end[1]}" for job_id, end in ends.items() if end[1] and not end[0]],
        "no try was counted that the handler did not have": _tries(stored, ends),
        "nothing ran twice": _repeated(stored, known),
        "the newest of each superseding key ran, and each of them once at most": _newest(stored, known),
        "singletons, order keys and limits were kept": _patterns(known, stored),
        "no slot of a cron job ran twice": twice(slots),
    }


def figures_of(site: Ground, producer: Producer) -> dict[str, Figure]:
    """How much was done, and what the producer was told meanwhile."""
    entries = site.ledger.entries()
    refused = ", ".join(f"{count} {name}" for name, count in producer.refused.most_common())
    return {
        "jobs": len(producer.stored),
        "runs": sum(entry.what == "start" and entry.job_id in producer.stored for entry in entries),
        "runs of cron jobs": len(starts(entry for entry in entries if slot_ms(entry.job_id))),
        "adds that found their job stored already": producer.found,
        "adds that were refused or in doubt": refused or "none",
    }


def _tries(stored: Mapping[str, tuple[str, Errand]], ends: Mapping[str, Sequence[str | None]]) -> list[str]:
    """A superseded job may have ended before its first try; a snooze uses none."""
    asked = {job_id: 1 + errand.fails * (name != snoozing.name) for job_id, (name, errand) in stored.items()}
    return [
        f"{stored[job_id][0]} {job_id}: {made} tries were counted, {asked[job_id]} it had"
        for job_id, (_, _, made) in ends.items()
        if made != str(asked[job_id]) and stored[job_id][0] != newest.name
    ]


def _repeated(stored: Mapping[str, tuple[str, Errand]], known: Iterable[Run]) -> list[str]:
    by_job: defaultdict[str, list[Run]] = defaultdict(list)
    for run in known:
        by_job[run.job_id].append(run)
    return [
        f"{name} {job_id} ran {[(run.pid, run.claim, run.how) for run in by_job[job_id]]}, {errand.fails} were to fail"
        for job_id, (name, errand) in stored.items()
        if name != newest.name and len(by_job[job_id]) != 1 + errand.fails
    ]


def _newest(stored: Mapping[str, tuple[str, Errand]], known: Sequence[Run]) -> list[str]:
    last = {errand.key: job_id for job_id, (name, errand) in stored.items() if name == newest.name}
    finished = {run.job_id for run in known if run.how == "finished"}
    claims = [run.job_id for run in known if stored[run.job_id][0] == newest.name]
    unrun = [f"{key}: {job_id} did not run to its end" for key, job_id in last.items() if job_id not in finished]
    return unrun + [f"{job_id} ran {claims.count(job_id)} times" for job_id in {*claims} if claims.count(job_id) > 1]


def _patterns(known: Iterable[Run], stored: Mapping[str, tuple[str, Errand]]) -> list[str]:
    by_key: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in known:
        by_key[stored[run.job_id][0], run.key].append(run)
    found: list[str] = []
    for (name, _), several in by_key.items():
        if name in (alone.name, in_order.name):
            found += together(several)
        if name == in_order.name:
            found += out_of_order(several) + overtaking(several, {})
    return found + _crowds([run for (name, _), several in by_key.items() if name == limited.name for run in several])


def _crowds(several: Sequence[Run]) -> list[str]:
    moments = sorted([(run.started_us, 1) for run in several] + [(run.ended_us, -1) for run in several])
    at_work, found = 0, list[str]()
    for _, change in moments:
        at_work += change
        if at_work > MOST_LIMITED:
            found.append(f"{at_work} limited jobs at work at once")
    return found
