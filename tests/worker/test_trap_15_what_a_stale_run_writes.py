"""A run that has lost its job and was not told yet: whatever it still does, its successor's job stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, make_job, make_superseding_job
from jobqueue.errors import JobCancelled, JobqueueError, LockLost
from jobqueue.handler import Handler
from jobqueue.keys import QueueKeys
from jobqueue.worker import schedulers
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import Site, ask, at_work, keys_of

WAIT_S = 20.0
HOUR_MS = 3_600_000

Act = Callable[[JobContext], Awaitable[None]]


async def nothing(ctx: JobContext) -> None:
    """What a run does that only holds on."""


@dataclass(slots=True)
class Runs:
    """The first run of a job and the second one, each held until it is let go; the first is deaf to what it is told."""

    first: Act = nothing
    """What the first does when it goes on."""
    second: Act = nothing
    """What the second does when it begins."""
    begun: list[int] = field(default_factory=list[int])
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    ends: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, ctx: JobContext) -> str:
        if ctx.job.attempts_started == 1:
            self.begun.append(1)
            await self.goes_on.wait()
            await self.first(ctx)
            self.done.set()
            return "stale"
        await self.second(ctx)
        self.begun.append(2)
        await self.ends.wait()
        return "successor"


@dataclass(frozen=True, slots=True)
class Scene:
    """Both runs at work, each in its worker."""

    job_id: str
    redis: Redis
    keys: QueueKeys
    stale: Site
    successor: Site
    runs: Runs

    async def ask(self, *command: str | float) -> Any:
        return await ask(self.redis, *command)

    async def wake(self) -> None:
        """Let the stale run go on, and wait until its worker has dropped its result."""
        self.runs.goes_on.set()
        await eventually(lambda: self.stale.count("job.fenced"), WAIT_S)

    async def result(self) -> str | None:
        self.runs.ends.set()
        return (await self.successor.end_of(self.job_id, WAIT_S))[1]

    async def snapshot(self) -> dict[str, object]:
        """The job, and all that it holds."""
        lock = await self.ask("GET", self.keys.job_lock(self.job_id))
        fields = await self.ask("HGETALL", self.keys.job(self.job_id))
        active = await self.ask("LRANGE", self.keys.of("active"), 0, -1)
        gates = {key: await self.ask("ZRANGE", key, 0, -1, "WITHSCORES") for key in await self._found("order", "limit")}
        holders = {key: await self.ask("HGETALL", key) for key in await self._found("lane", "singleton")}
        return {"lock": lock, "hash": fields, "active": active} | gates | holders

    async def _found(self, *words: str) -> list[str]:
        found = [key for word in words for key in await self.ask("KEYS", self.keys.of(f"job:{word}:*"))]
        return sorted(key for key in found if not key.endswith(":fence"))


@asynccontextmanager
async def scene(
    settings: MakeSettings, redis: Redis, runs: Runs, handler: Handler[None], *others: Handler[Any]
) -> AsyncGenerator[Scene]:
    """The lock of a job runs out under its worker, and another worker has the job: the first does not know it yet."""
    handlers: list[Handler[Any]] = [handler, echo, *others]
    ours = settings(worker_lock_ms=30_000, worker_stalled_ms=100, worker_concurrency=1, worker_shutdown_ms=100)
    keys = keys_of(ours)
    async with at_work(ours, *handlers, name="stale") as stale:
        job = await stale.app.enqueue_job(handler, order_key="one")
        await eventually(lambda: runs.begun == [1], WAIT_S)
        async with at_work(ours, *handlers, name="successor") as successor:
            await ask(redis, "DEL", keys.job_lock(job.job_id))
            await eventually(lambda: runs.begun == [1, 2], WAIT_S)
            yield Scene(job.job_id, redis, keys, stale, successor, runs)
            runs.ends.set()
            runs.goes_on.set()


@make_job
async def echo(ctx: JobContext, payload: int) -> int:
    return payload


@make_superseding_job(dedupe_key=lambda key: key, first_delay_ms=HOUR_MS)
async def latest(ctx: JobContext, payload: str) -> str:
    return payload


async def test_what_a_stale_run_logs_and_reports_does_not_land_in_its_successors_job(
    settings: MakeSettings, redis: Redis
) -> None:
    async def tell(ctx: JobContext) -> None:
        who = "stale" if ctx.job.attempts_started == 1 else "successor"
        ctx.log(f"{who} was here")
        ctx.progress(who)

    runs = Runs(first=tell, second=tell)
    async with scene(settings, redis, runs, make_job(runs.run, name="work")) as at:
        await eventually(lambda: at.ask("LLEN", at.keys.job_logs(at.job_id)), WAIT_S)
        await at.wake()

        assert await at.ask("LRANGE", at.keys.job_logs(at.job_id), 0, -1) == ["successor was here"]
        assert await at.ask("HGET", at.keys.job(at.job_id), "progress") == '"successor"'
        events = str(await at.ask("XRANGE", at.keys.of("events"), "-", "+"))
        assert events.count("'progress'") == 1, "and nobody who listens is told otherwise"
        assert await at.result() == '"successor"'


async def test_a_stale_run_cannot_give_its_successor_a_child(settings: MakeSettings, redis: Redis) -> None:
    """The successor would have failed: a job cannot complete while a child is to run."""
    refused: list[JobqueueError] = []

    async def add(ctx: JobContext) -> None:
        try:
            await ctx.enqueue_child(echo, 1, delay_ms=HOUR_MS)
        except JobqueueError as error:
            refused.append(error)

    runs = Runs(first=add)
    async with scene(settings, redis, runs, make_job(runs.run, name="work")) as at:
        await at.wake()

        assert [type(error) for error in refused] == [LockLost]
        assert await at.ask("ZCARD", at.keys.of("delayed")) == 0
        assert await at.result() == '"successor"'


async def test_a_stale_run_cannot_remove_its_successors_children(settings: MakeSettings, redis: Redis) -> None:
    refused: list[JobqueueError] = []

    async def remove(ctx: JobContext) -> None:
        try:
            await ctx.remove_pending_children()
        except JobqueueError as error:
            refused.append(error)

    async def add(ctx: JobContext) -> None:
        await ctx.enqueue_child(echo, 1, delay_ms=HOUR_MS)

    runs = Runs(first=remove, second=add)
    async with scene(settings, redis, runs, make_job(runs.run, name="work")) as at:
        await at.wake()

        assert [type(error) for error in refused] == [LockLost]
        assert await at.ask("ZCARD", at.keys.of("delayed")) == 1


@pytest.mark.parametrize("queue", ["jobs", "others"])
async def test_a_stale_run_enqueues_nothing_and_takes_no_lane(settings: MakeSettings, redis: Redis, queue: str) -> None:
    """Its job would have superseded what its successor has enqueued since."""
    refused: list[JobqueueError] = []

    async def enqueue(ctx: JobContext) -> None:
        try:
            await ctx.enqueue_job(latest, "lane", queue=queue)
        except JobqueueError as error:
            refused.append(error)

    runs = Runs(first=enqueue, second=enqueue)
    async with scene(settings, redis, runs, make_job(runs.run, name="work"), latest) as at:
        lane = at.stale.app.queue(queue).keys.lane("latest", "lane")
        before = await at.ask("HGETALL", lane)
        await at.wake()

        assert [type(error) for error in refused] == [LockLost]
        assert await at.ask("HGETALL", lane) == before != {}


async def test_a_stale_run_does_not_advance_a_scheduler(settings: MakeSettings, redis: Redis) -> None:
    """Its next slot would be the one that followed when it stood still, long past by now."""
    runs = Runs()
    async with scene(settings, redis, runs, make_job(runs.run, name="work")) as at:
        queue, every = at.stale.app.queue(), {"every": 60_000}
        slot_id = "repeat:s:60000"
        await at.ask("ZADD", at.keys.of("repeat"), 60_000, "s")
        await at.ask("HSET", at.keys.of("repeat:s"), "name", "work", "every", 60_000)
        options = f'{{"repeat":{{"every":{every["every"]}}},"repeatJobKey":"s"}}'
        await at.ask(
            "HSET", at.keys.job(slot_id), "name", "work", "data", "{}", "timestamp", 0, "rjk", "s", "opts", options
        )
        await at.ask("SET", at.keys.job_lock(slot_id), "successor")
        job = await queue.job(slot_id)

        assert not await schedulers.advance(queue, job, "stale")
        assert await at.ask("ZSCORE", at.keys.of("repeat"), "s") == 60_000
        assert await schedulers.advance(queue, job, "successor")


@pytest.mark.parametrize("how", ["completes", "fails", "is put back by a shutdown"])
async def test_however_a_stale_run_ends_its_successor_keeps_all_that_it_holds(
    settings: MakeSettings, redis: Redis, how: str
) -> None:
    async def end(ctx: JobContext) -> None:
        if how == "fails":
            raise RuntimeError("stale")

    runs = Runs(first=end)
    handler = make_job(runs.run, name="work", concurrency=1, grace_ms=0)
    async with scene(settings, redis, runs, handler) as at:
        before = await at.snapshot()
        if how == "is put back by a shutdown":
            await at.stale.worker.stop()
            assert at.stale.count("job.fenced") == 1
        else:
            await at.wake()

        assert await at.snapshot() == before
        assert len([key for key in before if "job:order" in key or "job:limit" in key]) == 2
        assert await at.result() == '"successor"'
        ends = str(await at.ask("XRANGE", at.keys.of("events"), "-", "+"))
        assert ends.count("'completed'") == 1, "nobody who waits for the result is told the stale one"


async def test_a_run_that_outlives_its_try_writes_nothing_into_the_next_try(
    settings: MakeSettings, redis: Redis
) -> None:
    """The next try may be in the same slot, under the same token: that alone would not keep them apart."""
    goes_on, is_over, ends = asyncio.Event(), asyncio.Event(), asyncio.Event()
    refused: list[JobqueueError] = []

    async def work(ctx: JobContext) -> str:
        if ctx.job.attempts_started > 1:
            await ends.wait()
            return "second"
        try:
            await asyncio.sleep(WAIT_S)  # until it is cancelled, which it swallows
        except asyncio.CancelledError:
            await _until_set(goes_on)
        ctx.log("left behind")
        for act in (ctx.enqueue_child(echo, 1), ctx.enqueue_job(echo, 1), ctx.remove_pending_children()):
            try:
                await act
            except JobqueueError as error:
                refused.append(error)
        is_over.set()
        return "first"

    handler = make_job(work, name="work", timeout_ms=100, grace_ms=0, attempts=2)
    ours = settings(worker_concurrency=1)
    keys = keys_of(ours)
    async with at_work(ours, handler, echo) as site:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: site.count("job.started") == 2, WAIT_S)
        goes_on.set()
        await asyncio.wait_for(is_over.wait(), WAIT_S)

        assert [type(error) for error in refused] == [JobCancelled] * 3
        lines = await ask(redis, "LRANGE", keys.job_logs(job.job_id), 0, -1)
        assert not [line for line in lines if "left behind" in line]
        ends.set()


async def _until_set(event: asyncio.Event) -> None:
    """Deaf to every cancellation."""
    while not event.is_set():
        try:
            await event.wait()
        except asyncio.CancelledError:
            continue
