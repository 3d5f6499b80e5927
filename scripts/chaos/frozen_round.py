"""One freeze of R8: a run that stands still, who comes after it, and both at work at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from scripts.chaos.crew import Crew
from scripts.chaos.ground import Ground, NeverQuiet
from scripts.chaos.hold import gate, hold_alone, hold_plain
from scripts.chaos.ledger import Entry, clock_us
from scripts.chaos.trespass import Visit

Kind = Literal["plain", "own", "other", "patient"]
"""Who comes after the frozen run: the same job again, without and with a singleton's lock; another job under that lock;
the same while the stale worker lives on past a heartbeat of that lock."""

KINDS: Final[tuple[Kind, ...]] = ("plain", "own", "other")
HEARTBEAT_S: Final = 61.0
WAIT_S: Final = 30.0
MOST_CLAIMS: Final = 10


class Held(NamedTuple):
    """What Redis says about who holds the successor's job and lock."""

    job_token: str | None
    singleton_token: str | None
    fence: str | None
    is_finished: bool


class RunOf(NamedTuple):
    """One run, and the process that it is in."""

    job_id: str
    claim: int
    pid: int


@dataclass(slots=True)
class Round:
    """One freeze; `visits` is told when the stale run was awake beside its successor."""

    site: Ground
    crew: Crew
    kind: Kind
    key: str
    visits: list[Visit]
    _runs: list[RunOf] = field(default_factory=list[RunOf])

    async def play(self) -> list[str]:
        """Freeze the worker that runs the job, let another come after it, wake it up; returns what went wrong."""
        try:
            return await self._play()
        except (NeverQuiet, TimeoutError) as error:
            return [f"{self.key}: {error or 'no result in time'}"]
        finally:
            for run in self._runs:
                self.crew.thaw(run.pid)
                self._open_all(run.job_id)

    def is_void(self) -> bool:
        """Whether a run that was not frozen lost its lock by itself, as happens on a machine that is too busy."""
        expected = {(run.job_id, run.claim) for run in self._runs}
        jobs = {run.job_id for run in self._runs}
        return any(e.job_id in jobs and (e.job_id, e.claim) not in expected for e in self._starts())

    async def _play(self) -> list[str]:
        site, handler = self.site, hold_plain if self.kind == "plain" else hold_alone
        job = await site.app.enqueue_job(handler, self.key)
        stale = await self._run_of(job.job_id, 1)
        token = str(await site.ask("GET", site.keys.job_lock(job.job_id)))
        self.crew.freeze(stale.pid)
        thaw_at_s = time.monotonic() + 2 * site.settings.worker_lock_ms / 1000
        successor = await self._run_of(job.job_id, 2)
        if self.kind in ("other", "patient"):
            self._open(successor)
            await job.wait(WAIT_S)
            after = await site.app.enqueue_job(handler, self.key)
            successor = await self._run_of(after.job_id, 1)
        await asyncio.sleep(max(thaw_at_s - time.monotonic(), 0))  # the time that it stands still is the subject
        before, began_us = await self._held(successor), clock_us()
        self.crew.thaw(stale.pid)
        try:
            faults = await self._beside(stale, successor, before)
        finally:
            self.visits.append(Visit(self.key, began_us, clock_us(), token, self._keys_of(successor)))
        self._open(successor)
        await site.until(lambda: self._is_finished(successor.job_id), WAIT_S, "the successor is recorded")
        return faults + await self._judge(job.job_id, successor, stale)

    async def _beside(self, stale: RunOf, successor: RunOf, before: Held) -> list[str]:
        """Both runs are at work; then the stale one returns. Nothing that Redis says may change meanwhile."""
        beside_s = HEARTBEAT_S if self.kind == "patient" else self.site.chance.uniform(0, 1.2)
        faults = await self._unchanged(successor, before, time.monotonic() + beside_s)
        self._open(stale)
        await self.site.until(lambda: self._was_fenced(stale), WAIT_S, "the stale result is dropped")
        return faults + await self._unchanged(successor, before, time.monotonic() + 0.1)

    async def _unchanged(self, successor: RunOf, before: Held, until_s: float) -> list[str]:
        while True:
            now = await self._held(successor)
            if now != before:
                return [f"{self.key}: {before} became {now}"]
            if time.monotonic() > until_s:
                return []
            await asyncio.sleep(0.02)  # a poll of Redis

    async def _judge(self, job_id: str, successor: RunOf, stale: RunOf) -> list[str]:
        """Both jobs must have the result of the process that came after."""
        ends = await self.site.hashes([job_id, successor.job_id], "returnvalue", "failedReason")
        wrong = {name: end for name, end in ends.items() if end[0] is None or end[0] == str(stale.pid)}
        return [f"{self.key}: job {name} ended {end}; process {stale.pid} is stale" for name, end in wrong.items()]

    async def _held(self, successor: RunOf) -> Held:
        _, job_lock, lock = self._keys_of(successor)
        singleton, fence = await self.site.ask("HMGET", lock, "token", "fence")
        return Held(await self.site.ask("GET", job_lock), singleton, fence, await self._is_finished(successor.job_id))

    def _keys_of(self, run: RunOf) -> tuple[str, str, str]:
        """The job's hash, its lock, and the singleton's lock."""
        keys = self.site.keys
        return keys.job(run.job_id), keys.job_lock(run.job_id), keys.singleton_lock(f"{hold_alone.name}:{self.key}")

    async def _is_finished(self, job_id: str) -> bool:
        return bool(await self.site.ask("HEXISTS", self.site.keys.job(job_id), "finishedOn"))

    async def _run_of(self, job_id: str, claim: int) -> RunOf:
        """Wait until that run has begun."""

        def begun() -> Iterable[Entry]:
            return (e for e in self._starts() if e.job_id == job_id and e.claim == claim)

        await self.site.until(lambda: any(begun()), WAIT_S, f"claim {claim} of job {job_id} has begun")
        self._runs.append(RunOf(job_id, claim, next(iter(begun())).pid))
        return self._runs[-1]

    def _starts(self) -> list[Entry]:
        return [entry for entry in self.site.ledger.entries() if entry.what == "start"]

    def _was_fenced(self, stale: RunOf) -> bool:
        entries = self.site.ledger.entries()
        return any(e.what == "fenced" and e.job_id == stale.job_id and e.pid == stale.pid for e in entries)

    def _open(self, run: RunOf) -> None:
        gate(self.site.folder, run.job_id, run.claim).touch()

    def _open_all(self, job_id: str) -> None:
        """Whatever is still to come of this job must not wait."""
        for claim in range(1, MOST_CLAIMS + 1):
            gate(self.site.folder, job_id, claim).touch()
