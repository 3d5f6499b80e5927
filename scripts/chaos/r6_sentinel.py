"""R6: Sentinel failovers under load. Work goes on, and no more is lost than the replica had not heard of."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from scripts.chaos.failover_ground import Crews, Load, crews, judged
from scripts.chaos.failover_rules import Harm, Window, judge_jobs, judge_pauses
from scripts.chaos.ground import UNFINISHED
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import clock_us
from scripts.chaos.replication import Replication, Takeover
from scripts.chaos.report import Findings
from tests.support.redis_groups import SentinelSet, running_sentinels, wait_until
from tests.support.redis_server import HOST, RedisServer

Kind: TypeAlias = Literal["handed over", "killed", "stopped"]
DOWN_AFTER_MS: Final = 1_000
PREFIX: Final = "chaos"
_ALL: Final = frozenset((0,))
_BETWEEN_ELECTIONS_S: Final = 6.0
"""Sentinels wait twice their failover-timeout (3 s) before they elect again."""


@dataclass(frozen=True, slots=True)
class Failovers:
    """Sentinel failovers under load: the master is killed, stopped and woken up as a replica, or told to hand over."""

    failovers: int = 20
    workers: int = 2
    concurrency: int = 10
    lock_ms: int = 5_000
    jobs_each_s: int = 60
    min_replicas: int = 0
    wait: int = 0
    deadline_s: int = 60

    async def run(self, seed: int) -> Findings:
        load = Load([PREFIX], self.workers, self.concurrency, self.lock_ms, self.jobs_each_s, bool(self.wait))
        options = ("--min-replicas-to-write", str(self.min_replicas), "--min-replicas-max-lag", "2")
        kinds = _drawn(self.failovers, random.Random(seed))
        with running_sentinels(down_after_ms=DOWN_AFTER_MS, options=options) as group:
            async with crews(group.url, load, seed) as at_work, at_work.workers:
                async with Replication(*group.servers) as watched, at_work.producer:
                    chance = random.Random(seed)
                    done = [await _harm(group, watched, kind, chance) for kind in kinds]
                    ended_us = clock_us()
                return await self._judged(at_work, group, done, ended_us, watched)

    async def _judged(
        self, at_work: Crews, group: SentinelSet, done: Sequence[_Done], ended_us: int, watched: Replication
    ) -> Findings:
        harms = [_once_followed(one.harm, watched) if self.min_replicas else one.harm for one in done]
        findings = Findings({f"master {kind}": sum(harm.kind == kind for harm in harms) for kind in get_args(Kind)})
        async with judged(at_work, PREFIX, _server(group, watched.master)) as site:
            findings.claim("every job that is there ends", await site.quiet(self.deadline_s, UNFINISHED))
            await tell_leaks(site, findings)
            entries = at_work.ledger.entries()
            known = {one.takeover.promoted_us: one.named_us for one in done}
            windows = [Window.of_takeover(one, _ALL, known.get(one.promoted_us, 0)) for one in watched.takeovers]
            findings.figures["takeovers that nobody asked for"] = len(windows) - len(harms)
            late_s = [(one.named_us - one.takeover.promoted_us) / 1e6 for one in done]
            findings.times("from the promotion until the first sentinel names the new master", late_s)
            await judge_jobs([site], entries, windows, findings)
        judge_pauses(harms, ended_us, entries, 1, findings)
        findings.claim("no process has ended", at_work.deaths)
        return findings


class _Done(NamedTuple):
    """A harm, the takeover that it led to, and when clients could know of that. Units: epoch microseconds."""

    harm: Harm
    takeover: Takeover
    named_us: int


def _drawn(count: int, chance: random.Random) -> list[Kind]:
    """Every kind as often as the others, in an order drawn by chance."""
    kinds: list[Kind] = [get_args(Kind)[place % len(get_args(Kind))] for place in range(count)]
    chance.shuffle(kinds)
    return kinds


async def _harm(group: SentinelSet, watched: Replication, kind: Kind, chance: random.Random) -> _Done:
    """Have the other server take over, then let the old master come back as its replica."""
    await asyncio.sleep(chance.uniform(1.0, 2.0))  # some quiet work, and a moment drawn by chance
    old, before = _server(group, watched.master), len(watched.takeovers)
    harm, rests = Harm(kind, clock_us(), _ALL), group.rests
    if kind == "killed":
        old.kill()
    elif kind == "stopped":
        old.pause()
    else:
        await asyncio.to_thread(group.fail_over)
    takeover = await watched.taken_over(before)
    named_us = await _named(group, watched.master)
    harm = harm._replace(counts=group.rests == rests)
    if kind != "handed over":
        await asyncio.sleep(chance.uniform(0.5, 3.0))  # for so long nobody follows the new master
    if kind == "killed":
        old.start("--replicaof", HOST, str(watched.master))
    elif kind == "stopped":
        old.resume()
    await asyncio.gather(asyncio.to_thread(group.wait_until_settled), asyncio.sleep(_BETWEEN_ELECTIONS_S))
    return _Done(harm, takeover, named_us)


async def _named(group: SentinelSet, port: int) -> int:
    """When the sentinel that clients ask first names the new master: they cannot know of it before."""
    await asyncio.to_thread(wait_until, lambda: group.master.port == port, "no sentinel names the new master")
    return clock_us()


def _once_followed(harm: Harm, watched: Replication) -> Harm:
    """A master that must have a replica takes no writes before it has one."""
    takeover = next(one for one in watched.takeovers if one.promoted_us > harm.begun_us)
    return harm._replace(writable_us=takeover.followed_us)


def _server(group: SentinelSet, port: int) -> RedisServer:
    return next(server for server in group.servers if server.port == port)
