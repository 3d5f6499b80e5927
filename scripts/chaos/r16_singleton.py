"""R16: contenders for a singleton while workers are killed and frozen. No two overlap but where the fence tells."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from scripts.chaos.alone import WRITES, Turn, doomed, skip, wait
from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import Between, freezes, kills, meanwhile, recoveries
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import Entry, Run, runs
from scripts.chaos.ledger import freezes as freezes_in
from scripts.chaos.report import Findings
from scripts.chaos.resource import Write, serving
from scripts.chaos.singleton_rules import free_again, interleaved, overlapping, stood_still, unexplained

LOCK_TTL_S = 300
DOOMED = "doomed:doomed"


@dataclass(frozen=True, slots=True)
class Singletons:
    """Contenders for singletons, half of which skip and half of which wait, while workers are killed and frozen."""

    contenders: int = 10_000
    identities: int = 20
    workers: int = 8
    concurrency: int = 10
    lock_ms: int = 1_000
    least_ms_between_kills: int = 1_000
    enqueue_each_ms: int = 8
    deadline_s: int = 1_800
    doomed: int = 1

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500}
        pause_s, lock_s = self.least_ms_between_kills / 1000, self.lock_ms / 1000
        async with ground("scripts.chaos.alone:registry", seed, **settings) as site, serving(site.folder) as resource:
            findings = Findings()
            async with site.crew(self.workers) as crew:
                killing = kills(crew, Between(pause_s, 3 * pause_s), site.chance, of_at_least=2)
                freezing = freezes(crew, Between(pause_s, 2 * pause_s), Between(lock_s, 3 * lock_s), site.chance)
                async with meanwhile(killing, freezing):
                    turns = await self._enqueue(site)
                    findings.claim("every job ends", await site.quiet(self.deadline_s))
                deaths = crew.deaths
                if self.doomed:
                    await _tell_doomed(site, findings)
                await tell_leaks(site, findings)
            entries = site.ledger.entries()
            findings.figures |= {"contenders": len(turns), "kills": deaths, "freezes": len(freezes_in(entries))}
            await _judge_jobs(site, turns, runs(entries), resource.writes, findings)
            _judge_runs(entries, resource.writes, findings)
            return findings

    async def _enqueue(self, site: Ground) -> dict[str, Turn]:
        """One contender after another; those that wait are half of them."""
        stored: dict[str, Turn] = {}
        for number in range(self.contenders):
            turn = Turn(f"key-{site.chance.randrange(self.identities)}", site.chance.randint(2, 40))
            job = await site.app.enqueue_job(wait if number % 2 else skip, turn)
            stored[job.job_id] = turn
            await asyncio.sleep(self.enqueue_each_ms / 1000)  # so that some find the lock free
        return stored


async def _tell_doomed(site: Ground, findings: Findings) -> None:
    """How long the lock of a job stays that was quarantined because it killed its worker each time."""
    fatal = await site.app.enqueue_job(doomed, Turn("doomed", 1, deadly=True))

    async def is_quarantined() -> bool:
        return bool(await site.ask("ZSCORE", site.keys.of("failed"), fatal.job_id))

    await site.until(is_quarantined, 60, "the job that kills its workers is quarantined")
    began_s = time.monotonic()
    after = await site.app.enqueue_job(doomed, Turn("doomed", 1))
    await after.wait(2 * LOCK_TTL_S)
    took_s = time.monotonic() - began_s
    findings.figures["from a holder's quarantine to the next run, s"] = took_s
    late = [f"{took_s:.0f} s"] if took_s > LOCK_TTL_S + 2 else []
    findings.claim("the lock of a quarantined holder is free after its time to live", late, f"after {took_s:.1f} s")


async def _judge_jobs(
    site: Ground, turns: Mapping[str, Turn], known: Sequence[Run], writes: Sequence[Write], findings: Findings
) -> None:
    ends = await site.hashes([*turns], "name", "returnvalue", "failedReason")
    ran = {run.job_id for run in known}
    refused = {run.job_id for run in known if run.how == "refused"}
    skipped = {job_id for job_id, end in ends.items() if '"skipped"' in (end[1] or "")}
    failed = [f"{job_id} ({end[2]})" for job_id, end in ends.items() if end[2] and not end[1]]
    accepted = Counter((write.job_id, str(write.fence)) for write in writes if write.accepted)
    hollow = [
        f"{job_id} completed with fence {end[1]}, {accepted[job_id, end[1] or '']} of {WRITES} writes accepted"
        for job_id, end in ends.items()
        if end[1] and job_id not in skipped and accepted[job_id, end[1]] != WRITES
    ]
    finished = Counter(run.job_id for run in known if run.how == "finished")
    findings.figures |= {
        "runs": len(known),
        "skipped": len(skipped),
        "jobs that ran to their end twice": sum(count > 1 for count in finished.values()),
        "most full runs of one job": max(finished.values(), default=0),
    }
    findings.claim("no accepted job is lost", await site.lost([*turns]))
    findings.claim("no job has failed", failed)
    findings.claim("no job whose worker died is skipped", sorted((skipped & ran) - refused))
    findings.claim("nobody who waits is skipped", [job_id for job_id in skipped if ends[job_id][0] == "wait"])
    findings.claim("what counts as completed has had all of its writes accepted", hollow)


def _judge_runs(entries: Sequence[Entry], writes: Sequence[Write], findings: Findings) -> None:
    known, frozen = runs(entries), freezes_in(entries)
    by_key: defaultdict[str, list[Run]] = defaultdict(list)
    for run in known:
        if run.key != DOOMED:
            by_key[run.key].append(run)
    fences = Counter((run.key, run.note) for run in known)
    together = [pair for several in by_key.values() for pair in overlapping(several)]
    refused = [write for write in writes if not write.accepted]
    findings.figures |= {
        "runs that overlapped, the older one having been frozen": len(together),
        "writes accepted / refused": f"{len(writes) - len(refused):,} / {len(refused):,}",
    }
    free_s = free_again(by_key)
    findings.times("from a holder's death to the next run under its lock", free_s)
    late = [f"{one_s:.0f} s" for one_s in free_s if one_s > LOCK_TTL_S]
    findings.claim("a killed holder's lock is free after its time to live", late)
    findings.times("from a holder's death to the same job's next run", recoveries([*chain(*by_key.values())]))
    findings.claim("no fence was given out twice", [fence for fence, count in fences.items() if count > 1])
    findings.claim("no two runs overlap unless the older one was frozen", unexplained(together, frozen))
    findings.claim("the resource has taken no write from a run whose successor had written", interleaved(writes))
    by_run = {(run.job_id, run.claim): run for run in known}
    wrong = [write for write in refused if not stood_still(by_run[write.job_id, write.claim], frozen)]
    findings.claim("it has refused only runs that had been frozen", wrong)
