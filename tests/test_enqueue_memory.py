"""A million jobs from a generator take the memory of a few thousand."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from redis.asyncio import Redis

from jobqueue import App, EnqueuedJobs, Handler, JobContext, Registry, make_job
from jobqueue.bulk import BATCH
from jobqueue.packing import pack_entries
from jobqueue.transitions import Added
from jobqueue.wire import NewJob
from tests.conftest import MakeSettings


@dataclass(eq=False)
class Report:
    number: int
    text: str = ""


@make_job
async def send_report(ctx: JobContext, payload: Report) -> None: ...


async def test_a_generators_payloads_are_never_all_in_memory(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    alive: WeakSet[Report] = WeakSet()
    most = 0

    def reports() -> Iterator[tuple[Handler[Any], Report]]:
        nonlocal most
        for number in range(20 * BATCH):
            report = Report(number)
            alive.add(report)
            most = max(most, len(alive))
            yield send_report, report

    async with App(Registry([send_report]), settings()) as app:
        results = await app.enqueue_jobs(reports())

    assert await redis.llen(f"{prefix}:jobs:wait") == len(results) == 20 * BATCH
    assert most <= BATCH


async def test_large_payloads_make_smaller_batches(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    """A thousand payloads of a megabyte would be a gigabyte in one write."""
    stored: list[int] = []
    jobs = ((send_report, Report(number, "x" * 500_000)) for number in range(40))

    async with App(Registry([send_report]), settings()) as app:
        await app.enqueue_jobs(jobs, on_progress=stored.append)

    assert stored == [8, 16, 24, 32, 40]


async def test_progress_tells_how_many_are_stored_after_each_batch(settings: MakeSettings) -> None:
    stored: list[int] = []

    async with App(Registry([send_report]), settings()) as app:
        await app.enqueue_jobs(((send_report, Report(n)) for n in range(2 * BATCH + 5)), on_progress=stored.append)

    assert stored == [BATCH, 2 * BATCH, 2 * BATCH + 5]


def test_a_hundred_thousand_answers_take_less_than_three_megabytes() -> None:
    job = NewJob("jobs", "send", "{}", None, 0, 0, 0, pack_entries({}))
    answers = EnqueuedJobs()

    tracemalloc.start()
    for number in range(100_000):
        answers.append(job, Added(str(number)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 3_000_000
    assert (answers[99_999].job_id, answers[-1].name, len(answers[10:20])) == ("99999", "send", 10)


def test_answers_tell_the_job_that_each_superseded() -> None:
    job = NewJob("jobs", "sync", "{}", None, 0, 0, 0, pack_entries({}), lane="r1")
    answers = EnqueuedJobs()

    answers.append(job, Added("1"))
    answers.append(job, Added("2", superseded="1"))

    assert [answer.superseded for answer in answers] == [None, "1"]
