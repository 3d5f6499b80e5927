"""R7: a handler that blocks the event loop of its worker. One effect, or a fenced second; and the culprit is named."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final, NamedTuple

from jobqueue import Handler
from scripts.chaos.blocking import BLOCKS, HOLDS_GIL, Block, Manner, blocks, blocks_alone, sibling
from scripts.chaos.fence_rules import one_result_counts
from scripts.chaos.ground import Ground, ground
from scripts.chaos.leaks import leaks
from scripts.chaos.ledger import Run, runs
from scripts.chaos.report import Findings
from scripts.chaos.resource import serving
from scripts.chaos.singleton_rules import interleaved

REGISTRY: Final = "scripts.chaos.blocking:registry"
FACTORS: Final = (0.5, 1.0, 1.5, 2.0, 3.0)
SIBLINGS: Final = 3
NAMED_S: Final = 2.0
"""The watchdog looks twice a second for a loop that has not turned for a second."""
END_S: Final = 900.0
_TOLD: Final = re.compile(
    r"(?P<pid>\d+) the event loop has been blocked for [0-9.]+ s by (?P<job>\S+)(?: or, .*)?:\n(?P<stack>(?:  .*\n)*)"
)
_TOLD_AMONG_OTHERS: Final = re.compile(
    r"(?P<pid>\d+) the event loop has been blocked .* by (?:another )?one of: (?P<jobs>.*?):?\n"
)


class Blocked(NamedTuple):
    """A job that was to block, and its runs."""

    job_id: str
    name: str
    block: Block
    runs: tuple[Run, ...]

    @property
    def blocked_s(self) -> float:
        """How long its first run really took."""
        return (self.runs[0].ended_us - self.runs[0].started_us) / 1e6

    def __str__(self) -> str:
        return f"{self.block.key}: {len(self.runs)} runs, the first one took {self.blocked_s:.1f} s"


@dataclass(slots=True)
class Bench:
    """What one Redis with two workers saw."""

    faults: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))
    blocked: list[Blocked] = field(default_factory=list[Blocked])
    named: Counter[str] = field(default_factory=Counter[str])
    """Jobs that a log names, and those of which it shows the line."""
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Blocking:
    """The loop blocked for 0.5 to 3 times the lock: sleep, a loop, a regex, a great power, C code with the GIL."""

    rounds: int = 25
    benches: int = 2
    lock_ms: int = 3_000

    async def run(self, seed: int) -> Findings:
        """Each bench has a Redis and two workers of its own, and does its part of the rounds one after another."""
        plan = self._plan(seed)
        shares = [plan[first :: self.benches] for first in range(self.benches)]
        benches = await asyncio.gather(*(self._bench(seed * 100 + n, share) for n, share in enumerate(shares)))
        findings, all_faults = Findings(), defaultdict[str, list[str]](list)
        for bench in benches:
            for sentence, faults in bench.faults.items():
                all_faults[sentence] += faults
        blocked = [one for bench in benches for one in bench.blocked]
        named = sum((bench.named for bench in benches), Counter[str]())
        _tell(findings, blocked, named)
        findings.figures["writes that the resource refused"] = sum(bench.refused for bench in benches)
        for sentence, faults in all_faults.items():
            findings.claim(sentence, faults)
        _judge(findings, blocked, named, self.lock_ms / 1000)
        return findings

    def _plan(self, seed: int) -> list[tuple[Handler[Block], Block]]:
        """Every manner with every length; every second one a singleton, the others of the next seed."""
        kinds = list(product(FACTORS, BLOCKS))
        planned: list[tuple[Handler[Block], Block]] = []
        for number, (factor, manner) in enumerate(kinds[len(kinds) - self.rounds :]):
            handler = blocks_alone if (number + seed) % 2 else blocks
            again_ms = 0 if (number + seed) % 3 else 4 * self.lock_ms
            key = f"{handler.name} {manner} {factor:g} x"
            planned.append((handler, Block(key, manner, int(factor * self.lock_ms), again_ms)))
        return planned

    async def _bench(self, seed: int, share: Sequence[tuple[Handler[Block], Block]]) -> Bench:
        settings = {"worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500, "worker_concurrency": 4}
        bench, asked = Bench(), dict[str, tuple[str, Block]]()
        async with (
            ground("scripts.chaos.blocking:registry", seed, **settings) as site,
            serving(site.folder) as resource,
        ):
            beside: list[str] = []
            async with site.crew(2) as crew:
                for handler, block in share:
                    beside += await _siblings(site, self.lock_ms)
                    job = await site.app.enqueue_job(handler, block)
                    asked[job.job_id] = (handler.name, block)
                    bench.faults["every job ends"] += await site.quiet(END_S)
                    await _until_over(site)
                bench.faults["nothing is left of the jobs' locks, lists and own keys"] += await leaks(site)
                bench.faults["no worker has exited"] += [f"{crew.deaths} died"] if crew.deaths else []
            bench.faults |= await one_result_counts(site, [*asked, *beside])
            bench.faults["the resource has taken no write from a run whose successor had written"] = interleaved(
                resource.writes
            )
            bench.refused = sum(not write.accepted for write in resource.writes)
            known = runs(site.ledger.entries())
            for job_id, (name, block) in asked.items():
                bench.blocked.append(Blocked(job_id, name, block, tuple(run for run in known if run.job_id == job_id)))
            bench.named = _named(site, bench.blocked)
        return bench


async def _siblings(site: Ground, lock_ms: int) -> list[str]:
    """Jobs that are at work beside the one that blocks, on both workers."""
    stored = [await site.app.enqueue_job(sibling, lock_ms // 2) for _ in range(SIBLINGS)]
    return [job.job_id for job in stored]


async def _until_over(site: Ground) -> None:
    """A run that lost its lock comes to its end after its job."""

    def none_is_open() -> bool:
        return all(run.how != "open" for run in runs(site.ledger.entries()))

    await site.until(none_is_open, END_S, "every run has ended")
    await asyncio.sleep(0.5)  # the stale result is dropped, of which only the worker tells


def _named(site: Ground, blocked: Sequence[Blocked]) -> Counter[str]:
    """Which of them the worker's log names, and of which it shows the line that blocks."""
    log = (site.folder / "workers.log").read_text(encoding="utf-8", errors="replace")
    told = {(match["job"], int(match["pid"])): match["stack"] for match in _TOLD.finditer(log)}
    among_others = {
        (job, int(match["pid"])) for match in _TOLD_AMONG_OTHERS.finditer(log) for job in match["jobs"].split(", ")
    }
    found: Counter[str] = Counter()
    for one in blocked:
        stack = told.get((f"{one.name}:{one.job_id}", one.runs[0].pid))
        if stack is not None:
            found[one.block.key] += 1
            found[f"{one.block.key}: line"] += BLOCKS[one.block.manner].__name__ in stack
        elif (f"{one.name}:{one.job_id}", one.runs[0].pid) in among_others:
            found[one.block.key] += 1
    return found


