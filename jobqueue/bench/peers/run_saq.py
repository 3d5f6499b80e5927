"""saq on Redis with three tries a job: with its default of one, a job whose worker was killed is aborted."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from measuring import Task, payload
from on_a_loop import LoopPeer
from saq import Queue, Worker


class Saq(LoopPeer):
    packages = ("saq", "redis", "hiredis", "uvloop")

    async def open(self) -> None:
        self.queue = Queue.from_url(self.task.redis_url)
        await self.queue.connect()

    async def add(self, number: int) -> None:
        await self.queue.enqueue("noop", retries=3, **payload(number))

    async def start(self) -> None:
        self.worker = Worker(self.queue, [("noop", self._noop)], concurrency=self.task.concurrency)
        self.running = asyncio.create_task(self.worker.start())

    async def stop(self) -> None:
        self.worker.event.set()
        await asyncio.wait([self.running], timeout=10)

    async def _noop(self, context: dict[str, Any], *, n: int, text: str) -> None:
        await self.handle(n)
        self.recorded()


if __name__ == "__main__":
    uvloop.run(Saq(Task.from_argv()).run())
