"""Care: a job is not blamed for the deaths that another one causes beside it."""

from __future__ import annotations

import asyncio
from functools import partial
from subprocess import Popen

import pytest

from jobqueue import App, Enqueued, JobContext, JobFailed, Registry, make_job
from jobqueue.job import Envelope, Job, JobOptions
from jobqueue.policy import Policy
from jobqueue.worker.care import Care
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.foreign import has_ended
from tests.worker.crew import Crew
from tests.worker.harness import at_work
from tests.worker.programs import crew as program
from tests.worker.test_slots_change_jobs import execution


async def test_good_jobs_whose_workers_are_killed_by_another_are_not_quarantined_with_it(
    settings: MakeSettings, crew: Crew
) -> None:
    """Nine good jobs shared their workers with one that kills them; all ten stalled as often, and were failed."""
    short = settings(worker_lock_ms=1_000, worker_stalled_ms=100)

    async with App(Registry(program.HANDLERS), short) as app:
        before = await app.enqueue_jobs([(program.steady, None)] * 5)
        poison = await app.enqueue_job(program.crash)
        jobs = [*before, *await app.enqueue_jobs([(program.steady, None)] * 4)]
        worker = crew.start(short)
        while not await all_have_ended(app, [*jobs, poison]):
            await eventually(partial(died_or_done, worker, app, [*jobs, poison]), 40)
            if worker.poll() is not None:
                worker = crew.start(short)

        for job in jobs:
            await job.wait(1)
        with pytest.raises(JobFailed):
            await poison.wait(1)
    assert crew.runs()[poison.job_id] == 2


async def all_have_ended(app: App, jobs: list[Enqueued]) -> bool:
    return all([await has_ended(app, job.job_id) for job in jobs])


async def died_or_done(worker: Popen[bytes], app: App, jobs: list[Enqueued]) -> bool:
    return worker.poll() is not None or await all_have_ended(app, jobs)


class Crowd:
    """How many jobs were at work at once."""

    def __init__(self) -> None:
        self.inside, self.most = 0, 0

    async def work(self, ctx: JobContext) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0.01)  # gives another one the chance to begin
        self.inside -= 1


async def test_a_careful_worker_begins_one_job_at_a_time(settings: MakeSettings) -> None:
    crowd = Crowd()
    handler = make_job(crowd.work, name="work")

    async with at_work(settings(), handler) as site:
        await eventually(partial(is_told, site.app))
        await asyncio.sleep(0.2)  # nothing tells that the worker has heard it
        await site.app.enqueue_jobs([(handler, None)] * 20)
        await eventually(lambda: site.count("job.completed") == 20)

    assert crowd.most == 1


async def is_told(app: App) -> bool:
    """Whether a worker has subscribed, and so was told to be careful."""
    return bool(await app.client.call("PUBLISH", app.queue().keys.signals(), "careful\n1\n"))


async def test_a_worker_that_starts_while_care_is_taken_is_careful(settings: MakeSettings) -> None:
    crowd = Crowd()
    handler = make_job(crowd.work, name="work")

    async with App(Registry([handler]), settings()) as app:
        await app.client.call("SET", app.queue().keys.care(), "1", "PX", 30_000)
        await app.enqueue_jobs([(handler, None)] * 20)
        async with at_work(settings(), handler) as site:
            await eventually(lambda: site.count("job.completed") == 20)

    assert crowd.most == 1


async def test_a_last_claim_waits_until_no_other_job_is_young(settings: MakeSettings) -> None:
    async with App(Registry(), settings()) as app:
        from_before = execution(app, "1")
        active = [from_before]
        care = Care(active)
        suspect = Job("2", "jobs", "work", Envelope(None), JobOptions({}), 0, stalled_count=2)

        assert not care.may_run_last_claim(suspect, Policy())
        assert care.is_taken
        from_before.started_s -= 60
        assert care.may_run_last_claim(suspect, Policy())
        assert Care(active).may_run_last_claim(suspect._replace(stalled_count=1), Policy())
