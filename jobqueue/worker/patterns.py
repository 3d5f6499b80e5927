"""Patterns: what a job must hold before it runs: a singleton's lock, a superseding job's lane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar, assert_never

from jobqueue import lanes, locks
from jobqueue.handler import Plain, Singleton, Superseding
from jobqueue.queue import Queue
from jobqueue.redis.retry import until_answered
from jobqueue.transitions import Claimant, Held, Lane, Lock
from jobqueue.worker.admission import Admitted
from jobqueue.worker.outcomes import Completed, Failed, Outcome, Postponed, Skipped, Superseded

ON_BUSY_WAIT_MS = 1_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entered:
    """The run may begin; None is what a plain handler holds."""

    held: Held = None


class Patterns:
    """Every step is safe to repeat, and is, until Redis answers."""

    def __init__(self, queue: Queue, on_loss: Callable[[Exception], None]) -> None:
        self._queue = queue
        self._on_loss = on_loss

    async def enter(self, admitted: Admitted, claimant: Claimant) -> Entered | Outcome:
        """What the run holds, or what becomes of a job that may not run now."""
        match admitted.handler.pattern:
            case Plain():
                return Entered()
            case Superseding():
                return await self._enter_lane(admitted)
            case Singleton() as singleton:
                return await self._take_lock(admitted, singleton, claimant)
            case _:
                assert_never(admitted.handler.pattern)

    async def ask_again(self, admitted: Admitted, held: Held, outcome: Outcome) -> Outcome:
        """A try in a lane that did not complete may have been superseded meanwhile; a completion asks by itself."""
        if not isinstance(held, Lane) or isinstance(outcome, Completed | Superseded):
            return outcome
        marks = await self._persist(lambda: lanes.marks(self._queue, [admitted.job.id]))
        by = marks.get(admitted.job.id)
        return outcome if by is None else Superseded(by)

    async def _enter_lane(self, admitted: Admitted) -> Entered | Outcome:
        job, key = admitted.job, admitted.lane or ""
        by = await self._persist(lambda: lanes.enter(self._queue, job, key))
        return Entered(self._queue.lane(job.name, key, job.id)) if by is None else Superseded(by)

    async def _take_lock(self, admitted: Admitted, pattern: Singleton, claimant: Claimant) -> Entered | Outcome:
        job = admitted.job
        try:
            identity = pattern.identity_of(admitted.handler.name, admitted.payload)
        except ValueError as error:
            return Failed(str(error))
        token = f"{claimant.token}:{job.id}:{job.attempts_started}"
        answer = await self._persist(lambda: locks.acquire(self._queue, identity, job.id, token))
        if isinstance(answer, Lock):
            return Entered(answer)
        return Skipped(answer.holder) if pattern.on_busy == "skip" else Postponed(ON_BUSY_WAIT_MS)

    async def _persist(self, call: Callable[[], Awaitable[T]]) -> T:
        return await until_answered(call, self._on_loss)
