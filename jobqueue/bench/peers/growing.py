"""Growing: our cost for a job in a queue that holds much already, over some windows of a drain."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from itertools import islice
from typing import Any

import uvloop
from pydantic import BaseModel

from jobqueue import App, Handler, JobContext, Registry, Settings, Worker, make_job, make_superseding_job
from jobqueue.bench.peers.measuring import TEXT, RedisUse, say

_DELAY_MS = 24 * 60 * 60 * 1000
_LOAD = 20_000


class Payload(BaseModel):
    n: int
    text: str


@dataclass(frozen=True, slots=True)
class Growth:
    """What the queue holds, and what is measured: after `warm` jobs, `windows` windows of `window` jobs."""

    redis_url: str
    waiting: int
    delayed: int
    in_lanes: bool
    handlers: int
    queues: int
    concurrency: int
    warm: int
    window: int
    windows: int


class Windows:
    """Counts handlers and measures each window as its last one ends."""

    def __init__(self, growth: Growth) -> None:
        self._growth = growth
        self._ended = 0
        self._last: tuple[float, float, RedisUse] | None = None
        self.measured: list[dict[str, float]] = []
        self.over = asyncio.Event()

    def count(self) -> None:
        """One more handler has ended."""
        self._ended += 1
        into = self._ended - self._growth.warm
        if into >= 0 and into % self._growth.window == 0 and not self.over.is_set():
            self._close_window()

    def _close_window(self) -> None:
        ended_s, cpu_s, use = time.perf_counter(), time.process_time(), RedisUse.of(self._growth.redis_url)
        if self._last is not None:
            began_s, cpu_began_s, use_began = self._last
            each_us = 1e6 / self._growth.window
            self.measured.append(
                {
                    "wall_us": (ended_s - began_s) * each_us,
                    "cpu_us": (cpu_s - cpu_began_s) * each_us,
                    "redis_us": (use.cpu_s - use_began.cpu_s) * each_us,
                    "script_calls": (use.script_calls - use_began.script_calls) / self._growth.window,
                }
            )
        # What the question itself took belongs to no window.
        self._last = (time.perf_counter(), time.process_time(), use)
        if len(self.measured) == self._growth.windows:
            self.over.set()


def main() -> None:
    """Load, drain for the windows, tell."""
    uvloop.run(_grow(Growth(**json.loads(sys.argv[1]))))


async def _grow(growth: Growth) -> None:
    windows = Windows(growth)
    handlers = _handlers(growth, windows)
    settings = Settings.load(redis_url=growth.redis_url, worker_concurrency=growth.concurrency)
    queues = [f"bench{number}" for number in range(growth.queues)]
    app = App(Registry(handlers), settings)
    began_s = time.perf_counter()
    for queue in queues:
        await _load(app, handlers[0], growth.waiting // growth.queues, queue=queue)
        await _load(app, handlers[0], growth.delayed // growth.queues, queue=queue, delay_ms=_DELAY_MS)
    loaded_s = time.perf_counter() - began_s
    worker = Worker(app, queues=queues)
    await worker.start()
    await windows.over.wait()
    await worker.stop()
    await app.close()
    say(json.dumps({"windows": windows.measured, "load_s": loaded_s}))


async def _load(app: App, handler: Handler[Payload], count: int, **options: Any) -> None:
    numbers = iter(range(count))
    while batch := [(handler, Payload(n=number, text=TEXT)) for number in islice(numbers, _LOAD)]:
        await app.enqueue_jobs(batch, **options)


def _handlers(growth: Growth, windows: Windows) -> list[Handler[Payload]]:
    async def noop(ctx: JobContext, payload: Payload) -> None:
        windows.count()

    def lane_of(payload: Payload) -> str:
        return str(payload.n)

    names = [f"noop{number}" for number in range(growth.handlers)]
    if growth.in_lanes:
        return [make_superseding_job(noop, dedupe_key=lane_of, name=name) for name in names]
    return [make_job(noop, name=name) for name in names]


if __name__ == "__main__":
    main()
