"""R2: how long the jobs of a killed worker wait until another runs them: the lock, a check, and no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final, NamedTuple

from scripts.chaos.crew import Crew
from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import meanwhile
from scripts.chaos.leaks import leaks
from scripts.chaos.ledger import Entry, Run, runs
from scripts.chaos.numbered import Numbered
from scripts.chaos.numbered_rules import by_number, repeated, returns, unasked, unfinished
from scripts.chaos.report import Findings
from scripts.chaos.sides import REGISTRY, Side, side_of

LEEWAY_S: Final = 2.0
LEAST_MS, MOST_MS = 500, 2_000
_DEADLINE_S: Final = 60
_POLL_S: Final = 0.2


class Seen(NamedTuple):
    """What came of one rig."""

    kills: int
    jobs: int
    runs: Mapping[str, list[Run]]
    entries: list[Entry]
    faults: list[str]
    lost: list[str]
    leaks: list[str]


@dataclass(frozen=True, slots=True)
class Recovery:
    """Workers killed (-9) one after another, on several rigs at once; plain=1: those of Python's `bullmq`."""

    rigs: int = 8
    kills_of_each: int = 25
    workers: int = 2
    concurrency: int = 20
    jobs_a_second: int = 4
    lock_ms: int = 5_000
    stalled_ms: int = 5_000
    plain: int = 0

    @property
    def most_s(self) -> float:
        return (self.lock_ms + self.stalled_ms) / 1000 + LEEWAY_S

    async def run(self, seed: int) -> Findings:
        seen = await asyncio.gather(*(self._rig(seed * 1_000 + number) for number in range(self.rigs)))
        findings, recovered = Findings(), [took_s for one in seen for took_s in returns(one.runs)]
        findings.figures |= {
            "kills": sum(one.kills for one in seen),
            "jobs": sum(one.jobs for one in seen),
            "runs again": sum(repeated(one.runs) for one in seen),
        }
        findings.times("from a kill to the next run of the job", recovered)
        late = [f"{took_s:.2f} s" for took_s in sorted(recovered, reverse=True) if took_s > self.most_s]
        findings.claim(f"a killed worker's job runs again within {self.most_s:.0f} s", late)
        few = [] if recovered else ["no job of a killed worker ran again"]
        findings.claim("kills met jobs at work", few, f"{len(recovered)} jobs")
        findings.claim("every job ends", [fault for one in seen for fault in one.faults])
        findings.claim("no accepted job is lost", [fault for one in seen for fault in one.lost])
        findings.claim(
            "what runs again had its process killed", [f for one in seen for f in unasked(one.runs, one.entries)]
        )
        findings.claim("nothing is left of the jobs' locks, lists and own keys", [f for one in seen for f in one.leaks])
        return findings

    async def _rig(self, seed: int) -> Seen:
        settings = {
            "worker_concurrency": self.concurrency,
            "worker_lock_ms": self.lock_ms,
            "worker_stalled_ms": self.stalled_ms,
        }
        async with ground(REGISTRY, seed, **settings) as site, side_of(site, self.plain) as side:
            async with site.crew(self.workers, module=side.module) as crew:
                rig = Rig(site, side, crew, self.workers, self.jobs_a_second)
                async with meanwhile(rig.produce()):
                    for _ in range(self.kills_of_each):
                        await rig.kill_and_wait(self.stalled_ms / 1000, self.most_s)
                faults, left = await site.quiet(_DEADLINE_S), await leaks(site)
                deaths = crew.deaths
            entries = site.ledger.entries()
            known = by_number(runs(entries))
            lost = await site.lost([*rig.stored.values()]) + [*map(str, unfinished(rig.stored, known))]
            return Seen(deaths, len(rig.stored), known, entries, faults, lost, left)


@dataclass(slots=True)
class Rig:
    """Two workers with some jobs each, of which one after the other is killed."""

    site: Ground
    side: Side
    crew: Crew
    workers: int
    jobs_a_second: int
    stored: dict[int, str] = field(default_factory=dict[int, str])

    async def produce(self) -> None:
        """Jobs at a rate that leaves slots free, for ever."""
        for number in count():
            one = Numbered(number, self.site.chance.randint(LEAST_MS, MOST_MS))
            self.stored[number] = await self.side.add(one)
            await asyncio.sleep(1 / self.jobs_a_second)  # the rate

    async def kill_and_wait(self, check_s: float, most_s: float) -> None:
        """Kill a process that is at work, at any moment between two checks; go on when its jobs are at work again, or
        when that takes far too long: then the times will tell."""
        await asyncio.sleep(self.site.chance.uniform(0, check_s))  # the moment is the subject
        victims: list[int] = []
        while not victims:
            await asyncio.sleep(_POLL_S)  # a poll of the ledger
            victims = self._at_work()
        victim = self.site.chance.choice(victims)
        self.crew.kill(victim)
        gives_up_at_s = time.monotonic() + 5 * most_s
        while not self._has_recovered(victim):
            if time.monotonic() > gives_up_at_s:
                return
            await asyncio.sleep(_POLL_S)  # a poll of the ledger

    def _at_work(self) -> list[int]:
        """Processes with runs that are open."""
        busy = {run.pid for run in runs(self.site.ledger.entries()) if run.how == "open"}
        return sorted(busy.intersection(self.crew.pids))

    def _has_recovered(self, victim: int) -> bool:
        if victim in self.crew.pids or len(self.crew.pids) < self.workers:
            return False
        known = by_number(runs(self.site.ledger.entries()))
        return all(several[-1].how != "killed" for several in known.values())