def _tell(findings: Findings, blocked: Sequence[Blocked], named: Counter[str]) -> None:
    by_manner: defaultdict[Manner, list[Blocked]] = defaultdict(list)
    for one in blocked:
        by_manner[one.block.manner].append(one)
    for manner, several in by_manner.items():
        again = sum(len(one.runs) > 1 for one in several)
        lines = sum(named[f"{one.block.key}: line"] for one in several)
        names = sum(named[one.block.key] for one in several)
        shown = f"{len(several)} / {again} / {names} / {lines}"
        findings.figures[f"{manner}: rounds / ran again / named / with its line"] = shown
        findings.figures[f"{manner}: blocked for, s"] = ", ".join(f"{one.blocked_s:.1f}" for one in several)


def _judge(findings: Findings, blocked: Sequence[Blocked], named: Counter[str], lock_s: float) -> None:
    lets_run = [one for one in blocked if one.block.manner not in HOLDS_GIL]
    short = [one for one in blocked if one.block.manner in HOLDS_GIL and one.blocked_s < lock_s / 2]
    findings.claim("where threads run, the lock is kept and the job runs once", _again(lets_run))
    findings.claim("where none can for less than half of the lock, too", _again(short))
    unnamed = [str(one) for one in blocked if one.blocked_s > NAMED_S and not named[one.block.key]]
    findings.claim(f"who blocks for more than {NAMED_S:g} s is named in the log", unnamed)


def _again(several: Sequence[Blocked]) -> list[str]:
    return [str(one) for one in several if len(one.runs) != 1]
