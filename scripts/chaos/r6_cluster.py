"""R6C: a cluster under load whose slots move and whose masters are replaced. The claims are those of R6."""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from redis.crc import key_slot

from scripts.chaos.failover_ground import Crews, Load, crews, judged
from scripts.chaos.failover_rules import Harm, Window, judge_jobs, judge_pauses
from scripts.chaos.ground import UNFINISHED, NeverQuiet
from scripts.chaos.leaks import NOTHING_LEFT, leaks
from scripts.chaos.ledger import clock_us
from scripts.chaos.replication import Replication, Takeover
from scripts.chaos.report import Findings
from tests.support.redis_groups import SLOTS, RedisCluster, ask, running_cluster
from tests.support.redis_server import RedisServer

Kind: TypeAlias = Literal["slot moved", "master killed", "master handed over"]
MASTERS: Final = 3
KEYS_AT_ONCE: Final = 50
BATCHES_EACH_S: Final = 0.02
_GIVES_UP_S: Final = 6.0
_ASKED_AT_MOST: Final = 5
_ALONE: Final = ("--cluster-require-full-coverage", "no")
"""So that the queues of the other masters go on while one has none."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of 3 masters and 3 replicas under load: slots of busy queues move, masters are killed or hand over."""

    harms: int = 15
    queues: int = 4
    workers: int = 2
    concurrency: int = 5
    lock_ms: int = 10_000
    jobs_each_s: int = 60
    deadline_s: int = 60

    async def run(self, seed: int) -> Findings:
        prefixes = spread(self.queues)
        load = Load(prefixes, self.workers, self.concurrency, self.lock_ms, self.jobs_each_s)
        chance = random.Random(seed)
        kinds: list[Kind] = [get_args(Kind)[place % len(get_args(Kind))] for place in range(self.harms)]
        chance.shuffle(kinds)
        with running_cluster(MASTERS, _ALONE, with_replicas=True) as cluster:
            async with crews(cluster.url, load, seed) as at_work, at_work.workers, AsyncExitStack() as opened:
                pairs = [
                    Pair(servers, await opened.enter_async_context(Replication(*servers))) for servers in cluster.pairs
                ]
                harming = Harming(cluster, tuple(prefixes), tuple(pairs), chance, self.lock_ms)
                async with at_work.producer:
                    for kind in kinds:
                        await harming.do(kind)
                    ended_us = clock_us()
                return await self._judged(at_work, harming, ended_us)

    async def _judged(self, at_work: Crews, harming: Harming, ended_us: int) -> Findings:
        harms = harming.harms
        findings = Findings({kind: sum(harm.kind == kind for harm in harms) for kind in get_args(Kind)})
        async with AsyncExitStack() as opened:
            owners = [harming.owner(prefix) for prefix in harming.prefixes]
            sites = [
                await opened.enter_async_context(judged(at_work, prefix, owner))
                for prefix, owner in zip(harming.prefixes, owners, strict=True)
            ]
            left = [await site.quiet(self.deadline_s, UNFINISHED) for site in sites]
            findings.claim("every job that is there ends", [*itertools.chain.from_iterable(left)])
            leaked = await asyncio.gather(*map(leaks, sites))
            findings.claim(NOTHING_LEFT, [*itertools.chain.from_iterable(leaked)])
            entries = at_work.ledger.entries()
            unasked = harming.unasked()
            findings.figures["takeovers that nobody asked for"] = len(unasked)
            await judge_jobs(sites, entries, [*harming.windows, *unasked], findings)
        findings.times("a slot on its way", harming.moves_s)
        judge_pauses(harms, ended_us, entries, len(sites), findings)
        findings.claim("no process has ended", at_work.deaths)
        return findings


class Pair(NamedTuple):
    """A master and its replica, and who looks at both."""

    servers: tuple[RedisServer, RedisServer]
    watched: Replication

    @property
    def master(self) -> RedisServer:
        return next(server for server in self.servers if server.port == self.watched.master)

    @property
    def replica(self) -> RedisServer:
        return next(server for server in self.servers if server.port != self.watched.master)


