"""R8: a worker that stood still for twice its lock. Nothing that it then does changes what its successor holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.chaos.cron_ground import cron_jobs
from scripts.chaos.frozen_jobs import KINDS, Kind, Subject
from scripts.chaos.frozen_round import WORKERS, Round
from scripts.chaos.ground import ground
from scripts.chaos.leaks import NOTHING_LEFT, leaks
from scripts.chaos.report import Findings
from scripts.chaos.trespass import Visit, trespasses
from scripts.chaos.watch import Watch

EVERYTHING = "."
MOST_TURNS = 3


class Plan(NamedTuple):
    """One round."""

    kind: Kind
    is_stopped: bool

    @property
    def name(self) -> str:
        return f"{self.kind}, then SIGTERM" if self.is_stopped else self.kind


def _plan(number: int) -> Plan:
    """Each kind in turn, with and without the shutdown."""
    passes, place = divmod(number, len(KINDS))
    return Plan(KINDS[place], is_stopped=(passes + place) % 2 == 1)


@dataclass(slots=True)
class Bench:
    """What one Redis with two workers saw."""

    faults: list[str] = field(default_factory=list[str])
    trespasses: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])
    void: int = 0


@dataclass(frozen=True, slots=True)
class Frozen:
    """SIGSTOP for twice the lock, then SIGCONT beside the successor; in half of the rounds SIGTERM directly after."""

    rounds: int = 100
    patient_rounds: int = 4
    benches: int = 4
    lock_ms: int = 2_000

    async def run(self, seed: int) -> Findings:
        """Each bench has a Redis and two workers of its own, and does its part of the rounds."""
        plan = [Plan("patient", is_stopped=False) for _ in range(self.patient_rounds)]
        plan += [_plan(number) for number in range(self.rounds)]
        shares = [plan[first :: self.benches] for first in range(self.benches)]
        benches = await asyncio.gather(*(self._bench(seed * 1_000 + n, share) for n, share in enumerate(shares)))
        findings = Findings({f"rounds, {one.name}": count for one, count in sorted(Counter(plan).items())})
        void = sum(bench.void for bench in benches)
        findings.figures["void rounds, the successor itself having lost its lock; played again"] = void
        faults = [fault for bench in benches for fault in bench.faults]
        trespassed = [fault for bench in benches for fault in bench.trespasses]
        findings.claim(
            "what the successor holds does not change, all that is read and told of its job is its own", faults
        )
        findings.claim("no script call of the stale run writes to what its successor holds", trespassed)
        findings.claim(NOTHING_LEFT, [leak for bench in benches for leak in bench.left])
        return findings

    async def _bench(self, seed: int, plan: Sequence[Plan]) -> Bench:
        settings = {"worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500}
        bench, visits = Bench(), list[Visit]()
        async with ground("scripts.chaos.hold:registry", seed, **settings) as site:
            async with cron_jobs(site.app) as rows, Watch(site, EVERYTHING) as watch, site.crew(WORKERS) as crew:
                for number, how in enumerate(plan):
                    for turn in range(MOST_TURNS):
                        subject = Subject(site, rows, how.kind, f"{how.kind} {number}.{turn}")
                        one = Round(site, crew, subject, visits, how.is_stopped)
                        faults = await one.play()
                        if faults and one.is_void() and turn < MOST_TURNS - 1:
                            bench.void += 1
                            continue
                        bench.faults += faults
                        break
                bench.faults += await site.quiet(60)
                bench.left = await leaks(site)
            bench.trespasses = trespasses(watch.seen(), visits)
            return bench
