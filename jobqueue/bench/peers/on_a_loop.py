"""On a loop: the workloads, written once for the Python peers that run on asyncio."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable

from measuring import Countdown, Stopwatch, Task, chunks, end_at_once, give_up_after

_CANCEL_S = 5.0

Handle = Callable[[int], Awaitable[None]]


class LoopPeer(ABC):
    """One framework: how it adds jobs and runs them.

    `handle` is what a handler awaits with its job's number; `recorded` is called once for each job that is done: when
    its end is stored where the framework says so, else when its handler returns. `until` says which.
    """

    packages: tuple[str, ...]
    until = "the last handler has returned"

    def __init__(self, task: Task) -> None:
        self.task = task
        self.handle: Handle = self._sleep if task.sleep_ms else self._nothing
        self.recorded: Callable[[], None] = self._no_one_listens

    @abstractmethod
    async def open(self) -> None:
        """Connect what adds jobs, and leave nothing to be done at the first add."""

    @abstractmethod
    async def add(self, number: int) -> None:
        """Add one job and wait for the answer."""

    async def add_chunk(self, numbers: Iterable[int]) -> None:
        """Add many in one call, or at once where there is none."""
        await asyncio.gather(*map(self.add, numbers))

    @abstractmethod
    async def start(self) -> None:
        """Start a worker in this process; returns at once."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop the worker, so that another can be started."""

    async def run(self) -> None:
        """Do the task, and end the process."""
        await self.open()
        kinds = {"drain": self._drain, "enqueue": self._enqueue, "pickup": self._pickup, "idle": self._idle}
        await kinds[self.task.kind]()
        end_at_once()  # some frameworks never come back from their shutdown

    async def _sleep(self, number: int) -> None:
        await asyncio.sleep(self.task.sleep_ms / 1000)

    async def _nothing(self, number: int) -> None:
        return None

    def _no_one_listens(self) -> None:
        return None

    async def _drain(self) -> None:
        if self.task.warm_jobs:
            await self._drain_once(self.task.warm_jobs)
            await self.stop()
        watch = await self._drain_once(self.task.jobs)
        watch.tell(self.task.jobs, self.packages, until=self.until)

    async def _drain_once(self, jobs: int) -> Stopwatch:
        for numbers in chunks(jobs, 200):
            await self.add_chunk(numbers)
        countdown = Countdown(jobs)
        self.recorded, last = countdown.count, countdown.begin()
        with Stopwatch(self.task.load_url) as watch:
            await self.start()
            await give_up_after(last)
        return watch

    async def _enqueue(self) -> None:
        numbers = iter(range(self.task.jobs))

        async def call() -> None:
            for number in numbers:
                await self.add(number)

        with Stopwatch(self.task.load_url) as watch:
            if self.task.callers:
                await asyncio.gather(*(call() for _ in range(self.task.callers)))
            else:
                for chunk in chunks(self.task.jobs, self.task.chunk):
                    await self.add_chunk(chunk)
        watch.tell(self.task.jobs, self.packages, until="the last answer has come")

    async def _pickup(self) -> None:
        started: asyncio.Queue[float] = asyncio.Queue()

        async def tell(number: int) -> None:
            started.put_nowait(time.perf_counter())

        async def one(number: int) -> float:
            asked_s = time.perf_counter()
            await self.add(number)
            return (await started.get() - asked_s) * 1000

        self.handle = tell
        await self.start()
        for number in range(self.task.warm_jobs):
            await one(number)
        latencies_ms: list[float] = []
        with Stopwatch(self.task.load_url) as watch:
            for number in range(self.task.jobs):
                await asyncio.sleep(self.task.gap_ms / 1000)
                latencies_ms.append(await one(number))
        watch.tell(self.task.jobs, self.packages, until="the last handler has started", latencies_ms=latencies_ms)

    async def _idle(self) -> None:
        await self.start()
        await asyncio.get_running_loop().create_future()


async def cancel(running: asyncio.Task[None]) -> None:
    """Cancel a worker's task; one that does not end within five seconds is left to itself."""
    running.cancel()
    await asyncio.wait({running}, timeout=_CANCEL_S)
