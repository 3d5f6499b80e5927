"""Pool: the children of one worker, kept and used again."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Final

from jobqueue.settings import Settings
from jobqueue.worker.process.parent import ChildProcess
from jobqueue.worker.process.wire import Limits

IDLE_S: Final = 60.0
"""How long a child is kept that has nothing to do."""


class Processes:
    """Children, each at work for one job or idle; so there are never more than there were jobs at once.

    The one that has rested the least is taken first, so that those which are too many end.
    """

    def __init__(self, settings: Settings) -> None:
        self.limits = Limits(settings.jobs_max_result_bytes, settings.jobs_max_payload_bytes)
        self._children: set[ChildProcess] = set()
        self._idle: dict[ChildProcess, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> frozenset[int]:
        """The processes that there are, idle ones too."""
        return frozenset(child.pid for child in self._children)

    async def take(self) -> ChildProcess:
        """A child for one job, a warm one where there is one. Raises: OSError where no other one can be started."""
        while self._idle:
            child, timer = self._idle.popitem()
            timer.cancel()
            if child.is_usable:
                return child
            self._end(child)
        # In a context of its own: the child outlives this job.
        return await asyncio.get_running_loop().create_task(self._start(), context=contextvars.Context())

    def give_back(self, child: ChildProcess) -> None:
        """Its job is over."""
        if child.is_usable:
            bare = contextvars.Context()
            self._idle[child] = asyncio.get_running_loop().call_later(IDLE_S, self._end, child, context=bare)
        else:
            self._end(child)

    async def close(self) -> None:
        """End them all, and wait until they are gone. Twice is fine."""
        for child in tuple(self._children):
            self._end(child)
        await asyncio.gather(*self._ending)

    async def _start(self) -> ChildProcess:
        child = await ChildProcess.start(self.limits.line_bytes, self._forget)
        self._children.add(child)
        return child

    def _end(self, child: ChildProcess) -> None:
        timer = self._idle.pop(child, None)
        if timer is not None:
            timer.cancel()
        task = asyncio.get_running_loop().create_task(child.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _forget(self, child: ChildProcess) -> None:
        """It is gone."""
        self._children.discard(child)
        timer = self._idle.pop(child, None)
        if timer is not None:
            timer.cancel()
