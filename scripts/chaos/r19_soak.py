"""R19: half of what the workers can do, for an hour and longer. What they and Redis use does not grow."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from jobqueue.cron import CronJobs
from scripts.chaos.crew import Crew
from scripts.chaos.cron_ground import cron_jobs
from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import meanwhile
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import Run, runs
from scripts.chaos.report import Findings
from scripts.chaos.soak_jobs import Chore
from scripts.chaos.soak_producer import MODULE, RATE, SEED, STORED
from scripts.chaos.soak_rules import Bounds, calm, grown, keeps_up, lost, slots_of, stored_in, trends, untried
from scripts.chaos.vitals import CPU, Sample, sampling

PERIOD_MS: Final = 1_000
_DEADLINE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Soak:
    """A long time of jobs of every kind at half of what the workers can do; what they use is looked at."""

    seconds: int = 3_600
    jobs_a_second: int = 150
    workers: int = 2
    concurrency: int = 3
    sample_each_ms: int = 5_000
    most_percent: int = 3
    most_mb_an_hour: int = 3
    more_handles: int = 0

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": 30_000, "worker_stalled_ms": 5_000}
        findings = Findings()
        async with ground("scripts.chaos.soak_jobs:registry", seed, **settings) as site:
            async with cron_jobs(site.app) as table, site.crew(self.workers) as crew:
                producing = {RATE: str(self.jobs_a_second), SEED: str(seed)}
                async with site.crew(1, [producing], module=MODULE) as producer:
                    await self._soak(site, table, crew, producer, findings.samples)
                findings.claim("every job ends", await site.quiet(_DEADLINE_S))
                await tell_leaks(site, findings)
                findings.claim(
                    "no process has died", [crew.deaths + producer.deaths] * bool(crew.deaths + producer.deaths)
                )
            self._judge_jobs(site, findings)
        self._judge_use(findings)
        return findings

    async def _soak(self, site: Ground, table: CronJobs, crew: Crew, producer: Crew, samples: list[Sample]) -> None:
        """The time itself. The row is disabled before the producer ends, and the samples before both."""

        def known() -> dict[str, int]:
            workers = {f"worker {number}": pid for number, pid in enumerate(crew.pids, 1)}
            return {**workers, **dict(zip(["producer"], producer.pids, strict=False)), "Redis": site.server.pid}

        row = await table.create(
            name="each-second",
            pattern="* * * * * *",
            handler="chore",
            payload=[*Chore("cron", "each-second", 5, "works")],
            overlap="allow",
        )
        async with meanwhile(sampling(site, known, self.sample_each_ms / 1000, samples)):
            await asyncio.sleep(self.seconds)  # the subject
        await table.update(row.id, enabled=False)

    def _judge_jobs(self, site: Ground, findings: Findings) -> None:
        entries = site.ledger.entries()
        stored, known = stored_in(entries, STORED), runs(entries)
        slots = slots_of(known, PERIOD_MS)
        findings.figures |= {
            "jobs stored": len(stored),
            "jobs stored a second": len(stored) / self.seconds,
            "runs": len(known),
            "runs that failed": sum(run.how.startswith("failed") for run in known),
            "part of the time in which a slot of a worker was busy": self._busy(known),
            "slots of the cron job that ran": slots.ran,
            "slots that had passed when the one before was picked up": slots.given_up,
        }
        few = [f"{len(stored)} in {self.seconds} s"] if len(stored) < 0.9 * self.seconds * self.jobs_a_second else []
        findings.claim("the producer keeps its rate", few)
        findings.claim("no accepted job is lost", lost(stored, known))
        findings.claim("no job ran more or less often than it has tries", untried(stored, known))
        findings.claim("each slot of the cron job ran, and once", slots.faults, f"{slots.ran:,} slots")

    def _busy(self, known: list[Run]) -> float:
        return (
            sum(run.ended_us - run.started_us for run in known) / 1e6 / (self.seconds * self.workers * self.concurrency)
        )

    def _judge_use(self, findings: Findings) -> None:
        found = trends(findings.samples)
        findings.figures["samples / of these calm"] = f"{len(findings.samples)} / {len(calm(findings.samples))}"
        findings.claim("the workers keep up", [] if keeps_up(findings.samples) else ["jobs wait at too many samples"])
        findings.figures |= {name: str(one) for name, one in found.items() if not name.endswith(CPU)}
        findings.figures |= {
            f"{name}, % of a core": one.an_hour / 36 for name, one in found.items() if name.endswith(CPU)
        }
        for sentence, faults in grown(
            found, Bounds(self.most_percent, self.most_mb_an_hour, self.more_handles)
        ).items():
            findings.claim(sentence, faults)
