"""Python's bullmq as its documentation shows it, on uvloop and hiredis, with the options that our jobs carry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import uvloop
from bullmq import Queue, Worker
from measuring import Task, payload
from on_a_loop import LoopPeer

DAY_S = 24 * 60 * 60
OPTIONS = {
    "attempts": 3,
    "backoff": {"type": "exponential", "delay": 5_000},
    "removeOnComplete": {"age": 7 * DAY_S, "count": 10_000},
    "removeOnFail": {"age": 30 * DAY_S, "count": 10_000},
    "keepLogs": 1_000,
}


class BullMQ(LoopPeer):
    packages = ("bullmq", "redis", "hiredis", "uvloop")
    until = "the last job is recorded as completed"

    async def open(self) -> None:
        self.queue = Queue("jobs", {"connection": self.task.redis_url})
        await self.queue.getJobCounts("wait")

    async def add(self, number: int) -> None:
        await self.queue.add("noop", payload(number), OPTIONS)

    async def add_chunk(self, numbers: Iterable[int]) -> None:
        await self.queue.addBulk([{"name": "noop", "data": payload(number), "opts": OPTIONS} for number in numbers])

    async def start(self) -> None:
        options = {"connection": self.task.redis_url, "concurrency": self.task.concurrency}
        self.worker = Worker("jobs", self._process, options)
        self.worker.on("completed", lambda job, result: self.recorded())

    async def stop(self) -> None:
        # By force: it would wait for its blocking call, which has been measured already.
        await self.worker.close(force=True)

    async def _process(self, job: Any, token: str) -> None:
        await self.handle(job.data["n"])


if __name__ == "__main__":
    uvloop.run(BullMQ(Task.from_argv()).run())
