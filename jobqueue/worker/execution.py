"""Execution: one try of one job in this worker, and the handle of everything that may stop it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from jobqueue.context import AbortReason
from jobqueue.job import Job
from jobqueue.policy import Policy
from jobqueue.ties import NO_TIES
from jobqueue.transitions import Claimant, Mark
from jobqueue.wire import Fetched
from jobqueue.worker.journal import Journal
from jobqueue.worker.process.run import ProcessRun
from jobqueue.worker.run import Run


class Slot(Protocol):
    """One unit of concurrency: what runs a job at a time, and goes on with what recording that one fetched."""

    @property
    def claimant(self) -> Claimant: ...

    def may_fetch(self) -> bool:
        """False where the slot wants no further job."""
        ...

    def carry(self, steps: Coroutine[Any, Any, Fetched]) -> None:
        """Run the steps as a new task, in place of the present one; they give the slot's next job."""
        ...


class Execution:
    """Lives from the claim to the record; its handler's run is only a part of that.

    Concurrency: on the event loop, but for `stop_from_thread`.
    """

    __slots__ = (
        *("_began_s", "_how", "_limit", "_loop", "_reason", "_run", "_told"),
        *("fence", "is_left_behind", "job", "journal", "policy", "ran_s", "slot", "started_s"),
        *("ties", "until_recorded"),
    )

    def __init__(self, job: Job, policy: Policy, slot: Slot, journal: Journal) -> None:
        self.job = job
        self.policy = policy
        self.slot = slot
        self.journal = journal
        self.started_s = time.monotonic()
        self.ran_s: float | None = None
        """How long its handler ran, once that is over; None where it did not."""
        self.ties = NO_TIES
        """What must be given back with the record, however the try ends."""
        self.fence: int | None = None
        """The number of its lock, where it holds one."""
        self.until_recorded: list[Callable[[], object]] = []
        """What is to be ended after the record."""
        self.is_left_behind = False
        """True once its handler has outlived the try, which goes on in another task."""
        self._loop = asyncio.get_running_loop()
        self._run: Run | ProcessRun | None = None
        self._began_s: float | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._reason: AbortReason | None = None
        self._how: str | None = None
        self._told: asyncio.Event | None = None

    @property
    def reason(self) -> AbortReason | None:
        """Why it was told to stop, if it was: the first reason counts."""
        return self._reason

    @property
    def grace_s(self) -> float:
        """Seconds between the signal and the cancellation of the run, 0 where none is at work."""
        return self._run.grace_s if self._run is not None else 0.0

    def begin(self, run: Run | ProcessRun, limit_ms: int | None) -> None:
        """From now on the run hears what comes to stop it; so does its time limit."""
        self._run = run
        self._began_s = time.monotonic()
        if limit_ms is not None:
            reason = AbortReason("timeout", f"timed out after {limit_ms} ms")
            self._limit = self._loop.call_later(limit_ms / 1000, self.stop, reason)

    def end(self) -> None:
        """The handler is done; what comes to stop it now comes too late."""
        self._run = None
        if self._began_s is not None:
            self.ran_s = time.monotonic() - self._began_s
        if self._limit is not None:
            self._limit.cancel()

    def stop(self, reason: AbortReason) -> None:
        """Tell the run to stop; one that has not begun will not begin."""
        if self._reason is None:
            self._reason = reason
            if self._run is not None:
                self._run.abort(reason)
            if self._told is not None:
                self._told.set()

    def heed(self, mark: Mark) -> None:
        """What somebody elsewhere says of the job reaches its run."""
        if mark.kind == "superseded":
            self.stop(AbortReason("superseded", f"superseded by job {mark.value}", mark.value))
            return
        enqueued_at, _, said = mark.value.partition(":")
        if enqueued_at != str(self.job.enqueued_at_ms):
            return  # it is of a former job of that id
        if mark.kind == "cancelled":
            self.stop(AbortReason("cancelled", said))
        elif mark.kind == "acknowledged":
            self._how = said
            if self._told is not None:
                self._told.set()

    async def acknowledged(self) -> str | None:
        """The handler is done, the work goes on elsewhere: wait until it is told how that ended.

        None where the job is told to stop before.
        """
        self._run = None
        self._told = asyncio.Event()
        if self._how is None and self._reason is None:
            await self._told.wait()
        return self._how if self._reason is None else None

    def stop_from_thread(self, reason: AbortReason) -> None:
        """As `stop`, from another thread. Raises: RuntimeError where the loop is closed."""
        self._loop.call_soon_threadsafe(self.stop, reason)

    def let_go(self) -> None:
        """It is recorded: end what was held open for it."""
        while self.until_recorded:
            self.until_recorded.pop()()

    def cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()

    def abandon(self) -> None:
        if self._run is not None:
            self._run.abandon()
