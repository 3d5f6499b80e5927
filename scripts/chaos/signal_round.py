"""One round of R17: a worker, a moment, its signals; and the worker that comes after."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from jobqueue import App, Worker
from scripts.chaos.crew import environment_of
from scripts.chaos.ground import Ground, NeverQuiet
from scripts.chaos.ledger import runs
from scripts.chaos.phases import Phase, Stage, nobody
from scripts.chaos.signalled import GRACE_MS, heirs
from scripts.chaos.under_signal import MANNERS, Command, Manner, UnderSignal

AT_ONCE_S: Final = 2.0
"""Far below a lock: what is still held would be taken after its end only."""
_ORPHAN_S: Final = 8.0
"""Children whose parent was killed give their jobs 5 s."""


class Told(NamedTuple):
    """Who is told what, and when."""

    phase: Phase
    command: Command
    manner: Manner

    @property
    def is_killed(self) -> bool:
        return signal.SIGKILL in MANNERS[self.manner]

    def may_end_by(self, status: int) -> bool:
        """Whether a further signal has ended the process, which came when `Worker.run` had given the signals back."""
        signals = MANNERS[self.manner]
        return self.command == "jobqueue.Worker" and -status in signals[1:] and not self.is_killed

    @property
    def is_own_program(self) -> bool:
        """It ends when it likes: `asyncio.run` waits for each task, and the interpreter clears up."""
        return self.command == "jobqueue.Worker"

    @property
    def keeps_locks(self) -> bool:
        """Where it cannot be expected to give back what it holds."""
        return self.is_killed or self.phase == "gone"


@dataclass(slots=True)
class Seen:
    """What was seen of all rounds of a bench, by what must hold."""

    lost: list[str] = field(default_factory=list[str])
    statuses: list[str] = field(default_factory=list[str])
    late: list[str] = field(default_factory=list[str])
    orphans: list[str] = field(default_factory=list[str])
    held: list[str] = field(default_factory=list[str])
    slow: list[str] = field(default_factory=list[str])
    again: list[str] = field(default_factory=list[str])
    cron: list[str] = field(default_factory=list[str])
    exits_s: list[float] = field(default_factory=list[float])
    heirs_s: list[float] = field(default_factory=list[float])
    unfinished: int = 0
    after_run: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """One round on a ground that has nobody else's unfinished jobs."""

    site: Ground
    told: Told
    mark: str
    seen: Seen
    leeway_s: float
    rows: int

    async def play(self) -> None:
        stage = Stage(self.site, self.told.command, self.site.ledger.size)
        await stage.before(self.told.phase)
        async with nobody(self.told.phase, self.site) as instead:
            environment = environment_of(self.site.settings, self.site.ledger, self.site.registry_name) | instead
            log = self.site.folder / "workers.log"
            one = await UnderSignal.start(self.told.command, environment, self.mark, log)
            try:
                await stage.reach(self.told.phase, one)
                await self._signal(one)
                await self._ended(one, stage)
            except (NeverQuiet, TimeoutError) as error:
                self.seen.late.append(f"{self._name}: {error or 'does not end'}")
            finally:
                await self._clear(one, stage)
        await self._succeeded(stage, self._given_up_us(one))

    @property
    def _name(self) -> str:
        return f"{self.mark} {self.told.phase}, {self.told.command}, {self.told.manner}"

    async def _signal(self, one: UnderSignal) -> None:
        for number, signum in enumerate(MANNERS[self.told.manner]):
            if number:
                await asyncio.sleep(self.site.chance.choice((0.0, self.site.chance.uniform(0, 0.6))))  # the moment
            one.send(signum, to_all=self.told.manner == "Ctrl-C")

    async def _ended(self, one: UnderSignal, stage: Stage) -> None:
        ended = await one.exit()
        seen, told = self.seen, self.told
        took_s = self._returned_s(one, stage) if told.is_own_program else ended.took_s
        seen.exits_s.append(took_s)
        if took_s > self._longest_s():
            seen.late.append(f"{self._name}: {took_s:.2f} s")
        if told.may_end_by(ended.status):
            seen.after_run += 1
        elif ended.status and not (told.is_killed and ended.status == -signal.SIGKILL):
            seen.statuses.append(f"{self._name}: {ended.status}")
        seen.orphans += [f"{self._name}: {left}" for left in await one.orphans(_ORPHAN_S if told.is_killed else 0.5)]
        if not told.keeps_locks:
            seen.held += [f"{self._name}: {held}" for held in await self._held()]

    def _returned_s(self, one: UnderSignal, stage: Stage) -> float:
        """How long after the first signal `Worker.run` had returned; 0 where the process ended before."""
        returned_us = [entry.at_us for entry in stage.entries() if entry.what == "returned"]
        return (returned_us[0] - one.signals_us[0]) / 1_000_000 if returned_us else 0.0

    def _given_up_us(self, one: UnderSignal) -> float:
        """From when on a run that cannot be stopped may be left to itself, and its job given to somebody else."""
        if self.told.phase not in ("deaf", "thread"):
            return math.inf
        first_us, *urging_us = one.signals_us
        return min([first_us + self.site.settings.worker_shutdown_ms * 1_000, *urging_us])

    def _longest_s(self) -> float:
        shutdown_s = self.site.settings.worker_shutdown_ms / 1000
        return shutdown_s + GRACE_MS / 1000 + 1 + self.leeway_s

    async def _held(self) -> list[str]:
        locks = [key for key in await self.site.all_keys() if key.endswith(":lock")]
        active = await self.site.ask("LRANGE", self.site.keys.of("active"), 0, -1)
        return [f"{len(active)} active, {len(locks)} locks"] if locks or active else []

    async def _clear(self, one: UnderSignal, stage: Stage) -> None:
        """Whatever has gone wrong, the next round finds Redis and nobody else."""
        await one.clear()
        await one.orphans(_ORPHAN_S)
        await stage.after()

    async def _succeeded(self, stage: Stage, given_up_us: float) -> None:
        """The next worker does what is left."""
        site = self.site
        ended = await site.hashes(stage.jobs, "finishedOn")
        left = [job_id for job_id, (end,) in ended.items() if end is None]
        self.seen.unfinished += len(left)
        async with App(heirs(site.ledger), site.settings) as app:
            worker = Worker(app, name="heir")
            began_ms = time.time() * 1000
            try:
                await worker.start()
                await self._all_ended(stage.jobs)
                if self.told.phase == "cron":
                    await self._synced()
            finally:
                worker.request_stop()
                await worker.stop()
        await self._judge(stage, left, began_ms, given_up_us)

    async def _all_ended(self, jobs: list[str]) -> None:
        gives_up_at_s = time.monotonic() + 4 * self.site.settings.worker_lock_ms / 1000 + 5
        while lost := await self.site.lost(jobs):
            if time.monotonic() > gives_up_at_s:
                self.seen.lost += [f"{self._name}: {one:.300}" for one in lost]
                return
            await asyncio.sleep(0.02)  # a poll of Redis

    async def _synced(self) -> None:
        async def equal() -> bool:
            repeat, delayed = self.site.keys.of("repeat"), self.site.keys.of("delayed")
            return [await self.site.ask("ZCARD", key) for key in (repeat, delayed)] == [self.rows, self.rows]

        try:
            await self.site.until(equal, 10, "each row has a scheduler, and each scheduler a job")
        except NeverQuiet as error:
            self.seen.cron.append(f"{self._name}: {error}")

    async def _judge(self, stage: Stage, left: list[str], began_ms: float, given_up_us: float) -> None:
        found = await self.site.hashes(stage.jobs, "processedOn", "failedReason")
        failed = [f"{self._name}: job {job_id}: {fields[1]}" for job_id, fields in found.items() if fields[1]]
        self.seen.lost += failed
        if not self.told.keeps_locks:
            took_s = [max(int(found[job_id][0] or 0) - began_ms, 0.0) / 1000 for job_id in left]
            self.seen.heirs_s += took_s
            self.seen.slow += [f"{self._name}: {one:.2f} s" for one in took_s if one > AT_ONCE_S + self.leeway_s]
            self.seen.again += [f"{self._name}: {one}" for one in _again(stage, given_up_us)]


def _again(stage: Stage, given_up_us: float) -> list[str]:
    """Jobs that ran again though a run before had come to its end, and nothing had kept that from being recorded."""
    of_round, finished, found = set(stage.jobs), set[str](), list[str]()
    for run in runs(stage.entries()):
        if run.job_id in of_round and run.job_id in finished:
            found.append(f"job {run.job_id} ran again, claim {run.claim}")
        if run.how == "finished" and run.ended_us < given_up_us:
            finished.add(run.job_id)
    return found
