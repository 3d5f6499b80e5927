"""arq with its defaults: jobs are polled every half second, a job is run again if its worker is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from arq import Worker, create_pool, func
from arq.connections import RedisSettings
from measuring import Task, payload
from on_a_loop import LoopPeer


class Arq(LoopPeer):
    packages = ("arq", "redis", "hiredis", "uvloop")

    async def open(self) -> None:
        self.settings = RedisSettings.from_dsn(self.task.redis_url)
        self.pool = await create_pool(self.settings)

    async def add(self, number: int) -> None:
        await self.pool.enqueue_job("noop", **payload(number))

    async def start(self) -> None:
        self.worker = Worker(
            [func(self._noop, name="noop")],
            redis_settings=self.settings,
            max_jobs=self.task.concurrency,
            handle_signals=False,
        )
        self.running = asyncio.create_task(self.worker.async_run())

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, self.worker.close(), return_exceptions=True)

    async def _noop(self, context: dict[str, Any], n: int, text: str) -> None:
        await self.handle(n)
        self.recorded()


if __name__ == "__main__":
    uvloop.run(Arq(Task.from_argv()).run())
