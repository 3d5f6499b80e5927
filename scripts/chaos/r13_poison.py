"""R13: poison among good jobs. All good ones are done; poison is quarantined in three claims."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from scripts.chaos.ground import Ground, ground
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import Run, runs
from scripts.chaos.poison import ATTEMPTS, DEADLY, POISON, Dose, good, poison
from scripts.chaos.report import Findings

MOST_CLAIMS = 3


@dataclass(frozen=True, slots=True)
class Poison:
    """sys.exit, os._exit, SIGSEGV, memory, recursion, CancelledError and BaseException among good jobs."""

    good: int = 1_000
    of_each_kind: int = 100
    workers: int = 4
    concurrency: int = 10
    longest_ms: int = 50
    lock_ms: int = 1_000
    deadline_s: int = 1_800

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500}
        async with ground("scripts.chaos.poison:registry", seed, **settings) as site:
            async with site.crew(self.workers) as crew:
                kinds = await self._enqueue(site)
                left = await site.quiet(self.deadline_s)
                findings = Findings({"worker processes that died": crew.deaths})
                findings.claim("every job ends", left)
                await tell_leaks(site, findings)
            await _judge(site, kinds, findings)
            return findings

    async def _enqueue(self, site: Ground) -> dict[str, str]:
        """Store all jobs in an order drawn by chance; returns what kind each is."""
        kinds = ["good"] * self.good + [kind for kind in POISON for _ in range(self.of_each_kind)]
        site.chance.shuffle(kinds)
        doses = [Dose(kind, site.chance.randint(10, self.longest_ms)) for kind in kinds]
        items = [(good if dose.kind == "good" else poison, dose) for dose in doses]
        stored = await site.app.enqueue_jobs(items)
        return {job.job_id: kind for job, kind in zip(stored, kinds, strict=True)}


async def _judge(site: Ground, kinds: dict[str, str], findings: Findings) -> None:
    by_job: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs(site.ledger.entries()):
        by_job[run.job_id].append(run)
    ends = await site.hashes([*kinds], "finishedOn", "failedReason", "returnvalue", "atm")
    innocent = [job_id for job_id, kind in kinds.items() if kind == "good"]
    guilty = [job_id for job_id, kind in kinds.items() if kind != "good"]
    harmed = [f"{job_id} ({ends[job_id][1]})" for job_id in innocent if ends[job_id][2] != '"good"']
    findings.figures |= {
        "good jobs done": len(innocent) - len(harmed),
        "good jobs quarantined": len(harmed),
        "good jobs that ran again": sum(len(by_job[job_id]) > 1 for job_id in innocent),
        "most runs of one good job": max((len(by_job[job_id]) for job_id in innocent), default=0),
        "most claims of one poison job": max((len(by_job[job_id]) for job_id in guilty), default=0),
    }
    for kind in POISON:
        claims = Counter(len(by_job[job_id]) for job_id in guilty if kinds[job_id] == kind)
        shown = ", ".join(f"{count} × {number}" for number, count in sorted(claims.items()))
        findings.figures[f"claims of {kind} (jobs × claims)"] = shown
    findings.claim("all good jobs are done", harmed)
    deadly = [job_id for job_id in guilty if kinds[job_id] in DEADLY]
    findings.claim("what kills its worker is claimed three times", [j for j in deadly if len(by_job[j]) > MOST_CLAIMS])
    tries = {job_id: ends[job_id][3] for job_id in guilty if job_id not in deadly}
    untried = [f"{job_id} ({kinds[job_id]}): {made}" for job_id, made in tries.items() if made != str(ATTEMPTS)]
    findings.claim("what raises has all of its tries, whoever dies beside it", untried)
    findings.claim("all poison has ended failed", [j for j in guilty if ends[j][0] is None or ends[j][1] is None])
