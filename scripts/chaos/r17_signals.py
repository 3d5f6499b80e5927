"""R17: signals in every phase of a worker's life. Nothing is lost, it ends in time, the next one goes on at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

from scripts.chaos.cron_ground import cron_jobs
from scripts.chaos.ground import ground
from scripts.chaos.phases import PHASES
from scripts.chaos.report import Findings
from scripts.chaos.signal_round import Round, Seen, Told
from scripts.chaos.under_signal import COMMANDS, MANNERS
from tests.support.redis_server import running_redis


@dataclass(frozen=True, slots=True)
class Signals:
    """SIGTERM, SIGINT, both, twice, SIGKILL after SIGTERM, Ctrl-C: in every phase, to each form of a worker."""

    of_each_phase: int = 50
    phases: int = len(PHASES)
    benches: int = 2
    rows: int = 60
    shutdown_ms: int = 2_000
    lock_ms: int = 3_000
    leeway_ms: int = 0

    async def run(self, seed: int) -> Findings:
        """Each bench has a Redis of its own and plays its part of the rounds, one after another."""
        rounds = self._drawn(random.Random(seed))
        shares = [rounds[first :: self.benches] for first in range(self.benches)]
        seen = await asyncio.gather(*(self._bench(seed * 1_000 + n, share) for n, share in enumerate(shares)))
        findings = Findings()
        for name in ("phase", "command", "manner"):
            counted = Counter(getattr(told, name) for told in rounds)
            findings.figures[f"rounds by {name}"] = ", ".join(f"{count} {word}" for word, count in counted.items())
        _judge(seen, findings)
        return findings

    def _drawn(self, chance: random.Random) -> list[Told]:
        """Of each phase as many rounds, over the commands and manners as evenly as can be."""
        found: list[Told] = []
        for phase in chance.sample(PHASES, self.phases):
            told = [Told(phase, command, manner) for command in COMMANDS for manner in MANNERS]
            chance.shuffle(told)
            found += [told[number % len(told)] for number in range(self.of_each_phase)]
        chance.shuffle(found)
        return found

    async def _bench(self, seed: int, rounds: Sequence[Told]) -> Seen:
        seen, settings = Seen(), {"worker_lock_ms": self.lock_ms, "worker_stalled_ms": 500}
        server = running_redis(appendonly=True)
        async with (
            ground(
                "scripts.chaos.signalled:registry", seed, server, worker_shutdown_ms=self.shutdown_ms, **settings
            ) as site,
            cron_jobs(site.app) as table,
        ):
            for number in range(self.rows):
                await table.create(name=f"row {number}", pattern="0 0 1 1 *", handler="async", payload=[1])
            for number, told in enumerate(rounds):
                await Round(site, told, f"{seed}.{number}", seen, self.leeway_ms / 1000, self.rows).play()
        return seen


def _judge(benches: Sequence[Seen], findings: Findings) -> None:
    every = Seen()
    for bench in benches:
        for one in fields(Seen):
            setattr(every, one.name, getattr(every, one.name) + getattr(bench, one.name))
    findings.figures["jobs that were unfinished when their worker had ended"] = every.unfinished
    findings.figures["ended by a further signal after Worker.run had returned"] = every.after_run
    findings.times("from the first signal to the exit, or the return of Worker.run", every.exits_s)
    findings.times("from the next worker's start to the pick-up of what was left", every.heirs_s)
    findings.claim("nothing is lost", every.lost)
    findings.claim("the exit status is 0", every.statuses)
    findings.claim("it ends within shutdown time + grace + 1 s", every.late)
    findings.claim("no process is left behind", every.orphans)
    findings.claim("nothing is held any more when it has ended", every.held)
    findings.claim("the next worker goes on at once", every.slow)
    findings.claim("no run that had finished is run again", every.again)
    findings.claim("a cron sync that was cut short is made up for", every.cron)
