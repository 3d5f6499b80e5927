"""A slot's token outlives its jobs: what is lost under it must reach the job that lost it, and no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count

from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.context import AbortReason
from jobqueue.events import Event
from jobqueue.job import Envelope, Job, JobOptions
from jobqueue.policy import Policy
from jobqueue.transitions import Claimant
from jobqueue.worker.active import LOCK_LOST, ActiveJobs
from jobqueue.worker.execution import Execution
from jobqueue.worker.fetcher import JobSlot
from jobqueue.worker.journal import Journal
from jobqueue.worker.marks import MarkPoll
from jobqueue.worker.renewer import Renewer
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import ask, at_work, keys_of

LOCK_MS = 2_000  # a busy machine may keep the renewer from its turn for a second
ROUND_S = LOCK_MS / 2000
"""A lock is renewed at half its life."""


async def nothing(ctx: JobContext) -> None: ...


# A worker at work


async def test_a_renewal_in_the_middle_of_a_busy_drain_fails_no_job(settings: MakeSettings, redis: Redis) -> None:
    """What a slot runs was found by the slot's token. The renewer's thread saw a lock that was gone because its job
    had just completed, and told "the lock of the job was lost" to whatever ran under that token by then: the next
    job, whose lock was fine. Some three healthy jobs a round failed at 100 slots, each for good at `attempts=1`.
    """
    handler = make_job(nothing, attempts=1)
    ours = settings(worker_concurrency=100, worker_lock_ms=LOCK_MS)
    loop = asyncio.get_running_loop()
    job_ids: list[str] = []

    def few_are_left() -> bool:
        return site.count("job.started") >= len(job_ids) - 250

    async with at_work(ours, handler) as site:
        until_s = loop.time() + 5 * ROUND_S
        while loop.time() < until_s:
            job_ids += [job.job_id for job in await site.app.enqueue_jobs((handler, None) for _ in range(500))]
            await eventually(few_are_left)
        await eventually(lambda: site.count("job.started") == len(job_ids), 20)

    assert len(job_ids) >= 1_000
    assert await ask(redis, "ZRANGE", keys_of(ours).of("failed"), 0, -1) == []
    assert (site.count("job.fenced"), site.count("job.retried")) == (0, 0)


async def test_a_job_that_begins_while_the_end_of_the_one_before_is_news_is_not_stopped(
    settings: MakeSettings, redis: Redis
) -> None:
    """The same, with no luck needed: two jobs end in one moment, and whoever listens to the first end keeps the loop
    busy over a whole renewal round. The second job's lock is gone by then, in good order, but its slot has not read
    that yet; the job which that slot fetched was stopped in its place.
    """
    both_may_end = asyncio.Event()
    ended = count()

    async def work(ctx: JobContext, waits: bool) -> str:
        if waits:
            await both_may_end.wait()
        return "done"

    def dawdle(event: Event) -> None:
        if event.name == "job.completed" and next(ended) == 0:
            time.sleep(1.5 * ROUND_S)  # the subject: a listener that blocks the loop over a renewal

    handler = make_job(work, attempts=1)
    ours = settings(worker_concurrency=2, worker_lock_ms=LOCK_MS)

    async with at_work(ours, handler) as site:
        site.app.events.subscribe(dawdle)
        first = [await site.app.enqueue_job(handler, payload) for payload in (True, True)]
        await eventually(lambda: site.count("job.started") == 2)
        following = [await site.app.enqueue_job(handler, payload) for payload in (False, False)]
        both_may_end.set()

        ends = [await site.end_of(job.job_id) for job in (*first, *following)]

    assert ends == [("completed", '"done"')] * 4


async def test_what_is_told_late_reaches_its_own_execution_and_not_the_next(settings: MakeSettings) -> None:
    """A thread's word waits in the loop's queue; by the time that it is read the slot may run another job."""
    async with App(Registry([]), settings()) as app:
        first, second = execution(app, "1"), execution(app, "2")

    await asyncio.to_thread(first.stop_from_thread, AbortReason("lock_lost", "the lock of the job was lost"))
    await asyncio.sleep(0)  # one turn: the loop reads what the thread said

    assert first.reason == AbortReason("lock_lost", "the lock of the job was lost")
    assert second.reason is None


# Locks


async def test_a_job_that_has_ended_since_the_round_began_is_not_told(settings: MakeSettings) -> None:
    """A round takes its list, asks Redis, and hears that a lock is gone. Where the job has ended meanwhile nothing
    was lost, and nobody is told.
    """
    async with App(Registry([]), settings()) as app:
        second, third = execution(app, "2"), execution(app, "3")
        with renewing(app) as active:

            class EndsTheSecond(Execution):
                """In the round that has found both locks gone, before it comes to the second."""

                def stop_from_thread(self, reason: AbortReason) -> None:
                    active.discard(second)
                    super().stop_from_thread(reason)

            first = execution(app, "1", kind=EndsTheSecond)
            active.add(first)
            active.add(second)
            await eventually(lambda: first.reason is not None)
            active.add(third)
            await eventually(lambda: third.reason is not None)  # a later round: the one before is wholly over

    assert second.reason is None


async def test_an_older_run_of_the_same_job_is_lost_and_the_newer_one_lives(
    settings: MakeSettings, redis: Redis
) -> None:
    """After an outage longer than its lock a worker may claim the job again that one of its slots still holds.
    Redis names lost locks by job, so both runs were dropped: the good one was stopped, and its lock ran out.
    """
    async with App(Registry([]), settings()) as app:
        older, newer = execution(app, "1", token="older"), execution(app, "1", token="newer")
        lock = app.queue().keys.job_lock("1")
        await ask(redis, "SET", lock, "newer", "PX", 600_000)

        with renewing(app) as active:
            active.add(older)
            active.add(newer)
            for _ in range(2):
                await eventually(lambda: is_renewed(redis, lock))
                await ask(redis, "PEXPIRE", lock, 600_000)

    assert older.reason == LOCK_LOST
    assert newer.reason is None


async def test_the_end_of_an_older_run_leaves_the_newer_one_its_lock(settings: MakeSettings, redis: Redis) -> None:
    """The older run ends after the newer one has begun; its end must not end the renewal of the other."""
    async with App(Registry([]), settings()) as app:
        older, newer = execution(app, "1", token="older"), execution(app, "1", token="newer")
        lock = app.queue().keys.job_lock("1")
        await ask(redis, "SET", lock, "newer", "PX", 600_000)

        with renewing(app) as active:
            active.add(older)
            active.add(newer)
            active.discard(older)

            assert newer in active
            await eventually(lambda: is_renewed(redis, lock))


async def test_a_mark_reaches_the_latest_run_of_its_job_though_an_earlier_one_has_ended(settings: MakeSettings) -> None:
    """Watches were kept by job id: where a job was claimed again while its first run was still at work, the end of
    the first ended the watch of the second, which then never heard that it was superseded.
    """
    async with App(Registry(), settings()) as app:
        active = ActiveJobs(app.queue().keys)
        first, second = execution(app, "1", "first"), execution(app, "1", "second")
        active.add(first)
        active.add(second)
        active.discard(first)
        await app.client.call("SET", app.queue().keys.superseded("1"), "9")

        await MarkPoll(app.queue(), active).tick()

        assert second.reason is not None
        assert second.reason.by == "9"


def execution(app: App, job_id: str, token: str = "mine", kind: type[Execution] = Execution) -> Execution:
    job = Job(job_id, "jobs", "work", Envelope(None), JobOptions({}), 0)
    slot = JobSlot(Claimant(token, "worker", LOCK_MS), lambda: True, lambda slot, fetched: None)
    return kind(job, Policy(), slot, Journal(app.queue(), job_id, "token", 10, lambda error: None))


async def is_renewed(redis: Redis, lock: str) -> bool:
    """A lock that is renewed lives on for as long as the renewer gives it: no longer the minutes that it had."""
    remaining_ms: int = await ask(redis, "PTTL", lock)
    return 0 < remaining_ms <= 1_000


@contextmanager
def renewing(app: App) -> Generator[ActiveJobs]:
    """Jobs that are followed by a renewer whose rounds are short; it ends with the block."""
    active = ActiveJobs(app.queue().keys)
    renewer = Renewer(app.locator, lock_ms=400)
    renewer.follow(active)
    renewer.start()
    try:
        yield active
    finally:
        renewer.stop()
