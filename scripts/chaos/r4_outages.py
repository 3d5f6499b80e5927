"""R4: a Redis that stops, loads, is busy, full, read-only, or drops connections. The workers wait, and lose nothing."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from scripts.chaos.crew import Crew
from scripts.chaos.cron_ground import cron_jobs
from scripts.chaos.errand_rules import faults_of, figures_of
from scripts.chaos.errands import Producer
from scripts.chaos.every_pattern import HANDLERS
from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import meanwhile
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import clock_us
from scripts.chaos.outages import LASTING, MOMENTARY
from scripts.chaos.processor import used_s
from scripts.chaos.report import Findings
from scripts.chaos.resuming import all_work, create_each_second, stop_cron
from tests.support.redis_server import running_redis

RESUMES_S: Final = 5.0
MOST_CPU: Final = 0.2


@dataclass(slots=True)
class Seen:
    """What the outages of one kind came to. Units: seconds."""

    lasted_s: float = 0.0
    cpu_s: defaultdict[int, float] = field(default_factory=lambda: defaultdict[int, float](float))
    worst_cpu: float = 0.0
    resumed_s: list[float] = field(default_factory=list[float])

    @property
    def most_cpu(self) -> float:
        """The part of one processor that the busiest worker used."""
        return max(self.cpu_s.values(), default=0.0) / self.lasted_s if self.lasted_s else 0.0


@dataclass(frozen=True, slots=True)
class Outages:
    """A Redis that stops, loads, is busy, full, read-only or drops connections, under a load of every pattern."""

    each: int = 10
    workers: int = 3
    concurrency: int = 4
    outage_ms: int = 2_500
    lock_ms: int = 60_000
    deadline_s: int = 120

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500}
        server = running_redis(appendonly=True, options=("--appendfsync", "always"))
        findings, seen = Findings(), defaultdict[str, Seen](Seen)
        async with (
            ground("scripts.chaos.every_pattern:registry", seed, server, **settings) as site,
            cron_jobs(site.app) as table,
        ):
            producer = Producer(site.app, site.keys, site.chance)
            async with site.crew(self.workers) as crew:
                await create_each_second(table)
                async with meanwhile(producer.keep_waiting(4 * self.workers * self.concurrency)):
                    await self._do_harm(site, crew, seen)
                pids = crew.pids
                await stop_cron(table)
                await producer.enqueue(len(HANDLERS))
                findings.claim("every job ends", await site.quiet(self.deadline_s))
                await tell_leaks(site, findings)
                gone = [f"{crew.deaths} died"] if crew.deaths or crew.pids != pids else []
            findings.claim("no worker has exited", gone + _bad_ends(site))
            findings.figures["load average of the machine, which hides a busy worker"] = os.getloadavg()[1]
            _tell(findings, seen)
            findings.figures |= figures_of(site, producer)
            for sentence, faults in (await faults_of(site, producer)).items():
                findings.claim(sentence, faults)
            return findings

    async def _do_harm(self, site: Ground, crew: Crew, seen: defaultdict[str, Seen]) -> None:
        """All kinds in an order drawn by chance, each under load."""
        names = [name for name in (*LASTING, *MOMENTARY) for _ in range(self.each)]
        site.chance.shuffle(names)
        await all_work(site, crew, 0)
        for name in names:
            await self._one(site, crew, name, seen[name])
            await asyncio.sleep(site.chance.uniform(0.1, 0.5))  # the moment is the subject

    async def _one(self, site: Ground, crew: Crew, name: str, seen: Seen) -> None:
        lasts_s = site.chance.uniform(0.6, 1.4) * self.outage_ms / 1000 if name in LASTING else 0.0
        outage = LASTING.get(name) or MOMENTARY[name]
        async with outage(site, lasts_s):
            before, began_s = used_s(crew.pids), time.monotonic()
            await asyncio.sleep(lasts_s)  # its length is the subject
            lasted_s, after = time.monotonic() - began_s, used_s(crew.pids)
        ended_us, from_byte = clock_us(), site.ledger.size
        if name in LASTING:
            seen.lasted_s += lasted_s
            for pid, used in before.items():
                spent_s = after.get(pid, used) - used
                seen.cpu_s[pid] += spent_s
                seen.worst_cpu = max(seen.worst_cpu, spent_s / lasted_s)
        seen.resumed_s += await all_work(site, crew, from_byte, ended_us)


def _bad_ends(site: Ground) -> list[str]:
    gone = (entry for entry in site.ledger.entries() if entry.what == "gone")
    return [f"process {entry.pid} ended with {entry.note}" for entry in gone if entry.note != "0"]


def _tell(findings: Findings, seen: defaultdict[str, Seen]) -> None:
    for name, one in sorted(seen.items()):
        if name in LASTING:
            shown = f"{100 * one.most_cpu:.1f} % / {100 * one.worst_cpu:.1f} %"
            findings.figures[f"{name}: processor, busiest worker, all outages / worst one"] = shown
        findings.times(f"{name}: from its end to a worker's next run", one.resumed_s)
    findings.figures["time of all outages, s"] = sum(one.lasted_s for one in seen.values())
    most = max((one.worst_cpu for one in seen.values()), default=0.0)
    busy = [f"{name}: {100 * one.most_cpu:.0f} %" for name, one in seen.items() if one.most_cpu >= MOST_CPU]
    findings.claim("no worker uses a fifth of a processor while Redis is away", busy, f"{100 * most:.1f} % at most")
    slow = [f"{name}: {late:.1f} s" for name, one in seen.items() for late in one.resumed_s if late > RESUMES_S]
    findings.claim("every worker works again within 5 s", slow)
