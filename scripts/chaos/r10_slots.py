"""R10: a cron job each second while workers are killed. Each slot has one job; where one has no run, policy says so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import JsonValue

from jobqueue.cron import CronJobs
from jobqueue.cron.table import Misfire, Overlap
from scripts.chaos.cron_ground import Made, cron_jobs, slot_jobs
from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import meanwhile, recoveries
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import clock_us, runs
from scripts.chaos.order_rules import together
from scripts.chaos.report import Findings
from scripts.chaos.slot_kills import SlotKills
from scripts.chaos.slot_rules import Gap, Row, gaps, longest_making_ms, longest_pause_ms, unlike_policy, without_death
from scripts.chaos.slots import Start, again, first_starts, scheduler_of, slot_ms, starts, twice

EACH_SECOND: Final = "* * * * * *"
PERIOD_MS: Final = 1_000
REPAIR_MS: Final = 2_000
"""What a scheduler that lost its next iteration may take to be repaired."""


class Policy(NamedTuple):
    """What becomes of slots that overlap or come late."""

    overlap: Overlap
    misfire: Misfire


POLICIES: Final = {
    "each-skip": Policy("skip", "run_once"),
    "each-queue": Policy("queue", "run_once"),
    "each-allow": Policy("allow", "run_once"),
    "each-punctual": Policy("allow", "skip"),
}


@dataclass(frozen=True, slots=True)
class Slots:
    """Cron jobs of each second, one of each policy, while workers are killed at work, idle and as slots come."""

    seconds: int = 600
    workers: int = 8
    concurrency: int = 10
    seconds_between_kills: int = 20
    work_ms: int = 400
    lock_ms: int = 5_000
    deadline_s: int = 120

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500}
        async with ground("scripts.chaos.slots:registry", seed, **settings) as site, cron_jobs(site.app) as table:
            findings = Findings()
            async with site.crew(self.workers) as crew:
                await self._create(table)
                kills = SlotKills(crew, site, [*POLICIES])
                async with meanwhile(kills.go_on(self.seconds_between_kills)):
                    await asyncio.sleep(self.seconds)  # the time in which slots come
                ended_ms = clock_us() // 1_000
                for row in await table.list():
                    await table.update(row.id, enabled=False)
                findings.claim("every job ends", await site.quiet(self.deadline_s))
                await tell_leaks(site, findings)
            findings.figures |= {f"kills: {manner}": count for manner, count in kills.done.items()}
            await self._judge(site, ended_ms, findings)
            return findings

    async def _create(self, table: CronJobs) -> None:
        for name, policy in POLICIES.items():
            work: list[JsonValue] = [name, self.work_ms]
            await table.create(
                name=name, pattern=EACH_SECOND, handler="slot", payload=work, backoff_ms=100, **policy._asdict()
            )

    async def _judge(self, site: Ground, ended_ms: int, findings: Findings) -> None:
        entries = site.ledger.entries()
        begun, known = starts(entries), runs(entries)
        deaths_ms = [entry.at_us // 1_000 for entry in entries if entry.what == "gone"]
        without: list[Gap] = []
        for name, policy in POLICIES.items():
            row = Row(name, policy.overlap, policy.misfire, PERIOD_MS)
            of_row = [one for one in begun if scheduler_of(one.job_id) == name]
            jobs = await slot_jobs(site, name)
            _judge_making(row, longest_making_ms(jobs, ended_ms), findings)
            without += _judge_row(row, jobs, of_row, self.seconds, findings)
            if policy.overlap != "allow":
                several = [run for run in known if scheduler_of(run.job_id) == name]
                findings.claim(f"no two runs of {name} are at work at once", together(several) if several else [])
        repeated = again(begun)
        unasked = [f"{one.job_id} claim {one.claim}" for before, one in repeated if not _died(before, one, deaths_ms)]
        findings.figures["runs again of a job whose worker was killed"] = len(repeated)
        findings.times("from a kill to the next run of the job", recoveries(known))
        findings.claim("no slot has run twice, but for a killed worker's job", twice(begun) + unasked)
        findings.claim("a slot without a run is one that its policy gives up", unlike_policy(without))
        recovery_ms = 2 * self.lock_ms + REPAIR_MS + 2 * PERIOD_MS
        findings.claim(
            "and where it was picked up late, a worker had died", without_death(without, deaths_ms, recovery_ms)
        )
        findings.claim("no run begins before its slot", _early(begun))


def _judge_row(row: Row, jobs: Sequence[Made], begun: Sequence[Start], seconds: int, findings: Findings) -> list[Gap]:
    """What must hold for one row; returns its slots without a run."""
    name, without = row.job_id, gaps(row, jobs, begun)
    _tell_row(findings, row, len(jobs) + sum(gap.why == "dropped" for gap in without), begun, without)
    few = [] if len(begun) > seconds // 4 else [f"{len(begun)} runs in {seconds} s"]
    findings.claim(f"{name} runs", few, f"{len(begun):,} runs")
    return without


def _judge_making(row: Row, making_ms: int, findings: Findings) -> None:
    """A row that lost its next slot is repaired."""
    findings.figures[f"{row.job_id}: longest time from a slot to the making of the next, s"] = making_ms / 1_000
    late = [f"{making_ms} ms"] if making_ms > REPAIR_MS + PERIOD_MS else []
    findings.claim(f"{row.job_id} is repaired where it lost its next slot", late, f"after {making_ms} ms at most")


def _tell_row(findings: Findings, row: Row, slots: int, begun: Sequence[Start], without: Sequence[Gap]) -> None:
    why = Counter(gap.why for gap in without)
    shown = ", ".join(f"{count} {word}" for word, count in sorted(why.items())) or "none"
    late_s = [late for one in first_starts(begun).values() if (late := _late_s(one)) is not None]
    findings.figures[f"{row.job_id}: slots / first runs / without a run"] = f"{slots:,} / {len(late_s):,} / {shown}"
    findings.figures[f"{row.job_id}: longest time from run to run, s"] = longest_pause_ms(begun) / 1_000
    findings.times(f"{row.job_id}: from the slot to its first run", late_s)


def _late_s(one: Start) -> float | None:
    due_ms = slot_ms(one.job_id)
    return None if due_ms is None else (one.at_us / 1_000 - due_ms) / 1_000


def _died(before: Start, after: Start, deaths_ms: Sequence[int]) -> bool:
    return any(before.at_us // 1_000 <= death_ms <= after.at_us // 1_000 for death_ms in deaths_ms)


def _early(begun: Sequence[Start]) -> list[str]:
    late_s = {one.job_id: _late_s(one) for one in first_starts(begun).values()}
    return [
        f"{job_id} by {-late * 1_000:.1f} ms" for job_id, late in late_s.items() if late is not None and late < -0.001
    ]
