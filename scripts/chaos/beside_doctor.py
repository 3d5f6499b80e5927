"""Doctor: leaks are removed again and again beside busy workers. What is alive stays, what is leaked goes."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from jobqueue.doctor import mend, search
from jobqueue.doctor.rules import Subject
from jobqueue.errors import DuplicateJob
from jobqueue.flows import flow
from jobqueue.job import Enqueued
from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import Between, kills, meanwhile
from scripts.chaos.leaks import leaks
from scripts.chaos.ledger import Run, runs
from scripts.chaos.mixed import Piece, limited, newest, plain, rated, single, unlike
from scripts.chaos.node_tools import Action, NodeTools, node_tools
from scripts.chaos.order_rules import together
from scripts.chaos.report import Findings
from scripts.chaos.steps import Manner, Step, step

TARGETS: Final[tuple[tuple[Action, str], ...]] = (
    ("remove", "wait"),
    ("remove", "delayed"),
    ("remove", "waiting-children"),
    ("retryCompleted", "completed"),
    ("promote", "delayed"),
)
"""What the tool does to a job of an order key, and the state that it finds it in."""
PATTERNS: Final = ("step", "newest", "single", "limited", "rated", "unlike", "plain", "delayed", "flow")
PLANT: Final = "planted-"
PLANTED: Final = ("hash", "logs", "entry", "lane", "related", "stalled")


@dataclass(frozen=True, slots=True)
class Doctored:
    """Leaks removed without end beside workers that are killed, with all patterns and a BullMQ tool."""

    jobs: int = 5_000
    writers: int = 10
    keys: int = 40
    workers: int = 4
    concurrency: int = 25
    lock_ms: int = 1_000
    least_ms_between_kills: int = 1_000
    most_ms_between_looks: int = 200
    deadline_s: int = 900

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500}
        pause_s = self.least_ms_between_kills / 1000
        async with ground("scripts.chaos.mixed:registry", seed, **settings) as site, node_tools(site) as tools:
            findings, removed, planted = Findings(), Counter[str](), list[str]()
            async with site.crew(self.workers) as crew:
                harm = kills(crew, Between(pause_s, 3 * pause_s), site.chance)
                doctor = _mend(site, removed, self.most_ms_between_looks, random.Random(seed))
                meddling = _meddle(site, tools, random.Random(seed + 1))
                async with meanwhile(harm, doctor, meddling, _plant(site, planted, random.Random(seed + 2))):
                    stored = await self._enqueue(site)
                async with meanwhile(_mend(site, removed, self.most_ms_between_looks, random.Random(seed + 3))):
                    left = await site.quiet(self.deadline_s)
                deaths = crew.deaths
                await mend(site.app.queue(), await search(site.app.queue(), pause_s=0))
                findings.claim("every job ends", left)
                findings.claim("what was planted without an owner is gone", await _there(site, planted))
                findings.claim("nothing without a time to live is left of the jobs", await leaks(site, endless=True))
            await _judge(site, stored, tools, findings)
            findings.figures |= {"kills": deaths, "planted": len(planted)} | {
                f"mended, {kind}": number for kind, number in sorted(removed.items())
            }
            return findings

    async def _enqueue(self, site: Ground) -> dict[str, str]:
        """Jobs of every pattern from some writers at once; returns the pattern of each, by its id."""
        stored: dict[str, str] = {}
        numbers = iter(range(self.jobs))

        async def write() -> None:
            chance = random.Random(site.chance.random())
            for number in numbers:
                pattern = chance.choice(PATTERNS)
                for job in await _enqueued(site, pattern, number, f"key-{chance.randrange(self.keys)}", chance):
                    stored[job.job_id] = pattern
                await asyncio.sleep(chance.uniform(0, 0.02))  # so that queues are sometimes empty

        await asyncio.gather(*(write() for _ in range(self.writers)))
        return stored


async def _enqueued(site: Ground, pattern: str, number: int, key: str, chance: random.Random) -> Sequence[Enqueued]:
    piece, enqueue = Piece(key, chance.randint(1, 20)), site.app.enqueue_job
    match pattern:
        case "step":
            manner: Manner = "fails once" if chance.random() < 0.2 else "works"
            return [await enqueue(step, Step(key, number, piece.work_ms, manner), order_key=key)]
        case "unlike":
            try:
                return [await enqueue(unlike, piece, related=("key", key))]
            except DuplicateJob:
                return []
        case "delayed":
            return [await enqueue(plain, piece, delay_ms=chance.randint(1, 500), related=("key", key))]
        case "flow":
            made = await site.app.enqueue_flow(flow(plain, piece, children=[flow(plain, piece), flow(plain, piece)]))
            return [*made.walk()]
        case _:
            handler = {"newest": newest, "single": single, "limited": limited, "rated": rated}.get(pattern, plain)
            return [await enqueue(handler, piece, priority=chance.randint(0, 2), related=("key", key))]


# What is done meanwhile


async def _mend(site: Ground, removed: Counter[str], most_ms: int, chance: random.Random) -> None:
    """Find leaks and remove them, for ever."""
    queue = site.app.queue()
    while True:
        found = await search(queue, pause_s=chance.uniform(0, most_ms) / 1000)
        done = await mend(queue, found)
        removed.update(_told(one, verdict) for one, verdict in done.items())


def _told(one: Subject, verdict: str) -> str:
    return f"{one.rule.kind} {verdict}{'' if PLANT in str(one) else ' (by the jobs themselves)'}"


async def _meddle(site: Ground, tools: NodeTools, chance: random.Random) -> None:
    """Do something to some job of an order key, for ever."""
    while True:
        await asyncio.sleep(chance.uniform(0, 0.1))  # the moment is the subject
        action, state = chance.choice(TARGETS)
        job_id = await site.any_job(state, chance)
        if job_id is not None and await site.ask("HGET", site.keys.job(job_id), "name") == "step":
            await tools.do(action, job_id)


async def _plant(site: Ground, planted: list[str], chance: random.Random) -> None:
    """Leave leaks of every kind, for ever; `planted` gets the key, or list and entry."""
    for number in count():
        await asyncio.sleep(chance.uniform(0, 0.1))  # the moment is the subject
        kind, name, of = chance.choice(PLANTED), f"{PLANT}{number}", site.keys.of
        match kind:
            case "hash":
                await site.ask("HSET", of(name), "name", "plain", "data", "{}", "opts", "{}", "timestamp", "1")
            case "logs":
                await site.ask("RPUSH", of(f"{name}:logs"), "begun")
            case "entry":
                await site.ask("ZADD", of("completed"), 1, name)
            case "lane":
                await site.ask("HSET", of(f"job:lane:newest:{name}"), "holder", name, "rank", "1")
            case "related":
                await site.ask("SADD", of(f"job:related:key:{name}"), name)
            case _:
                await site.ask("SADD", of("stalled"), name)
        planted.append(name)


async def _there(site: Ground, planted: Sequence[str]) -> list[str]:
    """Which of the planted are still somewhere."""
    names = set(planted)
    keys = [key for key in await site.all_keys() if key.split(":")[-1] in names or key.split(":")[0] in names]
    entries = [*await site.ask("ZRANGE", site.keys.of("completed"), 0, -1)]
    entries += await site.ask("SMEMBERS", site.keys.of("stalled"))
    return keys + [entry for entry in entries if entry in names]


# What came of it


async def _judge(site: Ground, stored: Mapping[str, str], tools: NodeTools, findings: Findings) -> None:
    known = runs(site.ledger.entries())
    by_job, by_key = defaultdict[str, list[Run]](list), defaultdict[str, list[Run]](list)
    for run in known:
        by_job[run.job_id].append(run)
        if stored.get(run.job_id) in ("step", "single"):
            by_key[run.key].append(run)
    kept = [job_id for job_id in stored if job_id not in tools.removed]
    ends = await site.hashes(kept, "returnvalue", "failedReason")
    idle = [job_id for job_id in kept if not by_job[job_id] and '"superseded"' not in (ends[job_id][0] or "")]
    deeds = Counter(f"tool, {deed.action}" for deed in tools.deeds if deed.answer == "done")
    findings.figures |= {"jobs": len(stored), "runs": len(known), **dict(sorted(deeds.items()))}
    findings.figures |= {f"jobs, {pattern}": number for pattern, number in sorted(Counter(stored.values()).items())}
    findings.claim("no accepted job is lost", await site.lost(kept))
    findings.claim("every job that was neither removed nor superseded has run", idle)
    failed = [f"{job_id} ({end[1]})" for job_id, end in ends.items() if end[1] and not end[0]]
    findings.claim("no job has failed", failed)
    overlaps = [fault for several in by_key.values() for fault in together(several)]
    findings.claim("no two runs of an order key or of a singleton overlap", overlaps)
