"""In threads: the workloads, written once for the Python peers that run handlers in threads."""

from __future__ import annotations

import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from measuring import Countdown, Stopwatch, Task, end_at_once

Handle = Callable[[int], None]


class ThreadPeer(ABC):
    """One framework: how it adds jobs and runs them. `handle` is what a handler calls with its job's number."""

    packages: tuple[str, ...]
    until = "the last handler has returned"

    def __init__(self, task: Task) -> None:
        self.task = task
        self.handle: Handle = self._nothing

    @abstractmethod
    def add(self, number: int) -> None:
        """Add one job and wait for the answer."""

    @abstractmethod
    def start(self) -> None:
        """Start a worker in this process; returns at once."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the worker, so that another can be started."""

    def run(self) -> None:
        """Do the task, and end the process."""
        kinds = {"drain": self._drain, "enqueue": self._enqueue, "pickup": self._pickup, "idle": self._idle}
        kinds[self.task.kind]()
        end_at_once()  # their threads would keep the process

    def _nothing(self, number: int) -> None:
        return None

    def _drain(self) -> None:
        countdown, sleep_s = Countdown(self.task.warm_jobs + self.task.jobs), self.task.sleep_ms / 1000
        warm = Countdown(self.task.warm_jobs)

        def work(number: int) -> None:
            if sleep_s:
                time.sleep(sleep_s)
            warm.count_in_thread()
            countdown.count_in_thread()

        self.handle = work
        if self.task.warm_jobs:
            self._add_all(self.task.warm_jobs)
            self.start()
            warm.wait_in_thread()
            self.stop()
        self._add_all(self.task.jobs)
        with Stopwatch(self.task.load_url) as watch:
            self.start()
            countdown.wait_in_thread()
        watch.tell(self.task.jobs, self.packages, until=self.until)

    def _add_all(self, jobs: int) -> None:
        for number in range(jobs):
            self.add(number)

    def _enqueue(self) -> None:
        self.add(0)
        numbers, lock = iter(range(self.task.jobs)), threading.Lock()

        def call(_: int) -> None:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                self.add(number)

        with ThreadPoolExecutor(self.task.callers) as pool, Stopwatch(self.task.load_url) as watch:
            list(pool.map(call, range(self.task.callers)))
        watch.tell(self.task.jobs, self.packages, until="the last answer has come")

    def _pickup(self) -> None:
        started: queue.SimpleQueue[float] = queue.SimpleQueue()

        def one(number: int) -> float:
            asked_s = time.perf_counter()
            self.add(number)
            return (started.get(timeout=60) - asked_s) * 1000

        self.handle = lambda number: started.put(time.perf_counter())
        self.start()
        for number in range(self.task.warm_jobs):
            one(number)
        latencies_ms: list[float] = []
        with Stopwatch(self.task.load_url) as watch:
            for number in range(self.task.jobs):
                time.sleep(self.task.gap_ms / 1000)
                latencies_ms.append(one(number))
        watch.tell(self.task.jobs, self.packages, until="the last handler has started", latencies_ms=latencies_ms)

    def _idle(self) -> None:
        self.start()
        threading.Event().wait()
