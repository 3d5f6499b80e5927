"""R8: a worker that stood still for twice its lock. It cannot complete, renew or release what its successor holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from scripts.chaos.frozen_round import KINDS, Kind, Round
from scripts.chaos.ground import ground
from scripts.chaos.leaks import NOTHING_LEFT, leaks
from scripts.chaos.report import Findings
from scripts.chaos.trespass import Visit, trespasses
from scripts.chaos.watch import Watch

EVERYTHING = "."
MOST_TURNS = 3


@dataclass(slots=True)
class Bench:
    """What one Redis with two workers saw."""

    faults: list[str] = field(default_factory=list[str])
    trespasses: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])
    void: int = 0


@dataclass(frozen=True, slots=True)
class Frozen:
    """SIGSTOP for twice the lock, then SIGCONT, with the successor still at work."""

    rounds: int = 100
    patient_rounds: int = 4
    benches: int = 4
    lock_ms: int = 2_000

    async def run(self, seed: int) -> Findings:
        """Each bench has a Redis and two workers of its own, and does its part of the rounds."""
        patient: list[Kind] = ["patient" for _ in range(self.patient_rounds)]
        kinds = patient + [KINDS[number % len(KINDS)] for number in range(self.rounds)]
        shares = [kinds[first :: self.benches] for first in range(self.benches)]
        benches = await asyncio.gather(*(self._bench(seed * 1_000 + n, share) for n, share in enumerate(shares)))
        findings = Findings({f"rounds, {kind}": count for kind, count in Counter(kinds).items()})
        void = sum(bench.void for bench in benches)
        findings.figures["void rounds, the successor itself having lost its lock; played again"] = void
        faults = [fault for bench in benches for fault in bench.faults]
        trespassed = [fault for bench in benches for fault in bench.trespasses]
        findings.claim("what the successor holds does not change, its result counts, the stale one is dropped", faults)
        findings.claim("no script call of the stale run writes to what its successor holds", trespassed)
        findings.claim(NOTHING_LEFT, [leak for bench in benches for leak in bench.left])
        return findings

    async def _bench(self, seed: int, kinds: Sequence[Kind]) -> Bench:
        settings = {"worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500}
        bench, visits = Bench(), list[Visit]()
        async with ground("scripts.chaos.hold:registry", seed, **settings) as site:
            async with Watch(site, EVERYTHING) as watch, site.crew(2) as crew:
                for number, kind in enumerate(kinds):
                    for turn in range(MOST_TURNS):
                        one = Round(site, crew, kind, f"{kind} {number}.{turn}", visits)
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
