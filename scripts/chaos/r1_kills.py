"""R1: workers killed at random while they work. Nothing is lost; only what a killed worker had in hand runs again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import Between, kills, meanwhile
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import runs
from scripts.chaos.numbered import Numbered
from scripts.chaos.numbered_rules import by_number, repeated, returns, tell_ends, unasked
from scripts.chaos.report import Findings
from scripts.chaos.sides import REGISTRY, Side, side_of

WRITERS: Final = 20
LEAST_MS, MOST_MS = 10, 50


@dataclass(frozen=True, slots=True)
class Kills:
    """Workers killed (-9) at random while they work. With plain=1 they are those of Python's `bullmq`."""

    jobs: int = 20_000
    workers: int = 4
    concurrency: int = 10
    lock_ms: int = 5_000
    stalled_ms: int = 1_000
    least_ms_between_kills: int = 1_000
    deadline_s: int = 600
    plain: int = 0

    async def run(self, seed: int) -> Findings:
        settings = {
            "worker_concurrency": self.concurrency,
            "worker_lock_ms": self.lock_ms,
            "worker_stalled_ms": self.stalled_ms,
        }
        pause_s = self.least_ms_between_kills / 1000
        findings = Findings()
        async with ground(REGISTRY, seed, **settings) as site, side_of(site, self.plain) as side:
            async with site.crew(self.workers, module=side.module) as crew:
                async with meanwhile(kills(crew, Between(pause_s, 3 * pause_s), site.chance, of_at_least=2)):
                    stored = await self._enqueue(site, side)
                    findings.claim("every job ends", await site.quiet(self.deadline_s))
                deaths = crew.deaths
                await tell_leaks(site, findings)
            await self._judge(site, stored, deaths, findings)
        return findings

    async def _enqueue(self, site: Ground, side: Side) -> dict[int, str]:
        """All jobs, by several callers at once; their ids by their numbers."""
        numbers, stored = iter(range(self.jobs)), dict[int, str]()

        async def write(chance: random.Random) -> None:
            for number in numbers:
                stored[number] = await side.add(Numbered(number, chance.randint(LEAST_MS, MOST_MS)))

        await asyncio.gather(*(write(random.Random(f"{site.seed}/{caller}")) for caller in range(WRITERS)))
        return stored

    async def _judge(self, site: Ground, stored: Mapping[int, str], deaths: int, findings: Findings) -> None:
        entries = site.ledger.entries()
        known = by_number(runs(entries))
        again, most = repeated(known), deaths * self.concurrency
        times = Counter(map(len, known.values()))
        findings.figures |= {"jobs": len(stored), "kills": deaths, "runs again": again}
        findings.figures["most runs of one job"] = max(times, default=0)
        findings.times("from a kill to the next run of the job", returns(known))
        findings.claim("workers were killed", [] if deaths else ["none was; more jobs would take longer"], f"{deaths}")
        await tell_ends(site, stored, known, findings)
        many = [f"{again} by {deaths} kills"] if again > most else []
        findings.claim("no more runs again than killed workers had slots", many, f"{again} of at most {most}")
        findings.claim("what runs again had its process killed", unasked(known, entries))
