"""Our program: jobqueue as a service would use it, with a validated payload and nothing configured beside it."""

from __future__ import annotations

import asyncio
import cProfile
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import uvloop
from pydantic import BaseModel

from jobqueue import App, Handler, JobContext, Registry, Settings, Worker, make_job
from jobqueue.bench.peers.measuring import TEXT, Countdown, Stopwatch, Task, say
from jobqueue.bench.peers.profiled import told
from jobqueue.worker.garbage import collect_less

PACKAGES = ("jobqueue", "redis", "hiredis", "uvloop", "pydantic")


class Payload(BaseModel):
    n: int
    text: str


def main() -> None:
    """Do the task of the command line."""
    task = Task.from_argv()
    kinds: dict[str, Callable[[Task], Awaitable[None]]] = {"drain": _drain, "enqueue": _enqueue, "pickup": _pickup}
    uvloop.run(_run(kinds[task.kind], task))


async def _run(kind: Callable[[Task], Awaitable[None]], task: Task) -> None:
    await kind(task)


# Drain


async def _drain(task: Task) -> None:
    """Jobs that wait already; measured until the last one is recorded as completed."""
    if task.warm_jobs:
        await _drain_once(task, task.warm_jobs, Stopwatch(task.load_url), None)
    watch, profile = Stopwatch(task.load_url), cProfile.Profile() if task.profile else None
    await _drain_once(task, task.jobs, watch, profile)
    if profile is not None:
        say(told(profile, task.jobs, watch.seconds, watch.cpu_s))
    else:
        watch.tell(task.jobs, PACKAGES, until="the last job is recorded as completed")


async def _drain_once(task: Task, jobs: int, watch: Stopwatch, profile: cProfile.Profile | None) -> None:
    countdown = Countdown(jobs)
    handler = _handler(countdown, task.sleep_ms)
    async with _app(task.load_url, handler, task) as loader:
        await loader.enqueue_jobs([(handler, Payload(n=number, text=TEXT)) for number in range(jobs)])
    async with _app(task.redis_url, handler, task) as app:
        worker, last = Worker(app), countdown.begin()
        with watch, profile or nullcontext():
            await worker.start()
            collect_less()  # as `jobqueue worker` does
            await last
            await _until_recorded(app)
        await worker.stop()


async def _until_recorded(app: App) -> None:
    """The last handler has returned and its record is on its way: a matter of a few round trips."""
    queue = app.queue()
    active = queue.keys.of("active")
    while await queue.client.call("LLEN", active):
        continue


def _handler(countdown: Countdown, sleep_ms: int) -> Handler[Payload]:
    async def noop(ctx: JobContext, payload: Payload) -> None:
        countdown.count()

    async def sleep(ctx: JobContext, payload: Payload) -> None:
        await asyncio.sleep(sleep_ms / 1000)
        countdown.count()

    return make_job(sleep if sleep_ms else noop)


# Enqueue


async def _enqueue(task: Task) -> None:
    """One caller that waits for each answer, many that do, or all jobs from one generator."""
    handler = _handler(Countdown(0), 0)
    async with _app(task.redis_url, handler, task) as app:
        await app.client.call("PING")
        numbers, watch = iter(range(task.jobs)), Stopwatch(task.load_url)

        async def call() -> None:
            for number in numbers:
                await app.enqueue_job(handler, Payload(n=number, text=TEXT))

        with watch:
            if task.callers:
                await asyncio.gather(*(call() for _ in range(task.callers)))
            else:
                await app.enqueue_jobs((handler, Payload(n=number, text=TEXT)) for number in range(task.jobs))
    watch.tell(task.jobs, PACKAGES, until="the last answer has come")


# Pickup


async def _pickup(task: Task) -> None:
    """Single jobs for an idle worker of the same process: from the call of enqueue to the start of the handler."""
    started: asyncio.Queue[float] = asyncio.Queue()

    @make_job
    async def tell(ctx: JobContext, payload: Payload) -> None:
        started.put_nowait(time.perf_counter())

    latencies_ms: list[float] = []
    async with _app(task.redis_url, tell, task) as app, Worker(app):
        for number in range(task.warm_jobs):
            await app.enqueue_job(tell, Payload(n=number, text=TEXT))
            await started.get()
        with Stopwatch(task.load_url) as watch:
            for number in range(task.jobs):
                await asyncio.sleep(task.gap_ms / 1000)
                asked_s = time.perf_counter()
                await app.enqueue_job(tell, Payload(n=number, text=TEXT))
                latencies_ms.append((await started.get() - asked_s) * 1000)
    watch.tell(task.jobs, PACKAGES, until="the last handler has started", latencies_ms=latencies_ms)


def _app(url: str, handler: Handler[Payload], task: Task) -> App:
    settings = Settings.load(redis_url=url, worker_concurrency=task.concurrency)
    return App(Registry([handler]), settings)


if __name__ == "__main__":
    main()