@dataclass(frozen=True, slots=True)
class Harming:
    """Does one thing after the other to the cluster, and keeps what it did."""

    cluster: RedisCluster
    prefixes: tuple[str, ...]
    pairs: tuple[Pair, ...]
    chance: random.Random
    lock_ms: int
    harms: list[Harm] = field(default_factory=list[Harm])
    windows: list[Window] = field(default_factory=list[Window])
    moves_s: list[float] = field(default_factory=list[float])
    asked_us: set[int] = field(default_factory=set[int])

    async def do(self, kind: Kind) -> None:
        """After some quiet work, at a moment drawn by chance. Returns when the cluster is in order again."""
        await asyncio.sleep(self.chance.uniform(1.0, 2.0))  # the moment is the subject
        if kind == "slot moved":
            await self._move(self.chance.randrange(len(self.prefixes)))
        else:
            busy = [pair for pair in self.pairs if self.queues_of(pair)]
            await self._replace(self.chance.choice(busy), kind)
        for pair in self.pairs:
            await asyncio.to_thread(self.cluster.wait_until_settled, pair.servers)

    async def _move(self, queue: int) -> None:
        """Move the slot of a queue to another master, key by key, while it is worked at.

        Meanwhile no lock can be renewed. Workers do that at half its life, so a longer move may let one expire.
        """
        here = self.owner(self.prefixes[queue])
        there = self.chance.choice([pair.master for pair in self.pairs if pair.master is not here])
        self.harms.append(Harm("slot moved", clock_us(), frozenset((queue,))))
        move = partial(self.cluster.move, batches_each_s=BATCHES_EACH_S, keys_at_once=KEYS_AT_ONCE)
        await asyncio.to_thread(move, key_slot(self.prefixes[queue].encode()), there)
        begun_us, ended_us = self.harms[-1].begun_us, clock_us()
        self.moves_s.append((ended_us - begun_us) / 1e6)
        if ended_us - begun_us > self.lock_ms * 1_000 / 2:
            self.windows.append(Window.of_long_move(begun_us, ended_us, frozenset((queue,))))

    async def _replace(self, pair: Pair, kind: Kind) -> None:
        """Have the replica of a pair take over, then let the old master come back as its replica."""
        old, before = pair.master, len(pair.watched.takeovers)
        queues = self.queues_of(pair)
        self.harms.append(Harm(kind, clock_us(), queues))
        if kind == "master killed":
            old.kill()
            takeover = await pair.watched.taken_over(before)
        else:
            takeover = await _handed_over(pair, before)
        self.windows.append(Window.of_takeover(takeover, queues))
        self.asked_us.add(takeover.promoted_us)
        if kind == "master killed":
            await asyncio.sleep(self.chance.uniform(0.5, 3.0))  # for so long nobody follows the new master
            old.start()

    def unasked(self) -> list[Window]:
        """Takeovers that the cluster made by itself, as where a busy machine let a master fall silent."""
        takeovers = [takeover for pair in self.pairs for takeover in pair.watched.takeovers]
        everywhere = frozenset(range(len(self.prefixes)))
        return [Window.of_takeover(one, everywhere) for one in takeovers if one.promoted_us not in self.asked_us]

    def queues_of(self, pair: Pair) -> frozenset[int]:
        """The places of the queues that the pair's master has."""
        return frozenset(at for at, prefix in enumerate(self.prefixes) if self.owner(prefix) is pair.master)

    def owner(self, prefix: str) -> RedisServer:
        return self.cluster.owner(key_slot(prefix.encode()))


async def _handed_over(pair: Pair, before: int) -> Takeover:
    """Ask the replica to take over. One that is too slow for five seconds has given up, and is asked again."""
    for tries_left in reversed(range(_ASKED_AT_MOST)):
        ask(pair.replica.port, "CLUSTER", "FAILOVER")
        try:
            return await pair.watched.taken_over(before, _GIVES_UP_S)
        except NeverQuiet:
            if not tries_left:
                raise
    raise AssertionError("it is asked at least once")


def spread(queues: int) -> list[str]:
    """Prefixes with a hash tag each, which the masters of a new cluster get in turn."""
    found: list[str] = []
    for number in itertools.count():
        prefix = f"{{chaos-{number}}}"
        if key_slot(prefix.encode()) * MASTERS // SLOTS == len(found) % MASTERS:
            found.append(prefix)
        if len(found) == queues:
            break
    return found
