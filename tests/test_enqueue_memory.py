"""A million jobs from a generator take the memory of a few thousand."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import pytest
from redis.asyncio import Redis

from jobqueue import App, EnqueuedJobs, Handler, JobContext, Registry, make_job
from jobqueue.bulk import BATCH
from jobqueue.packing import pack_entries
from jobqueue.transitions import Added
from jobqueue.wire import NewJob
from tests.conftest import MakeSettings
from tests.support.redis_server import RedisServer


@dataclass(eq=False)
class Report:
    number: int
    text: str = ""


async def send(ctx: JobContext, payload: Report) -> None: ...


send_report = make_job(send, name="sendReport")


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

    async with App(Registry([send_report]), settings(jobs_max_queue_depth=100_000)) as app:
        results = await app.enqueue_jobs(reports())

    assert await redis.llen(f"{prefix}:jobs:wait") == len(results) == 20 * BATCH
    assert most <= BATCH, "what has been encoded is let go"


async def test_answers_and_jobs_keep_their_order_over_several_queues(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """The queues of a batch were served one after another, while the next batch was on its way already: its jobs came
    before those of the one before, and answers were given for other items than theirs.
    """
    first, second = (make_job(send, name=name, queue=name) for name in ("first", "second"))
    jobs = [(first if number < BATCH // 2 else second, Report(number)) for number in range(4 * BATCH)]

    async with App(Registry([first, second]), settings()) as app:
        results = await app.enqueue_jobs(iter(jobs))

    assert [result.queue for result in results] == [handler.name for handler, _ in jobs]
    for queue, name in ((result.queue, result.queue) for result in (results[0], results[-1])):
        ids = [result.job_id for result in results if result.queue == queue]
        assert ids == [str(number + 1) for number in range(len(ids))]
        numbers = [
            json.loads(str(await redis.hget(f"{prefix}:{name}:{job_id}", "data")))["payload"]["number"]
            for job_id in (ids[0], ids[len(ids) // 2], ids[-1])
        ]
        assert numbers == sorted(numbers)


async def test_scripts_that_are_flushed_meanwhile_cost_no_job_and_repeat_none(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """Their texts travel ahead of a batch, but a flush may come between: what followed it was refused, and raised."""
    async with App(Registry([send_report]), settings(redis_url=own_redis.url)) as app:
        other = app.new_client()

        async def flush() -> None:
            while True:
                await other.call("SCRIPT", "FLUSH")
                await asyncio.sleep(0.005)  # the subject: again and again

        flushing = asyncio.create_task(flush())
        results = await app.enqueue_jobs((send_report, Report(number)) for number in range(5 * BATCH))
        flushing.cancel()
        await asyncio.wait({flushing})
        await other.close()

        assert len({result.job_id for result in results}) == 5 * BATCH
        assert await app.client.call("LLEN", app.queue().keys.of("wait")) == 5 * BATCH


async def test_a_caller_that_gives_up_leaves_nothing_behind(settings: MakeSettings, own_redis: RedisServer) -> None:
    async with App(Registry([send_report]), settings(redis_url=own_redis.url)) as app:
        await app.client.call("PING")
        before = asyncio.all_tasks()
        own_redis.pause()
        storing = asyncio.create_task(app.enqueue_jobs((send_report, Report(n)) for n in range(5 * BATCH)))
        await asyncio.wait({storing}, timeout=0.5)  # batches are on their way, and nobody answers
        storing.cancel()
        await asyncio.wait({storing})
        own_redis.resume()

        assert storing.cancelled()
        assert asyncio.all_tasks() == before


async def test_an_error_in_the_middle_tells_how_many_jobs_are_stored(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    def jobs() -> Iterator[tuple[Handler[Any], Report]]:
        for number in range(2 * BATCH + 10):
            yield send_report, Report(number)
        raise LookupError("the file has ended in the middle of a line")

    async with App(Registry([send_report]), settings()) as app:
        with pytest.raises(LookupError) as told:
            await app.enqueue_jobs(jobs())

    stored = await redis.llen(f"{prefix}:jobs:wait")
    assert stored == 2 * BATCH
    assert told.value.__notes__ == [f"{stored} jobs were stored before or beside this one"]


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
    job = NewJob("jobs", "sync", "{}", None, 0, 0, 0, pack_entries({}))
    answers = EnqueuedJobs()

    answers.append(job, Added("1"))
    answers.append(job, Added("2", superseded="1"))

    assert [answer.superseded for answer in answers] == [None, "1"]
