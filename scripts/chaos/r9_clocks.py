"""R9: clocks that are wrong by seconds and by minutes, and are set while all runs. What is late is so by the skew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from scripts.chaos.clock_round import Ahead, Seen, Wrong, play
from scripts.chaos.report import Findings


@dataclass(frozen=True, slots=True)
class Clocks:
    """Workers and Redis with wrong clocks, that are set forwards and backwards while slots and delayed jobs come."""

    little_s: int = 5
    much_s: int = 600
    phase_s: int = 15
    benches: int = 8
    leeway_ms: int = 2_000
    every: int = 1

    async def run(self, seed: int) -> Findings:
        """The rounds, or every so manieth of them, so many at once."""
        rounds = [*_rounds(self.little_s), *(_rounds(self.much_s) if self.much_s else ())][self.every - 1 :: self.every]
        rounds.sort(key=lambda wrong: -wrong.skew_s * wrong.is_silent)
        benches = asyncio.Semaphore(self.benches)

        async def one(number: int, wrong: Wrong) -> Seen:
            async with benches:
                return await play(wrong, seed * 1_000 + number, self.phase_s, self.leeway_ms / 1_000)

        seen = await asyncio.gather(*(one(number, wrong) for number, wrong in enumerate(rounds)))
        findings = Findings({"rounds": len(rounds)})
        for wrong, came in zip(rounds, seen, strict=True):
            _tell(findings, wrong, came)
        findings.claim("no accepted job is lost", [*chain.from_iterable(came.lost for came in seen)])
        findings.claim("no slot has run twice", [*chain.from_iterable(came.twice for came in seen)])
        findings.claim("nothing runs earlier or later than the skew", [*chain.from_iterable(one.wrong for one in seen)])
        findings.claim("no row is silent for longer than the skew", [*chain.from_iterable(one.silent for one in seen)])
        return findings


def _rounds(by_s: int) -> list[Wrong]:
    """All the ways to be wrong by so many seconds."""
    right, ahead, behind = Ahead(), Ahead(by_s, by_s), Ahead(-by_s, -by_s)
    forwards, back = Ahead(0, by_s), Ahead(0, -by_s)
    both = (right, right)
    return [
        Wrong(f"one worker {by_s} s ahead", (ahead, right)),
        Wrong(f"one worker {by_s} s behind", (behind, right)),
        Wrong(f"both workers {by_s} s ahead", (ahead, ahead)),
        Wrong(f"both workers {by_s} s behind", (behind, behind), is_silent=True),
        Wrong(f"one worker set {by_s} s back", (back, right)),
        Wrong(f"both workers set {by_s} s back", (back, back), is_silent=True),
        Wrong(f"both workers set {by_s} s forwards", (forwards, forwards)),
        Wrong(f"one worker ahead, one behind, by {by_s} s", (ahead, behind)),
        Wrong(f"Redis {by_s} s ahead", both, ahead, is_silent=True),
        Wrong(f"Redis {by_s} s behind", both, behind),
        Wrong(f"Redis set {by_s} s back", both, back, is_silent=True),
        Wrong(f"Redis set {by_s} s forwards", both, forwards, is_silent=True),
    ]


def _tell(findings: Findings, wrong: Wrong, came: Seen) -> None:
    slots, delays = _span(came.slot_errors_s), _span(came.delay_errors_s)
    findings.figures[wrong.name] = f"{len(came.slot_errors_s)} runs {slots} s; delayed {delays} s; {came.again} again"


def _span(errors_s: Sequence[float]) -> str:
    return f"{min(errors_s):+.2f} to {max(errors_s):+.2f}" if errors_s else "none"
