"""OUTBOX: jobs enqueued in transactions, while the relay is killed and frozen. In Redis is what committed, in order."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, cast

from sqlalchemy import func, select

from jobqueue.cli.environment import MIGRATIONS
from jobqueue.database import Database, open_database
from jobqueue.outbox import OutboxRow
from jobqueue.upgrades import upgrade
from scripts.chaos.crew import Crew
from scripts.chaos.databases import fresh_database
from scripts.chaos.ground import Ground, ground
from scripts.chaos.harm import Between, meanwhile
from scripts.chaos.leaks import tell_leaks
from scripts.chaos.ledger import runs
from scripts.chaos.outbox_jobs import Truth, TruthBase, Written, written
from scripts.chaos.report import Findings, quantile

_FROZEN_S: Final = Between(1.0, 4.0)
_EVENTS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class OutboxKills:
    """Transactions that enqueue, a third of which is rolled back, while the relay at work is killed or frozen."""

    transactions: int = 10_000
    writers: int = 8
    rests_ms: int = 150
    """How long a writer rests between two transactions, at most."""
    workers: int = 3
    concurrency: int = 10
    lock_ms: int = 5_000
    seconds_between_harms: int = 40
    postgres: int = 1
    p95_ms: int = 100
    deadline_s: int = 120

    async def run(self, seed: int) -> Findings:
        settings = {"worker_concurrency": self.concurrency, "worker_lock_ms": self.lock_ms, "worker_stalled_ms": 1_000}
        with fresh_database(self.postgres) as url:
            async with (
                ground("scripts.chaos.outbox_jobs:registry", seed, None, url, **settings) as site,
                _tables(site) as database,
            ):
                return await self._run(site, database)

    async def _run(self, site: Ground, database: Database) -> Findings:
        findings, told = Findings(), _Told()
        await site.redis.hset(site.keys.of("meta"), "opts.maxLenEvents", str(_EVENTS))
        async with site.crew(self.workers) as crew:
            between = Between(self.seconds_between_harms * 0.5, self.seconds_between_harms * 1.5)
            async with meanwhile(_harm_the_relay(site, crew, between, told)):
                share = self.transactions // self.writers
                writers = [_Writer(site, database, number, told) for number in range(self.writers)]
                await asyncio.gather(*(writer.write(share, self.rests_ms) for writer in writers))
            await site.until(lambda: _is_empty(database), self.deadline_s, "the table of the outbox is empty")
            left = await site.quiet(self.deadline_s)
            findings.claim("every job ends", left)
            await tell_leaks(site, findings)
        await self._judge(site, database, told, findings)
        return findings

    async def _judge(self, site: Ground, database: Database, told: _Told, findings: Findings) -> None:
        committed = await _committed(database)
        adds = await _adds(site)
        ran = Counter(run.job_id for run in runs(site.ledger.entries()))
        delays_ms = [first.at_ms - told.committing_ms[job_id] for job_id, (first, *_) in adds.items()]
        findings.figures |= {
            "transactions that committed, rolled back": f"{told.committed:,}, {told.rolled_back:,}",
            "jobs of them": len(committed),
            "the relay was killed, frozen": f"{told.killed}, {told.frozen}",
            "jobs that ran again": sum(count > 1 for count in ran.values()),
        }
        if delays_ms:
            p50, p95, most = (quantile(delays_ms, part) for part in (0.5, 0.95, 1.0))
            findings.figures["from before the commit to Redis: p50 / p95 / max, ms"] = f"{p50} / {p95} / {most}"
            findings.claim(f"the 95th percentile is below {self.p95_ms} ms", [p95] if p95 >= self.p95_ms else [])
        findings.claim("what has committed is in Redis", sorted(committed.keys() - adds.keys()))
        findings.claim("what is in Redis has committed", sorted(adds.keys() - committed.keys()))
        findings.claim("nothing was added twice", [job_id for job_id, times in adds.items() if len(times) > 1])
        findings.claim("what was added has run", sorted(adds.keys() - ran.keys()))
        findings.claim("each writer's jobs are in the order of his transactions", _out_of_order(adds, committed))


@dataclass(slots=True)
class _Told:
    """What the writers and the harm say of themselves. Units: epoch milliseconds."""

    committing_ms: dict[str, int] = field(default_factory=dict[str, int])
    committed: int = 0
    rolled_back: int = 0
    killed: int = 0
    frozen: int = 0


@dataclass(frozen=True, slots=True)
class _Add:
    """An event of Redis: a job was added. `place` is its number among all."""

    place: int
    at_ms: int


class _Writer:
    """Makes one transaction after another, with one to three jobs each, some of them in savepoints."""

    def __init__(self, site: Ground, database: Database, number: int, told: _Told) -> None:
        self._site = site
        self._database = database
        self._number = number
        self._told = told
        self._chance = random.Random(f"{site.seed}-{number}")
        self._written = 0

    async def write(self, transactions: int, rests_ms: int) -> None:
        for _ in range(transactions):
            await self._transaction()
            await asyncio.sleep(self._chance.uniform(0, rests_ms / 1000))  # the rate is a number of the size

    async def _transaction(self) -> None:
        is_kept, job_ids = self._chance.random() < 2 / 3, list[str]()
        async with self._database.sessions() as session:
            for _ in range(self._chance.randint(1, 3)):
                savepoint = await session.begin_nested()
                enqueued = await self._site.app.enqueue_job(written, self._next(), session=session)
                session.add(Truth(job_id=enqueued.job_id, writer=self._number, number=self._written))
                await session.flush()
                if self._chance.random() < 1 / 10:
                    await savepoint.rollback()
                else:
                    job_ids.append(enqueued.job_id)
            if not is_kept:
                await session.rollback()
                self._told.rolled_back += 1
                return
            self._told.committing_ms |= dict.fromkeys(job_ids, time.time_ns() // 1_000_000)
            await session.commit()
            self._told.committed += 1

    def _next(self) -> Written:
        self._written += 1
        return Written(writer=self._number, number=self._written)


async def _harm_the_relay(site: Ground, crew: Crew, between: Between, told: _Told) -> None:
    """Kill or freeze, for ever, the worker whose relay is at work."""
    while True:
        await asyncio.sleep(between.drawn(site.chance))  # the moment is the subject
        holder = await site.ask("GET", site.keys.outbox_lease())
        pid = int(str(holder).rpartition(".")[0].rpartition("-")[2]) if holder else 0
        if pid not in crew.pids:
            continue
        if site.chance.random() < 2 / 3:
            crew.kill(pid)
            told.killed += 1
        else:
            crew.freeze(pid)
            told.frozen += 1
            try:
                await asyncio.sleep(_FROZEN_S.drawn(site.chance))  # so is the length
            finally:
                crew.thaw(pid)


async def _committed(database: Database) -> dict[str, tuple[int, int]]:
    """By job id: its writer, and its place among his."""
    async with database.transaction() as session:
        rows = await session.execute(select(Truth.job_id, Truth.writer, Truth.number))
        return {row.job_id: (row.writer, row.number) for row in rows}


async def _adds(site: Ground) -> dict[str, list[_Add]]:
    """When Redis says that each job was added, by its own clock, which is that of the writers."""
    adds: defaultdict[str, list[_Add]] = defaultdict(list)
    events = cast(list[tuple[str, dict[str, str]]], await site.redis.xrange(site.keys.of("events")))
    for place, (event_id, fields) in enumerate(events):
        if fields["event"] == "added":
            adds[fields["jobId"]].append(_Add(place, int(event_id.partition("-")[0])))
    return adds


def _out_of_order(adds: dict[str, list[_Add]], committed: dict[str, tuple[int, int]]) -> list[str]:
    latest: dict[int, int] = {}
    found: list[str] = []
    for job_id in sorted(adds, key=lambda one: adds[one][0].place):
        writer, number = committed.get(job_id, (-1, 0))
        if number < latest.get(writer, 0):
            found.append(f"job {number} of writer {writer} came after {latest[writer]}")
        latest[writer] = number
    return found


async def _is_empty(database: Database) -> bool:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(OutboxRow)) == 0


@asynccontextmanager
async def _tables(site: Ground) -> AsyncGenerator[Database]:
    await upgrade(site.settings.database_url, MIGRATIONS)
    async with open_database(site.settings.database_url) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(TruthBase.metadata.create_all)
        yield database
