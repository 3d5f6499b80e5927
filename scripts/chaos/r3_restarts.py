"""R3: Redis killed and started again, its log synced always or each second. What was acknowledged is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from scripts.chaos.append_log import AppendLog, Cut
from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import meanwhile
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import Run, clock_us, runs
from scripts.chaos.numbered_load import Load
from scripts.chaos.numbered_rules import by_number, repeated, tell_ends, unfinished
from scripts.chaos.report import Findings
from scripts.chaos.restart_rules import Restart, beyond_the_cut, from_before_the_cut, resumed, stored_twice
from scripts.chaos.sides import REGISTRY, side_of
from tests.support.redis_server import running_redis

RESUMES_S: Final = 5.0
UNSYNCED_US: Final = 1_000_000
"""With `appendfsync everysec` so much may be only in memory, and is taken away from what a killed server left."""


@dataclass(frozen=True, slots=True)
class Restarts:
    """Redis killed (-9) and started again under load. everysec=1: it loses its last second; plain=1: `bullmq`."""

    jobs: int = 10_000
    restarts: int = 20
    jobs_a_second: int = 200
    workers: int = 2
    concurrency: int = 10
    lock_ms: int = 30_000
    most_down_ms: int = 2_000
    deadline_s: int = 300
    everysec: int = 0
    plain: int = 0

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": self.lock_ms, "worker_stalled_ms": 5_000}
        log = ("--appendfsync", "everysec" if self.everysec else "always", "--auto-aof-rewrite-percentage", "0")
        server, findings = running_redis(appendonly=True, options=log), Findings()
        async with ground(REGISTRY, seed, server, **settings) as site, side_of(site, self.plain) as side:
            load = Load(side, self.jobs, self.jobs_a_second, seed)
            async with site.crew(self.workers, module=side.module) as crew:
                restarts = await self._restart_under(site, load)
                findings.claim("every job ends", await site.quiet(self.deadline_s))
                findings.claim("no worker exits", [f"{crew.deaths} did"] if crew.deaths else [])
                await tell_leaks(site, findings)
            await self._judge(site, load, restarts, findings)
        return findings

    async def _restart_under(self, site: Ground, load: Load) -> list[Restart]:
        """Kill Redis each time that another part of the jobs is stored; the rest is enqueued meanwhile."""
        log, done = AppendLog(site.server.directory), list[Restart]()
        producing = asyncio.ensure_future(load.produce())
        async with meanwhile(log.watch()):
            for number in range(1, self.restarts + 1):
                enough = self.jobs * number // (self.restarts + 1)
                await site.until(partial(load.has_stored, enough), self.deadline_s, "jobs are stored")
                done.append(await self._restart(site, log))
            await producing
        return done

    async def _restart(self, site: Ground, log: AppendLog) -> Restart:
        await asyncio.sleep(site.chance.uniform(0, 0.2))  # the moment is the subject
        killed_us = clock_us()
        site.server.kill()
        cut = log.cut(killed_us - UNSYNCED_US) if self.everysec else Cut(0, killed_us)
        await asyncio.sleep(site.chance.uniform(0.05, self.most_down_ms / 1_000))  # so is the length
        site.server.start()
        return Restart(killed_us, clock_us(), *cut)

    async def _judge(self, site: Ground, load: Load, restarts: Sequence[Restart], findings: Findings) -> None:
        entries = site.ledger.entries()
        known = by_number(runs(entries))
        ran_in_doubt = sum(str(number) in known for number in load.doubted)
        findings.figures |= {
            "restarts": len(restarts),
            "jobs acknowledged": len(load.stored),
            "adds that ended in an error": load.errors,
            "jobs in doubt / of these ran": f"{len(load.doubted)} / {ran_in_doubt}",
            "runs again": repeated(known),
        }
        findings.times("how long Redis was away", [(one.up_us - one.killed_us) / 1e6 for one in restarts])
        pauses_s = resumed(restarts, entries)
        findings.times("from Redis's answer to the next run", pauses_s)
        late = [f"{pause_s:.2f} s" for pause_s in pauses_s if pause_s > RESUMES_S]
        silent = len(restarts) - len(pauses_s)
        findings.claim(f"work resumes within {RESUMES_S:.0f} s", late + [f"{silent} times never"] * bool(silent))
        findings.claim("no job is stored twice", stored_twice(entries))
        if self.everysec:
            _judge_loss(load, restarts, known, findings)
        else:
            await tell_ends(site, load.stored, known, findings)
            findings.claim(
                "nothing runs twice", [f"{n}: {len(several)} runs" for n, several in known.items() if several[1:]]
            )


def _judge_loss(
    load: Load, restarts: Sequence[Restart], known: Mapping[str, Sequence[Run]], findings: Findings
) -> None:
    gone = unfinished(load.stored, known)
    findings.figures |= {
        "bytes that were not synced": sum(one.cut_bytes for one in restarts),
        "longest time that was not synced, s": f"{max(one.killed_us - one.cut_since_us for one in restarts) / 1e6:.2f}",
        "jobs acknowledged and gone with them": len(gone),
    }
    findings.claim("only what was never synced is lost", beyond_the_cut(gone, load.stored_us, restarts))
    findings.claim("only what was never synced runs again", from_before_the_cut(known, restarts))
