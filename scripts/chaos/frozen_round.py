"""One freeze of R8: a run that stands still, who comes after it, and both at work at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from scripts.chaos.crew import START_S, Crew
from scripts.chaos.frozen_jobs import Subject
from scripts.chaos.ground import Ground, NeverQuiet
from scripts.chaos.hold import REFUSED, gate, meddling
from scripts.chaos.ledger import Entry, clock_us
from scripts.chaos.trespass import Visit

HEARTBEAT_S: Final = 61.0
WAIT_S: Final = 30.0
MOST_CLAIMS: Final = 10
WORKERS: Final = 2


class RunOf(NamedTuple):
    """One run, and the process that it is in."""

    job_id: str
    claim: int
    pid: int


@dataclass(slots=True)
class Round:
    """One freeze; `visits` is told when the stale run was awake beside its successor.

    When it wakes up it logs, reports, meddles with the children and returns; or where it `is_stopped` its worker is
    told to shut down, and told again so that it does not wait for the run.
    """

    site: Ground
    crew: Crew
    subject: Subject
    visits: list[Visit]
    is_stopped: bool = False
    _runs: list[RunOf] = field(default_factory=list[RunOf])

    @property
    def key(self) -> str:
        return self.subject.key

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
            await self.subject.clear()

    def is_void(self) -> bool:
        """Whether a run that was not frozen lost its lock by itself, as happens on a machine that is too busy."""
        expected = {(run.job_id, run.claim) for run in self._runs}
        jobs = {run.job_id for run in self._runs}
        return any(e.job_id in jobs and (e.job_id, e.claim) not in expected for e in self._starts())

    async def _play(self) -> list[str]:
        site = self.site
        await site.until(lambda: len(self.crew.pids) == WORKERS, START_S, "all workers serve")
        job_id = await self.subject.enqueue()
        stale = await self._run_of(job_id, 1)
        token = str(await site.ask("GET", site.keys.job_lock(job_id)))
        self.crew.freeze(stale.pid)
        thaw_at_s = time.monotonic() + 2 * site.settings.worker_lock_ms / 1000
        successor = await self._run_of(job_id, 2)
        if self.subject.kind in ("other", "patient"):
            self._open(successor)
            await site.until(lambda: self._is_finished(job_id), WAIT_S, "the job itself is recorded")
            successor = await self._run_of(await self.subject.enqueue_one(), 1)
        await asyncio.sleep(max(thaw_at_s - time.monotonic(), 0))  # the time that it stands still is the subject
        before, began_us = await self.subject.snapshot(successor.job_id), clock_us()
        meddling(site.folder, stale.job_id, stale.claim).touch()
        self.crew.thaw(stale.pid)
        try:
            faults = await self._beside(stale, successor, before)
        finally:
            held = (successor.job_id, self.subject.keys_of(successor.job_id))
            self.visits.append(Visit(self.key, began_us, clock_us(), token, *held))
        self._open(successor)
        await self.subject.let_end(successor.job_id)
        await site.until(lambda: self._is_finished(successor.job_id), WAIT_S, "the successor is recorded")
        return faults + await self._judge(job_id, successor, stale)

    async def _beside(self, stale: RunOf, successor: RunOf, before: dict[str, object]) -> list[str]:
        """Both runs are at work; then the stale one ends. Nothing that Redis says may change meanwhile."""
        if self.is_stopped:
            self.crew.stop(stale.pid)
            await self.site.until(lambda: self._has("stopping", stale.pid), WAIT_S, "the stale worker is stopping")
            faults = await self._unchanged(successor, before, time.monotonic())
            self.crew.stop(stale.pid)
        else:
            beside_s = HEARTBEAT_S if self.subject.kind == "patient" else self.site.chance.uniform(0, 1.2)
            faults = await self._unchanged(successor, before, time.monotonic() + beside_s)
            self._open(stale)
        fenced = ("fenced", stale.pid, stale.job_id)
        await self.site.until(lambda: self._has(*fenced), WAIT_S, "the stale result is dropped")
        if self.is_stopped:
            await self.site.until(lambda: self._has("gone", stale.pid), WAIT_S, "the stale worker has ended")
        return faults + await self._unchanged(successor, before, time.monotonic() + 0.1)

    async def _unchanged(self, successor: RunOf, before: dict[str, object], until_s: float) -> list[str]:
        while True:
            now = await self.subject.snapshot(successor.job_id)
            changed = [f"{name}: {before[name]} became {said}" for name, said in now.items() if said != before[name]]
            if changed:
                return [f"{self.key}: {one}" for one in changed]
            if time.monotonic() > until_s:
                return []
            await asyncio.sleep(0.02)  # a poll of Redis

    async def _judge(self, job_id: str, successor: RunOf, stale: RunOf) -> list[str]:
        """Whatever can be read of both jobs must be of processes that came after the stale one."""
        ids, pid = [job_id, successor.job_id], str(stale.pid)
        ends = await self.site.hashes(ids, "returnvalue", "progress", "failedReason")
        faults = [f"job {name} ended {end}" for name, end in ends.items() if end[0] is None or pid in end]
        for name in dict.fromkeys(ids):
            lines = await self.site.ask("LRANGE", self.site.keys.job_logs(name), 0, -1)
            faults += [f"job {name} has the log {lines}"] if pid in lines or not lines else []
            told = await self._told_as_completed(name)
            faults += [f"job {name} was told to have completed with {told}"] if len(told) != 1 or pid in told else []
        meddled = [e for e in self.site.ledger.entries() if e.what == "meddled" and e[1:4] == stale]
        faults += [f"{e.note} was {e.key}" for e in meddled if e.key != REFUSED]
        faults += ["the stale run did not get to meddle"] if not (meddled or self.is_stopped) else []
        return [f"{self.key}: {fault}; process {pid} is stale" for fault in faults]

    async def _told_as_completed(self, job_id: str) -> list[str]:
        """The results that those who listen to the queue's events were told."""
        events: list[tuple[str, dict[str, str]]] = await self.site.ask("XRANGE", self.site.keys.of("events"), "-", "+")
        told = [fields for _, fields in events if fields.get("jobId") == job_id]
        return [fields["returnvalue"] for fields in told if fields["event"] == "completed"]

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

    def _has(self, what: str, pid: int, job_id: str = "") -> bool:
        return any(e[:2] == (what, job_id) and e.pid == pid for e in self.site.ledger.entries())

    def _open(self, run: RunOf) -> None:
        gate(self.site.folder, run.job_id, run.claim).touch()

    def _open_all(self, job_id: str) -> None:
        """Whatever is still to come of this job must not wait."""
        for claim in range(1, MOST_CLAIMS + 1):
            gate(self.site.folder, job_id, claim).touch()
