"""taskiq on Redis streams, with acknowledgement after the run (its default), run by its own receiver."""

from __future__ import annotations

import asyncio

import uvloop
from measuring import Task, payload
from on_a_loop import LoopPeer, cancel
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker


class Taskiq(LoopPeer):
    packages = ("taskiq", "taskiq-redis", "redis", "hiredis", "uvloop")

    async def open(self) -> None:
        # "0": the group also reads what was added before its worker started.
        self.broker = RedisStreamBroker(self.task.redis_url, consumer_id="0")

        @self.broker.task(task_name="noop")
        async def noop(n: int, text: str) -> None:
            await self.handle(n)
            self.recorded()

        self.noop = noop
        await self.broker.startup()

    async def add(self, number: int) -> None:
        await self.noop.kiq(**payload(number))

    async def start(self) -> None:
        self.running = asyncio.create_task(run_receiver_task(self.broker, max_async_tasks=self.task.concurrency))

    async def stop(self) -> None:
        await cancel(self.running)


if __name__ == "__main__":
    uvloop.run(Taskiq(Task.from_argv()).run())
