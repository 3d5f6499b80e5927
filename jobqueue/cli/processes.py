"""Processes: several workers side by side, each started again when it dies. They share nothing but the log."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Final

from jobqueue.cli.child import Child, ending_of
from jobqueue.cli.console import WRONG_USE
from jobqueue.cli.stopping import Stopper
from jobqueue.cli.waiting import first_of
from jobqueue.errors import JobqueueError

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 60.0
"""A worker that has lived so long is started again after the first pause, whatever came before."""

_log = logging.getLogger("jobqueue.processes")


class NotAllServe(JobqueueError):
    """Some of the workers do not run."""


def usable_cpus() -> int:
    """How many CPUs this process may run on; a container's quota of time is not looked at."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def next_pause_s(last_s: float | None, lived_s: float) -> float:
    """How long to wait before a worker is started again, by the pause before it and the time that it lived."""
    if last_s is None or lived_s >= STEADY_S:
        return FIRST_PAUSE_S
    return min(2 * last_s, LONGEST_PAUSE_S)


class Processes:
    """Keeps `count` workers running; `command` tells the words that start the worker of a number from 1.

    The first goes ahead, and the others follow once it serves: what would stop the start of each, such as a wrong
    setting, is so said once.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], count: int, stopper: Stopper) -> None:
        self._command = command
        self._count = count
        self._stopper = stopper
        self._serving: set[int] = set()
        self._has_served = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Until the stopper asks and every process is gone.

        Returns 0, or the exit status of the first worker where that says that no start can go well.
        """
        keeping = [asyncio.create_task(self._keep(number)) for number in range(1, self._count + 1)]
        try:
            await asyncio.gather(*keeping)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
        return self._status

    async def all_serve(self) -> None:
        """Raises: NotAllServe, with the numbers of those that do not."""
        missing = [str(number) for number in range(1, self._count + 1) if number not in self._serving]
        if missing:
            raise NotAllServe(f"worker {', '.join(missing)} of {self._count} does not serve")

    async def _keep(self, number: int) -> None:
        """One worker after the other, with a pause between them that grows."""
        if number > 1:
            await first_of(self._has_served.wait(), self._stopper.asked())
        pause_s: float | None = None
        while not self._stopper.is_asked:
            started_s = time.monotonic()
            ending = await self._live(number)
            if ending is None:
                return
            pause_s = next_pause_s(pause_s, time.monotonic() - started_s)
            _log.error("worker %d %s; it is started again in %g s", number, ending, pause_s)
            await first_of(asyncio.sleep(pause_s), self._stopper.asked())

    async def _live(self, number: int) -> str | None:
        """The life of one process: how it ended, in words; None where that was asked for."""
        try:
            child = await Child.start(self._command(number))
        except OSError as error:
            return f"could not be started ({error.strerror})"
        listening = asyncio.create_task(self._note_when_it_serves(number, child))
        try:
            await first_of(child.wait(), self._stopper.asked())
        finally:
            listening.cancel()  # before its line is closed
            await asyncio.gather(listening, return_exceptions=True)
            await child.stop(self._stopper)
            self._serving.discard(number)
        status = child.status or 0
        if status == WRONG_USE and not self._has_served.is_set():
            self._status = status
            self._stopper.request()
        if self._stopper.is_asked:
            return None
        return f"(process {child.pid}) {ending_of(status)}"

    async def _note_when_it_serves(self, number: int, child: Child) -> None:
        if await child.serves():
            self._serving.add(number)
            self._has_served.set()
