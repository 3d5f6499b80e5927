"""streaq with its defaults, on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

import uvloop
from measuring import TEXT, Task
from on_a_loop import LoopPeer, cancel
from streaq import Worker


class Streaq(LoopPeer):
    packages = ("streaq", "coredis", "hiredis", "uvloop")

    async def open(self) -> None:
        self.opened = AsyncExitStack()
        self.producer = Worker(self.task.redis_url)
        self.noop = self._register(self.producer)
        await self.opened.enter_async_context(self.producer)

    async def add(self, number: int) -> None:
        await self.noop.enqueue(number, TEXT)

    async def add_chunk(self, numbers: Iterable[int]) -> None:
        await self.producer.enqueue_many([self.noop.enqueue(number, TEXT) for number in numbers])

    async def start(self) -> None:
        # A second one: what runs a worker closes its connections at the end.
        worker = Worker(self.task.redis_url, concurrency=self.task.concurrency, handle_signals=False)
        self._register(worker)
        self.running = asyncio.create_task(worker.run_async())

    async def stop(self) -> None:
        await cancel(self.running)

    def _register(self, worker: Worker) -> Any:
        @worker.task(name="noop")
        async def noop(n: int, text: str) -> None:
            await self.handle(n)
            self.recorded()

        return noop


if __name__ == "__main__":
    uvloop.run(Streaq(Task.from_argv()).run())
