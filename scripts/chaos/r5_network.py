"""R5: a bad network between workers, producer and Redis. What was stored is done once, whatever is lost on the way."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from scripts.chaos.errands import Producer
from scripts.chaos.every_pattern import plain
from scripts.chaos.fence_rules import one_result_counts
from scripts.chaos.ground import Ground
from scripts.chaos.networks import Bench, Faults, bench, black_hole, delays, half_open, losses, resets
from scripts.chaos.report import Findings

DEFAULT_LOCK_MS: Final = 300_000
RESUMES_S: Final = 5.0
NOTICES_S: Final = 12.0
"""What a half-open connection may cost: a call's 5 s, or the 10 s that a wait for the marker may take."""
MOST_CPU: Final = 0.2

Harm = Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Network:
    """Delays, black holes, half-open connections, cuts in the middle of an answer, and answers lost of each kind."""

    lost_answers: int = 25
    resets: int = 150
    half_open: int = 6
    delay_ms: int = 15_000
    hole_ms: int = 60_000
    renewed_lock_ms: int = 10_000
    expiring_lock_ms: int = 5_000

    async def run(self, seed: int) -> Findings:
        """Three benches at once: one whose locks outlast all, one whose locks are renewed, one whose locks expire."""
        hole_s, findings = self.hole_ms / 1000, Findings()
        lasting: list[Harm] = [
            partial(delays, each_s=self.delay_ms / 1000),
            partial(resets, count=self.resets),
            partial(half_open, count=self.half_open),
            partial(black_hole, hole_s=hole_s, everybody=True),
        ]
        ended = await asyncio.gather(
            self._bench(seed * 100, DEFAULT_LOCK_MS, lasting),
            self._bench(seed * 100 + 1, self.renewed_lock_ms, [partial(losses, each=self.lost_answers)]),
            self._expiring(seed * 100 + 2, hole_s),
        )
        by_sentence: defaultdict[str, list[str]] = defaultdict(list)
        for name, one in zip(("lasting locks", "renewed locks", "expiring locks"), ended, strict=True):
            _tell(findings, name, one, by_sentence)
        for sentence, several in by_sentence.items():
            findings.claim(sentence, several)
        return findings

    async def _bench(self, seed: int, lock_ms: int, harms: Sequence[Harm]) -> Bench:
        async with bench(seed, lock_ms) as one:
            for harm in harms:
                await harm(one)
        return one

    async def _expiring(self, seed: int, hole_s: float) -> Bench:
        """Workers in a hole that outlasts their locks, and one outside, which takes their jobs."""
        async with bench(seed, self.expiring_lock_ms, _one_result_counts, [plain], direct=1) as one:
            await black_hole(one, hole_s, everybody=False)
        one.done["jobs that ran again, their lock having expired"] = one.ran_again
        return one


def _tell(findings: Findings, name: str, one: Bench, by_sentence: defaultdict[str, list[str]]) -> None:
    """What was done on a bench, and what must hold of each."""
    shown = one.figures | one.done
    findings.figures |= {f"{name}: {what}": figure for what, figure in shown.items()}
    for what, times_s in one.times_s.items():
        findings.times(f"{name}, {what}", times_s)
        within_s = NOTICES_S if what.startswith("half open") else RESUMES_S
        late = [f"{name}, {what}: {late_s:.1f} s" for late_s in times_s if late_s > within_s]
        by_sentence[f"every worker works again within {RESUMES_S:.0f} s, from half open within {NOTICES_S:.0f}"] += late
    if one.cpu:
        findings.figures[f"{name}: processor of the busiest worker, %"] = 100 * one.cpu
    busy = [f"{name}: {100 * one.cpu:.0f} %"] if one.cpu >= MOST_CPU else []
    for sentence, several in one.faults.items():
        by_sentence[sentence] += [f"{name}: {fault}" for fault in several]
    by_sentence["no worker uses a fifth of a processor in a black hole"] += busy
    by_sentence["no worker has exited"] += [f"{name}: {one.crew.deaths} died"] if one.crew.deaths else []
    by_sentence["every job ends, and nothing is left of it"] += [f"{name}: {fault}" for fault in one.left]
    by_sentence["all harm that was meant was done"] += [f"{name}: {fault}" for fault in one.unmet]


async def _one_result_counts(site: Ground, producer: Producer) -> Faults:
    return await one_result_counts(site, [*producer.stored])
