"""R21: order keys while workers are killed and a person with a BullMQ tool retries, removes and promotes jobs."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import Between, kills, meanwhile, recoveries
from scripts.chaos.leaks import NOTHING_LEFT, leaks
from scripts.chaos.ledger import Run, runs
from scripts.chaos.node_tools import Action, NodeTools, node_tools
from scripts.chaos.order_rules import out_of_order, overtaking, pauses, together
from scripts.chaos.report import Findings
from scripts.chaos.steps import Manner, Step, step

MANNERS: Final[dict[Manner, int]] = {"works": 7, "fails once": 2, "fails": 1}
TARGETS: Final[tuple[tuple[Action, str], ...]] = (
    ("remove", "wait"),
    ("remove", "delayed"),
    ("remove", "waiting-children"),
    ("remove", "failed"),
    ("remove", "active"),
    ("retry", "failed"),
    ("retryCompleted", "completed"),
    ("promote", "delayed"),
)
"""What the tool does, and the state that it finds the job in."""
RETRY_ALL_EVERY_S: Final = 7.0


@dataclass(frozen=True, slots=True)
class Order:
    """Order keys with failures, kills, and retries, removals and promotions by BullMQ's own code."""

    keys: int = 200
    jobs_of_a_key: int = 100
    workers: int = 4
    concurrency: int = 25
    lock_ms: int = 1_000
    least_ms_between_kills: int = 500
    deadline_s: int = 900

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500}
        pause_s, stored = self.least_ms_between_kills / 1000, dict[str, Step]()
        async with ground("scripts.chaos.steps:registry", seed, **settings) as site, node_tools(site) as tools:
            findings = Findings()
            async with site.crew(self.workers) as crew:
                harm = kills(crew, Between(pause_s, 3 * pause_s), site.chance)
                async with meanwhile(harm, _meddle(site, tools, random.Random(seed)), _retry_all(tools)):
                    await self._enqueue(site, stored)
                    left = await site.quiet(self.deadline_s, ["waiting-children"])
                left += await site.quiet(self.deadline_s)
                await tools.do("retryJobs", "failed")
                left += await site.quiet(self.deadline_s)
                deaths = crew.deaths
                findings.claim("no key is wedged: every job ends", left)
                findings.claim(f"{NOTHING_LEFT}, but what ends by its time to live", await leaks(site, endless=True))
            deeds = Counter(f"tool, {deed.action}: {_briefly(deed.answer)}" for deed in tools.deeds)
            findings.figures |= {"jobs": len(stored), "kills": deaths, **dict(sorted(deeds.items()))}
            known = runs(site.ledger.entries())
            await _judge_jobs(site, stored, tools.removed, known, findings)
            _judge_order(known, tools.removed, findings)
            return findings

    async def _enqueue(self, site: Ground, stored: dict[str, Step]) -> None:
        """Each key's jobs one after another, all keys at once."""

        async def write(key: str) -> None:
            for number in range(self.jobs_of_a_key):
                work_ms, manner = site.chance.randint(1, 20), _manner(site.chance)
                one = Step(key, number, work_ms, manner)
                job = await site.app.enqueue_job(step, one, order_key=key)
                stored[job.job_id] = one

        await asyncio.gather(*(write(f"key {number}") for number in range(self.keys)))


def _manner(chance: random.Random) -> Manner:
    manners: list[Manner] = list(MANNERS)
    return chance.choices(manners, list(MANNERS.values()))[0]


def _briefly(answer: str) -> str:
    return "done" if answer == "done" else "refused"


async def _meddle(site: Ground, tools: NodeTools, chance: random.Random) -> None:
    """Do something to some job, for ever."""
    while True:
        await asyncio.sleep(chance.uniform(0, 0.02))  # the moment is the subject
        action, state = chance.choice(TARGETS)
        job_id = await site.any_job(state, chance)
        if job_id is not None:
            await tools.do(action, job_id)


async def _retry_all(tools: NodeTools) -> None:
    """Retry all failed jobs from time to time, for ever."""
    while True:
        await asyncio.sleep(RETRY_ALL_EVERY_S)  # so that some have failed
        await tools.do("retryJobs", "failed")


async def _judge_jobs(
    site: Ground, stored: Mapping[str, Step], removed: Mapping[str, int], known: Sequence[Run], findings: Findings
) -> None:
    kept = [job_id for job_id in stored if job_id not in removed]
    ends = await site.hashes(kept, "failedReason", "returnvalue")
    by_job: defaultdict[str, list[Run]] = defaultdict(list)
    for run in known:
        by_job[run.job_id].append(run)
    should_work = [job_id for job_id in kept if stored[job_id].manner != "fails"]
    wrong = [
        f"job {job_id} ended {ends[job_id]}" for job_id in should_work if ends[job_id][1] != str(stored[job_id].number)
    ]
    finished = Counter(run.job_id for run in known if run.how == "finished")
    findings.figures |= {
        "runs": len(known),
        "jobs that ran to their end twice (retried by the tool, or killed before the record)": sum(
            count > 1 for count in finished.values()
        ),
    }
    findings.times("from a kill to the next run of the job", recoveries(known))
    findings.claim("no accepted job is lost", await site.lost(kept))
    findings.claim("every job that was not removed has run", [job_id for job_id in kept if not by_job[job_id]])
    findings.claim("every job that can work has worked", wrong)


def _judge_order(known: Sequence[Run], removed: Mapping[str, int], findings: Findings) -> None:
    by_key: defaultdict[str, list[Run]] = defaultdict(list)
    for run in known:
        by_key[run.key].append(run)
    keys = by_key.values()
    findings.times("from the end of a run to the next first run of its key", [*pauses(by_key)])
    findings.claim("no two runs of a key overlap", [fault for several in keys for fault in together(several)])
    astray = [fault for several in keys for fault in out_of_order(several)]
    findings.claim("first runs come in the order of enqueueing", astray)
    early = [fault for several in keys for fault in overtaking(several, removed)]
    findings.claim("nobody starts before his predecessor is over, retries included", early)
