"""Hand: one slot of a worker that moves a job only when it is told to, by the product's own steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from jobqueue import App, ties
from jobqueue.job import Job
from jobqueue.policy import Policy
from jobqueue.ties import Ties
from jobqueue.transitions import Claimant, Entry
from jobqueue.wire import Fetched
from jobqueue.worker import admission
from jobqueue.worker.admission import Admitted
from jobqueue.worker.outcomes import Completed, Failed, Outcome, Postponed, Released, Retried
from jobqueue.worker.patterns import refused
from jobqueue.worker.recorder import Recorder
from jobqueue.worker.reporter import Reporter

LOCK_MS = 300_000

How = Literal["completes", "fails", "retries at once", "retries later", "snoozes", "releases"]


@dataclass(frozen=True, slots=True)
class Claimed:
    """The job is active under this hand's token; whether it may run has not been asked yet."""

    fetched: Fetched


@dataclass(frozen=True, slots=True)
class Refused:
    """The job may not run; what becomes of it has not been written yet."""

    job: Job
    ties: Ties
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Running:
    """The job runs. `fence` is that of its lock, 0 without one."""

    job: Job
    ties: Ties
    fence: int


Holding: TypeAlias = Claimed | Refused | Running | None


class Hand:
    """Concurrency: none. Source: the steps of worker/executor.py, without a handler between them."""

    def __init__(self, app: App, number: int, *, fetches: bool) -> None:
        """One that does not fetch is a slot of a worker which stops: it takes no next job."""
        self.claimant = Claimant(f"token {number}", f"hand {number}", LOCK_MS)
        self.holding: Holding = None
        self._app = app
        self._queue = app.queue()
        self._recorder = Recorder(self._queue, Reporter(app.events))
        self._fetches = fetches

    @property
    def job_id(self) -> str | None:
        match self.holding:
            case Claimed(fetched):
                return fetched.job_id
            case Refused() | Running():
                return self.holding.job.id
            case _:
                return None

    async def claim(self) -> None:
        self._take(await self._queue.claim(self.claimant))

    async def enter(self, claimed: Claimed) -> Entry | None:
        """What the queue answered; None where it was not asked, since the job cannot run anyhow."""
        keys, registry = self._queue.keys, self._app.registry
        job, unreadable = admission.read(self._queue.name, claimed.fetched)
        handler = registry.find(job.name)
        policy = Policy() if handler is None else handler.policy
        if unreadable is not None:
            self.holding = Refused(job, ties.of_stored_job(keys, job, handler), unreadable)
            return None
        admitted = admission.admit(job, claimed.fetched, policy, registry, keys, self.claimant.token)
        if not isinstance(admitted, Admitted):
            self.holding = Refused(job, ties.of_any_job(keys, job, handler), admitted)
            return None
        entry = await self._queue.enter(job, admitted.ties, self.claimant, fetch=self._fetches)
        outcome = refused(entry, admitted.handler)
        if entry.verdict == "parked":
            self._take(entry.next)
        elif outcome is None:
            self.holding = Running(job, admitted.ties, entry.fence)
        else:
            self.holding = Refused(job, admitted.ties, outcome)
        return entry

    async def end(self, held: Refused | Running, how: How) -> Outcome | None:
        """What was written; None where it was not, because the job is not this hand's any more."""
        outcome = held.outcome if isinstance(held, Refused) else _outcome(held.job, how)
        handler = self._app.registry.find(held.job.name)
        policy = Policy() if handler is None else handler.policy
        recorded = await self._recorder.record(
            held.job, outcome, held.ties, self.claimant, policy, lambda: self._fetches
        )
        self._take(recorded.next)
        return recorded.outcome

    def forget(self) -> None:
        """The worker is gone."""
        self.holding = None

    def _take(self, fetched: Fetched) -> None:
        self.holding = None if fetched.job_id is None else Claimed(fetched)


def _outcome(job: Job, how: How) -> Outcome:
    match how:
        case "completes":
            return Completed("null")
        case "retries at once" | "retries later" if job.attempt < job.attempts:
            return Retried(0 if how == "retries at once" else 1_000, "not yet", "")
        case "snoozes":
            return Postponed(1_000)
        case "releases":
            return Released()
        case _:
            return Failed("no")
