"""One round of R9: two workers and a Redis whose clocks are wrong, and are set while they run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from jobqueue.cron import CronFields, CronJobs
from scripts.chaos.clocks import Clock, running_redis_with
from scripts.chaos.cron_ground import cron_jobs
from scripts.chaos.ground import Ground, ground
from scripts.chaos.slots import Start, Work, first_starts, later, scheduler_of, slot_ms, starts, twice

PERIOD_S: Final = 2
ROWS: Final[Mapping[str, CronFields]] = {
    "keeps": {"handler": "slot", "overlap": "skip"},
    "forgets": {"handler": "fleeting", "overlap": "allow"},
}
"""Of one the jobs stay, of the other nothing stays of a job that is done."""
PATTERNS: Final = ("*/2 * * * * *", "0-58/2 * * * * *", "0/2 * * * * *")
"""The same slots under other names, so that an edit makes a scheduler anew."""
MOST_DELAY_MS: Final = 5_000


class Ahead(NamedTuple):
    """How far a clock is ahead of the machine's, in seconds, before and after it is set; behind where less than 0."""

    at_first: int = 0
    then: int = 0


class Wrong(NamedTuple):
    """Whose clocks are wrong, and for how long the round goes on after they have been set."""

    name: str
    workers: tuple[Ahead, ...]
    redis: Ahead = Ahead()
    is_silent: bool = False
    """Whether nothing may happen for as long as the clocks are wrong."""

    @property
    def skew_s(self) -> int:
        """The most that any two clocks of the round are apart, or one is from itself."""
        all_s = [0, *self.redis, *(ahead_s for worker in self.workers for ahead_s in worker)]
        return max(all_s) - min(all_s)


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a round: what should not be, and by how much runs were late, or early where less than 0."""

    lost: list[str]
    twice: list[str]
    wrong: list[str]
    silent: list[str]
    slot_errors_s: list[float]
    delay_errors_s: list[float]
    again: int


class Later(NamedTuple):
    """A delayed job, and when it should run, in epoch microseconds."""

    job_id: str
    due_us: int


@dataclass(frozen=True, slots=True)
class ClockRound:
    """One round. Units: `phase_s` is the time before the clocks are set, and the least time after it."""

    wrong: Wrong
    phase_s: int
    leeway_s: float
    site: Ground
    clocks: Sequence[Clock]
    redis_clock: Clock
    table: CronJobs
    delayed: list[Later] = field(default_factory=list[Later])
    edited_us: list[int] = field(default_factory=list[int])

    async def play(self) -> Seen:
        """Let slots and delayed jobs come under wrong clocks; edit the rows before and after these are set."""
        began_us, end_s = _now_us(), (2 * self.phase_s + self.wrong.skew_s) if self.wrong.is_silent else self.phase_s
        for name, own in ROWS.items():
            fields: CronFields = {"name": name, "pattern": PATTERNS[0], "payload": [name, 20], **own}
            await self.table.create(**fields)
        await self._phase(PATTERNS[1], self.phase_s)
        for clock, ahead in zip(self.clocks, self.wrong.workers, strict=True):
            clock.set(ahead.then)
        self.redis_clock.set(self.wrong.redis.then)
        await self._phase(PATTERNS[2], end_s)
        for row in await self.table.list():
            await self.table.update(row.id, enabled=False)
        ended_us = _now_us()
        await self.site.quiet(self.wrong.skew_s + 2 * self.phase_s)
        return await self._judge(began_us, ended_us)

    async def _phase(self, pattern: str, length_s: float) -> None:
        """Delayed jobs at the beginning, and edits after each third: another pattern, and no scheduler for a moment."""
        for _ in range(10):
            delay_ms = self.site.chance.randrange(MOST_DELAY_MS)
            due_us = _now_us() + delay_ms * 1_000
            job = await self.site.app.enqueue_job(later, Work("later", 10), delay_ms=delay_ms)
            self.delayed.append(Later(job.job_id, due_us))
        await asyncio.sleep(self.phase_s / 3)  # the time in which slots come
        for row in await self.table.list():
            await self.table.update(row.id, pattern=pattern)
        self.edited_us.append(_now_us())
        await asyncio.sleep(self.phase_s / 3)  # in which they come again
        for row in await self.table.list():
            await self.table.update(row.id, enabled=False)
            await self.table.update(row.id, enabled=True)
        self.edited_us.append(_now_us())
        await asyncio.sleep(length_s - 2 * self.phase_s / 3)  # and in which they go on to

    async def _judge(self, began_us: int, ended_us: int) -> Seen:
        begun = starts(self.site.ledger.entries())
        first, most_s = first_starts(begun), self.wrong.skew_s + self.leeway_s
        slots_s = [one.at_us / 1e6 - due_ms / 1e3 for one in begun if (due_ms := slot_ms(one.job_id))]
        delays_s = [(first[one.job_id].at_us - one.due_us) / 1e6 for one in self.delayed if one.job_id in first]
        faults = [f"slot by {error_s:+.1f} s" for error_s in slots_s if abs(error_s) > most_s]
        faults += [f"delayed job by {error_s:+.1f} s" for error_s in delays_s if abs(error_s) > most_s]
        return Seen(
            lost=self._named(await self.site.lost([one.job_id for one in self.delayed])),
            twice=self._named(twice(begun)),
            wrong=self._named(faults),
            silent=self._named(self._silent(begun, began_us, ended_us, most_s + PERIOD_S)),
            slot_errors_s=slots_s,
            delay_errors_s=delays_s,
            again=len(begun) - len(first),
        )

    def _silent(self, begun: Sequence[Start], began_us: int, ended_us: int, most_s: float) -> list[str]:
        """Rows of which nothing ran for too long. An edit makes their schedulers anew, by Redis's clock."""
        found: list[str] = []
        for name in ROWS:
            at_us = [one.at_us for one in begun if scheduler_of(one.job_id) == name and one.at_us < ended_us]
            pause_s = longest_pause_s(sorted([began_us, *self.edited_us, *at_us, ended_us]))
            if pause_s > most_s:
                found.append(f"{name} for {pause_s:.1f} s")
        return found

    def _named(self, faults: Sequence[str]) -> list[str]:
        return [f"{self.wrong.name}: {fault}" for fault in faults]


def longest_pause_s(moments_us: Iterable[int]) -> float:
    """The longest time between two moments that follow each other."""
    return max(after - before for before, after in pairwise(moments_us)) / 1e6


async def play(wrong: Wrong, seed: int, phase_s: int, leeway_s: float) -> Seen:
    """One round on a ground of its own. A Redis whose clock is right is the machine's."""
    with TemporaryDirectory(prefix="clocks-") as folder:
        clocks = [Clock(Path(folder, f"worker-{number}")) for number in range(len(wrong.workers))]
        redis_clock = Clock(Path(folder, "redis"))
        redis_clock.set(wrong.redis.at_first)
        for clock, ahead in zip(clocks, wrong.workers, strict=True):
            clock.set(ahead.at_first)
        server = running_redis_with(redis_clock) if any(wrong.redis) else None
        settings = {"worker_lock_ms": 3_000, "worker_stalled_ms": 1_000}
        async with (
            ground("scripts.chaos.slots:registry", seed, server, **settings) as site,
            cron_jobs(site.app) as table,
            site.crew(len(clocks), [clock.environment for clock in clocks]),
        ):
            return await ClockRound(wrong, phase_s, leeway_s, site, clocks, redis_clock, table).play()


def _now_us() -> int:
    return time.time_ns() // 1_000
