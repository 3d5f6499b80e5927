"""Execution: one try of one job in this worker, and the handle of everything that may stop it."""

from __future__ import annotations

import asyncio

from jobqueue.context import AbortReason
from jobqueue.job import Job
from jobqueue.transitions import Held
from jobqueue.worker.run import Run


class Execution:
    """Lives from the claim to the record; its handler's run is only a part of that.

    Concurrency: on the event loop, but for `stop_from_thread`.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.held: Held = None
        """What must be given back with the record, however the try ends."""
        self._loop = asyncio.get_running_loop()
        self._run: Run | None = None
        self._reason: AbortReason | None = None

    @property
    def reason(self) -> AbortReason | None:
        """Why it was told to stop, if it was: the first reason counts."""
        return self._reason

    @property
    def grace_s(self) -> float:
        """Seconds between the signal and the cancellation of the run, 0 where none is at work."""
        return self._run.grace_s if self._run is not None else 0.0

    def begin(self, run: Run) -> None:
        self._run = run

    def end(self) -> None:
        """The handler is done; what comes to stop it now comes too late."""
        self._run = None

    def stop(self, reason: AbortReason) -> None:
        """Tell the run to stop; one that has not begun will not begin."""
        if self._reason is None:
            self._reason = reason
            if self._run is not None:
                self._run.abort(reason)

    def stop_from_thread(self, reason: AbortReason) -> None:
        """As `stop`, from another thread. Raises: RuntimeError where the loop is closed."""
        self._loop.call_soon_threadsafe(self.stop, reason)

    def cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()

    def abandon(self) -> None:
        if self._run is not None:
            self._run.abandon()
