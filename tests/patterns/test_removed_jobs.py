"""Jobs that another tool removes: what is left of them must not decide over a later job of the same id."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job, make_superseding_job
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, own_keys, serving
from tests.support.foreign import remove


@make_superseding_job(dedupe_key=lambda payload: payload)
async def sync(ctx: JobContext, payload: str) -> str:
    return "synced"


async def obliterate(redis: Redis, prefix: str) -> None:
    """As Node's `queue.obliterate()`: BullMQ's keys go, the counter of ids among them; it knows nothing of ours."""
    ours = await own_keys(redis, prefix)
    everything = [str(key) for key in await redis.keys(f"{prefix}:jobs:*")]
    await redis.delete(*(key for key in everything if key.removeprefix(f"{prefix}:jobs:") not in ours))


async def test_the_mark_of_a_removed_job_does_not_end_the_next_job_of_its_id(settings: MakeSettings) -> None:
    """`x` was superseded by `y` and then removed by a BullMQ tool, which left its mark. A new `x` took the lane, as
    the last that was enqueued, and marked `y`; at pick-up it found the old mark. Neither of the two ever ran.
    """
    async with App(Registry([sync]), settings()) as app:
        await app.enqueue_job(sync, "lane", job_id="x")
        assert (await app.enqueue_job(sync, "lane", job_id="y")).superseded == "x"
        await remove(app, "x")
        again = await app.enqueue_job(sync, "lane", job_id="x")
        assert (again.created, again.superseded) == (True, "y")

        async with serving(app):
            assert await again.wait(WAIT_S) == "synced"


async def test_marks_from_before_the_queue_was_obliterated_end_no_job(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """Obliterating a queue begins its ids at 1 again. The marks of the jobs before stayed, so that new jobs, each
    the only one of its lane, completed as superseded by jobs which had nothing to do with them.
    """
    async with App(Registry([sync]), settings()) as app:
        for _ in range(4):
            await app.enqueue_job(sync, "lane")
        await obliterate(redis, prefix)
        jobs = [await app.enqueue_job(sync, f"lane {number}") for number in range(6)]
        assert [job.job_id for job in jobs] == list("123456")

        async with serving(app):
            assert [await job.wait(WAIT_S) for job in jobs] == ["synced"] * 6

    assert await own_keys(redis, prefix) <= {"job:lane:sync:lane"}, "no mark is left"


async def test_a_later_job_of_the_id_of_a_removed_one_is_not_taken_for_it(settings: MakeSettings) -> None:
    """`x` was about channel 42 and was removed by a tool, then `x` was a job about another: it made jobs about 42
    duplicates, and was superseded by jobs of a lane that was not its own.
    """

    @make_job(duplicates="reject")
    async def top_up(ctx: JobContext) -> None: ...

    async with App(Registry([sync, top_up]), settings()) as app:
        await app.enqueue_job(top_up, related=("channel", "42"), job_id="x")
        await remove(app, "x")
        await app.enqueue_job(sync, "lane", job_id="y")
        await remove(app, "y")
        await another_moment()
        await app.enqueue_job(top_up, related=("channel", "43"), job_id="x")
        await app.enqueue_job(sync, "another lane", job_id="y")

        assert (await app.enqueue_job(top_up, related=("channel", "42"))).created
        assert (await app.enqueue_job(sync, "lane")).superseded is None


async def another_moment() -> None:
    """A job's time tells it from another of its id, so let it be another millisecond."""
    await asyncio.sleep(0.002)


async def test_a_job_that_was_not_removed_keeps_its_mark(settings: MakeSettings) -> None:
    """Adding the same id twice adds nothing, so it must not take the mark off either."""
    async with App(Registry([sync]), settings()) as app:
        first = await app.enqueue_job(sync, "lane", job_id="x")
        second = await app.enqueue_job(sync, "lane", job_id="y")
        assert not (await app.enqueue_job(sync, "lane", job_id="x")).created

        async with serving(app):
            assert await first.wait(WAIT_S) == {"superseded": True, "by": "y"}
            assert await second.wait(WAIT_S) == "synced"


async def test_a_delayed_job_has_no_place_of_a_removed_one_of_its_id(settings: MakeSettings) -> None:
    """`x` was about to run in the only place of its limit when a tool removed it. A new `x`, in an hour, was taken for
    the one that held the place, so that no other job ran until then.
    """

    @make_job(concurrency=1)
    async def call(ctx: JobContext) -> str:
        return "called"

    async with App(Registry([call]), settings()) as app:
        await app.enqueue_job(call, job_id="x")
        parked = await app.enqueue_job(call)
        await remove(app, "x")
        await app.enqueue_job(call, job_id="x", delay_ms=3_600_000)

        assert await app.client.call("ZRANGEBYSCORE", app.queue().keys.limit("call", ""), 0, 0) == [parked.job_id]
        async with serving(app):
            assert await parked.wait(WAIT_S) == "called"
