"""One queue: the process that stores the jobs of one prefix and runs them, told when by lines on its standard input.

`python -m scripts.cluster_speed.one_queue URL PREFIX JOBS CONCURRENCY`; each word is answered by one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import uvloop
from pydantic import BaseModel

from jobqueue import App, JobContext, Registry, Worker, make_job
from jobqueue.settings import Settings
from jobqueue.worker.garbage import collect_less

TEXT = "the quick brown fox jumps over the lazy dog"


class Payload(BaseModel):
    n: int
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """What one step took. Units: seconds of the clock and of this process's CPU; megabytes."""

    began_s: float
    ended_s: float
    cpu_s: float
    rss_mb: float


class Queue:
    """The jobs of one prefix, which do nothing."""

    def __init__(self, url: str, prefix: str, jobs: int, concurrency: int) -> None:
        self._jobs = jobs
        self._left = 0
        self._ended = asyncio.Event()
        self._noop = make_job(self._count, name="noop")
        settings = Settings.load(redis_url=url, jobs_prefix=prefix, worker_concurrency=concurrency)
        self._app = App(Registry([self._noop]), settings)

    async def store(self) -> None:
        await self._app.enqueue_jobs((self._noop, Payload(n=number, text=TEXT)) for number in range(self._jobs))

    async def run(self) -> None:
        """Until the last job is recorded."""
        self._left = self._jobs
        self._ended.clear()
        async with Worker(self._app):
            await self._ended.wait()
            queue = self._app.queue()
            while await queue.client.call("LLEN", queue.keys.of("active")):
                continue

    async def close(self) -> None:
        await self._app.close()

    async def _count(self, ctx: JobContext, payload: Payload) -> None:
        self._left -= 1
        if not self._left:
            self._ended.set()


async def main() -> None:
    url, prefix, jobs, concurrency = sys.argv[1:]
    queue = Queue(url, prefix, int(jobs), int(concurrency))
    steps: dict[str, Callable[[], Awaitable[None]]] = {"store": queue.store, "run": queue.run}
    collect_less()  # as `jobqueue worker` does
    while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
        began_s, cpu_s = time.time(), time.process_time()
        await steps[word]()
        rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told = Told(began_s, time.time(), time.process_time() - cpu_s, rss_mb)
        sys.stdout.write(json.dumps(asdict(told)) + "\n")
        sys.stdout.flush()
    await queue.close()


if __name__ == "__main__":
    uvloop.run(main())
