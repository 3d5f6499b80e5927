"""R15: superseding storms while workers are killed. The last of a lane runs; of the others none that was not told."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import Between, kills, meanwhile, recoveries
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import Run, runs
from scripts.chaos.marks import PATTERN, Mark, marks, overlaps
from scripts.chaos.report import Findings
from scripts.chaos.storm import Gust, Manner, storm
from scripts.chaos.watch import Watch

MANNERS: tuple[Manner, ...] = ("obeys", "obeys", "deaf", "fails")
MOST_IN_A_BURST = 10
POLL_MS, GRACE_MS = 500, 200


@dataclass(frozen=True, slots=True)
class Storms:
    """Superseding storms from many writers at once, while workers are killed."""

    lanes: int = 1_000
    jobs_of_a_lane: int = 50
    writers: int = 40
    workers: int = 4
    concurrency: int = 25
    lock_ms: int = 3_000
    least_ms_between_kills: int = 1_000
    deadline_s: int = 900

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": self.lock_ms, "worker_stalled_ms": 1_000}
        pause_s = self.least_ms_between_kills / 1000
        async with ground("scripts.chaos.storm:registry", seed, **settings) as site:
            async with Watch(site, PATTERN) as watch, site.crew(self.workers) as crew:
                async with meanwhile(kills(crew, Between(pause_s, 3 * pause_s), site.chance)):
                    gusts = await self._blow(site)
                left = await site.quiet(self.deadline_s)
                findings = Findings({"jobs": len(gusts), "kills": crew.deaths})
                findings.claim("every job ends", left)
                await tell_leaks(site, findings)
            known = runs(site.ledger.entries())
            marked = marks(watch.seen())
            await _judge_jobs(site, gusts, known, findings)
            _judge_runs(gusts, known, marked, findings)
            return findings

    async def _blow(self, site: Ground) -> dict[str, Gust]:
        """Enqueue everything from many writers at once; returns what each job was, by its id."""
        bursts = list(_bursts(site.chance, self.lanes, self.jobs_of_a_lane))
        stored: dict[str, Gust] = {}

        async def write() -> None:
            chance = random.Random(site.chance.random())
            while bursts:
                for gust in bursts.pop():
                    delay_ms = chance.randint(1, 500) if chance.random() < 0.1 else 0
                    job = await site.app.enqueue_job(storm, gust, delay_ms=delay_ms)
                    stored[job.job_id] = gust
                    await asyncio.sleep(chance.uniform(0, 0.06))  # so that some of them have begun to run

        await asyncio.gather(*(write() for _ in range(self.writers)))
        return stored


def _bursts(chance: random.Random, lanes: int, jobs_of_a_lane: int) -> Iterator[list[Gust]]:
    """Every lane's jobs, cut into bursts, in an order drawn by chance."""
    cut: list[list[Gust]] = []
    for lane in range(lanes):
        gusts = [
            Gust(f"lane-{lane}", number, chance.randint(10, 200), chance.choice(MANNERS))
            for number in range(jobs_of_a_lane)
        ]
        while gusts:
            size = chance.randint(1, MOST_IN_A_BURST)
            cut.append(gusts[:size])
            gusts = gusts[size:]
    chance.shuffle(cut)
    yield from cut


async def _judge_jobs(site: Ground, gusts: Mapping[str, Gust], known: Sequence[Run], findings: Findings) -> None:
    ends = await site.hashes([*gusts], "finishedOn", "returnvalue", "failedReason")
    last: dict[str, str] = {}
    for job_id, gust in gusts.items():
        last[gust.lane] = max(last.get(gust.lane, "0"), job_id, key=int)
    finished = {run.job_id for run in known if run.how == "finished"}
    unrun = [
        f"{lane}: job {job_id} ended {ends[job_id][1:]}"
        for lane, job_id in last.items()
        if job_id not in finished or ends[job_id][1] != str(gusts[job_id].number)
    ]
    claims: defaultdict[str, int] = defaultdict(int)
    for run in known:
        claims[run.job_id] += run.how == "finished"
    findings.figures |= {
        "runs": len(known),
        "jobs that ran to their end": len(finished),
        "jobs that completed as superseded": sum('"superseded"' in (end[1] or "") for end in ends.values()),
        "most full runs of one job": max(claims.values(), default=0),
        "jobs that ran to their end twice": sum(count > 1 for count in claims.values()),
    }
    findings.claim("no accepted job is lost", await site.lost([*gusts]))
    findings.claim(
        "no job has failed", [f"{job_id} ({end[2]})" for job_id, end in ends.items() if end[2] and not end[1]]
    )
    findings.claim("the last of every lane has run to its end, and its result counts", unrun)


def _judge_runs(
    gusts: Mapping[str, Gust], known: Sequence[Run], marked: Mapping[str, Sequence[Mark]], findings: Findings
) -> None:
    told = [(run, mark) for run in known for mark in marked.get(run.job_id, ()) if _within(run, mark)]
    obeyed = [(run.ended_us - mark.set_us) / 1e6 for run, mark in told if gusts[run.job_id].manner != "deaf"]
    late = [run for run in known for mark in marked.get(run.job_id, ()) if mark.set_us < run.started_us]
    findings.figures |= {
        "marks set in Redis": sum(map(len, marked.values())),
        "runs that were told to stop while they ran": len(told),
        "runs whose mark came between the last look and their start": len(late),
    }
    findings.times("from the mark to the end of a run that obeys", obeyed)
    findings.times("from a kill to the next run of the job", recoveries(known))
    findings.claim("at any instant at most one run of a lane is unmarked", overlaps(known, marked))


def _within(run: Run, mark: Mark) -> bool:
    return run.started_us <= mark.set_us <= run.ended_us
