"""Background: a loop that runs beside the rest, with `start`, `stop` and `tick`."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Final

from jobqueue.redis.retry import Pause, is_passing

_log = logging.getLogger("jobqueue.background")

FAREWELL_S: Final = 0.3
"""So long what stops waits for Redis to take its last word; what Redis does not take ends by itself, or is lost."""


class Periodic(ABC):
    """Does `tick` over and over, and rests as long as it says.

    A tick that fails is tried again soon; it never ends the loop. While Redis is away nothing is said here: whoever
    has a job in hand says it.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def tick(self) -> float | None:
        """Do it once; returns the seconds to rest, or None where there is nothing left to do."""

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=type(self).__name__)

    async def stop(self) -> None:
        """Returns when it has stopped; twice is fine."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        pause = Pause()
        while True:
            try:
                rest_s = await self.tick()
            except Exception as error:
                if not is_passing(error):
                    _log.exception("%s failed; trying again", type(self).__name__)
                await pause.rest()
            else:
                if rest_s is None:
                    self._task = None
                    return
                pause.reset()
                await asyncio.sleep(rest_s)


class Together:
    """What is stopped at one time: of those that wait for an answer none waits for another."""

    def __init__(self) -> None:
        self._stops: list[Callable[[], Awaitable[None]]] = []

    def add(self, stop: Callable[[], Awaitable[None]]) -> None:
        self._stops.append(stop)

    async def start(self, *loops: Periodic) -> None:
        """Start them, and stop them with the others."""
        for loop in loops:
            self.add(loop.stop)
            await loop.start()

    async def stop(self) -> None:
        """Returns when all have stopped. Raises: what one of them raises, then."""
        ended = await asyncio.gather(*(stop() for stop in self._stops), return_exceptions=True)
        for error in ended:
            if error is not None:
                raise error
