"""Workers that are killed: nothing is lost, and nothing but what they held runs twice."""

from __future__ import annotations

import signal

from redis.asyncio import Redis

from jobqueue import App, Registry
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.crew import Crew
from tests.worker.harness import ask, at_work, keys_of
from tests.worker.programs import crew as program

FOR_EVER_MS = 600_000


async def test_a_worker_that_is_killed_with_ten_active_jobs_loses_nothing(
    settings: MakeSettings, redis: Redis, crew: Crew
) -> None:
    short = settings(worker_lock_ms=1_000, worker_stalled_ms=100)
    keys = keys_of(short)

    async with App(Registry(program.HANDLERS), short) as app:
        victim = crew.start(short)
        before = await app.enqueue_jobs([(program.work, 0)] * 10)
        for job in before:
            await job.wait(20)
        held = await app.enqueue_jobs([(program.work, FOR_EVER_MS)] * 10)
        await crew.have_started(20)
        waiting = await app.enqueue_jobs([(program.work, 0)] * 10)

        victim.kill()
        victim.wait()
        async with at_work(short, *program.HANDLERS):
            for job in (*held, *waiting):
                assert await job.wait(20) != victim.pid

        runs = crew.runs()
        assert {runs[job.job_id] for job in held} == {2}
        assert {runs[job.job_id] for job in (*before, *waiting)} == {1}
        assert sorted(line.job_id for line in crew.lines("end")) == sorted(
            job.job_id for job in (*before, *held, *waiting)
        )
        for word in ("wait", "active"):
            assert await ask(redis, "LLEN", keys.of(word)) == 0
        assert await ask(redis, "KEYS", f"{keys.base}*:lock") == []


async def test_a_job_whose_worker_died_says_so_and_has_lost_no_try(
    settings: MakeSettings, redis: Redis, crew: Crew
) -> None:
    short = settings(worker_lock_ms=1_000, worker_stalled_ms=100)

    async with App(Registry(program.HANDLERS), short) as app:
        victim = crew.start(short)
        job = await app.enqueue_job(program.work, FOR_EVER_MS)
        await crew.have_started(1)
        victim.kill()
        victim.wait()

        async with at_work(short, *program.HANDLERS) as site:
            await job.wait(20)
            stored = await site.job(job.job_id)

            assert (stored.stalled_count, stored.attempts_made, stored.attempts_started) == (1, 1, 2)
            assert site.count("job.stalled") == 1


async def test_a_frozen_worker_that_wakes_up_cannot_complete_what_another_one_has_run(
    settings: MakeSettings, crew: Crew
) -> None:
    short = settings(worker_lock_ms=1_000, worker_stalled_ms=100)

    async with App(Registry(program.HANDLERS), short) as app:
        frozen = crew.start(short)
        job = await app.enqueue_job(program.work, 1_500)
        await crew.have_started(1)
        frozen.send_signal(signal.SIGSTOP)
        async with at_work(short, *program.HANDLERS) as site:
            done_by = await job.wait(20)
            frozen.send_signal(signal.SIGCONT)
            await eventually(lambda: "the result was dropped" in crew.output)

            assert done_by != frozen.pid
            assert (await site.job(job.job_id)).result == done_by
