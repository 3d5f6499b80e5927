"""Shutdown: jobs may finish, then they are told to stop, then cancelled; what is unfinished goes back at once."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, Worker, make_job
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.processes import free_port
from tests.worker.crew import Crew
from tests.worker.harness import ask, at_work, keys_of, position
from tests.worker.programs import crew as program


async def test_a_graceful_stop_lets_jobs_finish_and_claims_no_more(settings: MakeSettings, redis: Redis) -> None:
    may_end = asyncio.Event()
    runs: list[str] = []

    async def work(ctx: JobContext) -> str:
        runs.append(ctx.job.id)
        await may_end.wait()
        return "finished"

    handler = make_job(work)
    ours = settings(worker_concurrency=1)

    async with at_work(ours, handler) as site:
        active = await site.app.enqueue_job(handler)
        waiting = await site.app.enqueue_job(handler)
        await eventually(lambda: runs)
        stopping = asyncio.ensure_future(site.worker.stop())
        await eventually(lambda: site.count("worker.stopping"))
        may_end.set()
        await stopping

        assert await site.end_of(active.job_id) == ("completed", '"finished"')
        assert await position(redis, keys_of(ours), waiting.job_id) == "wait"
        assert runs == [active.job_id]


async def test_after_the_shutdown_time_a_job_is_told_to_stop_and_goes_back_uncounted(
    settings: MakeSettings, redis: Redis
) -> None:
    told: list[str] = []

    async def stops_when_told(ctx: JobContext) -> str:
        if ctx.worker_name == "next":
            return "run by the next"
        told.append(await ctx.signal.wait())
        ctx.raise_if_cancelled()
        return "not told"

    handler = make_job(stops_when_told, attempts=1)
    ours = settings(worker_shutdown_ms=200)

    async with at_work(ours, handler, name="leaving") as leaving:
        job = await leaving.app.enqueue_job(handler)
        await eventually(lambda: leaving.count("job.started"))

        await leaving.worker.stop()

        assert told == ["the worker stops"]
        assert await position(redis, keys_of(ours), job.job_id) == "wait"
        assert (await leaving.job(job.job_id)).attempts_made == 0
        assert not await ask(redis, "EXISTS", keys_of(ours).job_lock(job.job_id))

    async with at_work(ours, handler, name="next") as following:
        assert await following.end_of(job.job_id) == ("completed", '"run by the next"')


async def test_a_job_that_ignores_the_signal_is_cancelled_after_its_grace_and_goes_back(
    settings: MakeSettings, redis: Redis
) -> None:
    heard: list[str] = []

    async def ignores_the_signal(ctx: JobContext) -> None:
        try:
            await asyncio.sleep(600)  # the subject: longer than any patience
        except asyncio.CancelledError:
            heard.append(f"cancelled after: {ctx.signal.reason}")
            raise

    handler = make_job(ignores_the_signal, attempts=1, grace_ms=200)
    ours = settings(worker_shutdown_ms=100)

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: site.count("job.started"))
        await site.worker.stop()

        assert heard == ["cancelled after: the worker stops"]
        assert await position(redis, keys_of(ours), job.job_id) == "wait"


async def test_a_job_that_finishes_in_its_grace_counts(settings: MakeSettings) -> None:
    async def finishes_when_told(ctx: JobContext) -> str:
        await ctx.signal.wait()
        return "just in time"

    handler = make_job(finishes_when_told)

    async with at_work(settings(worker_shutdown_ms=100), handler) as site:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: site.count("job.started"))
        await site.worker.stop()

        assert await site.end_of(job.job_id) == ("completed", '"just in time"')


async def test_a_job_that_swallows_its_cancellation_goes_back_at_once_all_the_same(
    settings: MakeSettings, redis: Redis
) -> None:
    may_end = asyncio.Event()

    async def swallows(ctx: JobContext) -> None:
        while not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                continue

    handler = make_job(swallows, attempts=1, grace_ms=100)
    ours = settings(worker_shutdown_ms=100)

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: site.count("job.started"))
        await site.worker.stop()
        where = await position(redis, keys_of(ours), job.job_id)
        may_end.set()

        assert where == "wait"


async def test_a_thread_that_hangs_goes_back_and_does_not_hold_up_the_stop(
    settings: MakeSettings, redis: Redis
) -> None:
    may_end = threading.Event()

    def hangs(ctx: JobContext) -> None:
        may_end.wait()

    handler = make_job(hangs, attempts=1, grace_ms=100)
    ours = settings(worker_shutdown_ms=100)

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)
        await eventually(lambda: site.count("job.started"))
        began_s = time.monotonic()
        await site.worker.stop()
        took_s = time.monotonic() - began_s
        may_end.set()

        assert took_s < 5
        assert await position(redis, keys_of(ours), job.job_id) == "wait"


async def test_stop_may_be_called_twice_and_at_once(settings: MakeSettings) -> None:
    async with at_work(settings()) as site:
        await asyncio.gather(site.worker.stop(), site.worker.stop())
        await site.worker.stop()

        assert site.count("worker.stopped") == 1


async def test_a_worker_that_was_never_started_can_be_stopped(settings: MakeSettings) -> None:
    async with App(Registry(), settings()) as app:
        await Worker(app).stop()


async def test_a_stopped_worker_leaves_no_connection_task_or_thread(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()

    async def connections() -> int:
        return len(await redis.client_list())

    async def as_many_as(count: int) -> bool:
        return await connections() == count

    def our_threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("jobqueue")]

    tasks, open_before = asyncio.all_tasks(), await connections()

    async with at_work(ours) as site:
        assert await connections() > open_before
        assert our_threads()
        await site.worker.stop()
        await site.app.close()

        await eventually(lambda: as_many_as(open_before))
        await eventually(lambda: not our_threads())
        assert asyncio.all_tasks() == tasks


async def test_sigterm_ends_the_process_in_good_order(settings: MakeSettings, redis: Redis, crew: Crew) -> None:
    ours = settings(worker_shutdown_ms=100)
    async with App(Registry(program.HANDLERS), ours) as app:
        process = crew.start(ours)
        job = await app.enqueue_job(program.linger)
        await crew.have_started(1)

        process.send_signal(signal.SIGTERM)

        assert await asyncio.to_thread(process.wait, 10) == 0
        assert await position(redis, keys_of(ours), job.job_id) == "wait"
        assert "has stopped" in crew.output


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_does_not_wait_for_the_jobs(
    settings: MakeSettings, redis: Redis, crew: Crew, second: signal.Signals
) -> None:
    ours = settings(worker_shutdown_ms=600_000)
    async with App(Registry(program.HANDLERS), ours) as app:
        process = crew.start(ours)
        job = await app.enqueue_job(program.work, 600_000)
        await crew.have_started(1)

        process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.3)  # two signals at once may be taken as one, and nothing tells that the first was heard
        process.send_signal(second)

        assert await asyncio.to_thread(process.wait, 10) == 0
        assert await position(redis, keys_of(ours), job.job_id) == "wait"


async def test_a_process_with_a_thread_that_hangs_can_exit(settings: MakeSettings, redis: Redis, crew: Crew) -> None:
    ours = settings(worker_shutdown_ms=100)
    async with App(Registry(program.HANDLERS), ours) as app:
        process = crew.start(ours)
        job = await app.enqueue_job(program.hang)
        await crew.have_started(1)

        process.send_signal(signal.SIGTERM)

        assert await asyncio.to_thread(process.wait, 10) == 0
        assert await position(redis, keys_of(ours), job.job_id) == "wait"


async def test_a_worker_that_still_waits_for_redis_stops_when_asked(settings: MakeSettings, crew: Crew) -> None:
    process = crew.start(settings(redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    await eventually(lambda: "trying again" in crew.output)

    process.send_signal(signal.SIGTERM)

    assert await asyncio.to_thread(process.wait, 10) == 0
