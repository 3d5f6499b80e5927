"""Time: it stands still and goes on by hand, and what is due by it runs in the next drain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobqueue import JobContext, Registry, clock, cron_job, enqueue_job, make_job, register_cron_jobs, scheduler
from jobqueue.testing import HandClock, Jobs
from tests.testing import shop
from tests.testing.shop import order, report, send_mail


async def test_the_times_of_jobs_follow_the_clock(jobs: Jobs) -> None:
    moment = jobs.clock.move_to(datetime(2031, 1, 1, tzinfo=UTC))

    await enqueue_job(send_mail, order("1"), expires_in_ms=60_000)
    await enqueue_job(send_mail, order("2"), run_at=moment + timedelta(days=1))

    first, second = await jobs.enqueued(send_mail)
    assert (first.enqueued_at, first.run_at, first.expires_at) == (moment, moment, moment + timedelta(minutes=1))
    assert second.run_at == moment + timedelta(days=1)
    jobs.clock.move(days=1)
    drained = await jobs.drain(with_failures=True)
    assert [(run.job_id, run.reason) for run in drained.failed] == [(first.job_id, "Expired")]
    assert [run.job_id for run in drained.completed] == [second.job_id]


async def test_the_clock_stands_still_for_the_whole_process_and_only_while_the_jobs_are_open(redis_url: str) -> None:
    async with Jobs(shop.registry_without_cron, redis_url=redis_url) as jobs:
        moved = jobs.clock.move(days=10)
        assert clock.now_ms() == jobs.clock.now_ms() == moved.timestamp() * 1000

    assert clock.now_ms() < moved.timestamp() * 1000


def test_the_clock_goes_neither_back_nor_to_a_moment_without_a_zone() -> None:
    hand = HandClock()
    tomorrow = hand.now() + timedelta(days=1)
    with pytest.raises(ValueError, match=r"the clock only goes on: .* is 0:00:01 before its"):
        hand.move(seconds=-1)
    with pytest.raises(ValueError, match="a moment needs a time zone"):
        hand.move_to(tomorrow.replace(tzinfo=None))
    assert hand.move(days=1, milliseconds=0.5) == hand.now()


def test_one_clock_at_a_time_is_told_to_the_process() -> None:
    with (
        clock.told_by(lambda: 1),
        pytest.raises(RuntimeError, match="one clock at a time"),
        clock.told_by(lambda: 2),
    ):
        raise AssertionError("two clocks")
    assert clock.now_ms() > 1


async def test_a_rate_follows_the_clock(redis_url: str) -> None:
    @make_job(name="slow", rate_limit=(1, 60_000))
    async def slow(ctx: JobContext) -> None: ...

    async with Jobs(Registry([slow]), redis_url=redis_url) as jobs:
        for _ in range(2):
            await enqueue_job(slow)
        assert len((await jobs.drain()).completed) == 1
        jobs.clock.move(seconds=59)
        assert (await jobs.drain()).runs == ()
        jobs.clock.move(seconds=1)
        assert len((await jobs.drain()).completed) == 1


async def test_each_drain_runs_a_slot_of_a_seeded_cron_job_that_is_due(redis_url: str) -> None:
    async with Jobs(shop.registry, redis_url=redis_url) as jobs:
        [slot] = await jobs.enqueued(report)
        assert (slot.run_at.hour, slot.run_at.minute) == (3, 0)
        assert (await jobs.drain()).runs == ()

        jobs.clock.move_to(slot.run_at)
        [run] = (await jobs.drain()).completed
        assert isinstance(run.result, int)
        [following] = await jobs.enqueued(report)
        assert following.run_at == slot.run_at + timedelta(days=1)

        jobs.clock.move(days=3, hours=1)  # three slots are due: one runs, and the next is to come
        assert len((await jobs.drain()).completed) == 1
        [following] = await jobs.enqueued(report)
        assert following.run_at == slot.run_at + timedelta(days=4)


async def test_a_slot_of_a_cron_job_is_missed_by_the_clock(redis_url: str) -> None:
    told: list[str] = []

    @make_job(name="tell")
    async def tell(ctx: JobContext) -> None:
        assert ctx.cron is not None
        told.append(ctx.cron.expression)

    async with Jobs(Registry([tell]), redis_url=redis_url) as jobs:
        await register_cron_jobs([cron_job("hourly", "0 * * * *", tell, misfire="skip")])
        [slot] = await jobs.enqueued(tell)

        jobs.clock.move_to(slot.run_at)
        assert len((await jobs.drain()).completed) == 1
        jobs.clock.move(hours=1, minutes=2)  # two minutes late
        assert len((await jobs.drain()).skipped) == 1
        jobs.clock.move(minutes=58)
        assert len((await jobs.drain()).completed) == 1

    assert told == ["0 * * * *", "0 * * * *"]


async def test_a_cron_job_that_is_made_after_the_clock_was_moved_has_a_first_slot_by_the_real_time(
    redis_url: str,
) -> None:
    async with Jobs(shop.registry_without_cron, redis_url=redis_url) as jobs:
        began = jobs.clock.now()
        jobs.clock.move(days=30)
        await scheduler.add("again", "0 * * * *")

        [slot] = await jobs.enqueued("again")

    assert slot.run_at <= began + timedelta(hours=2)
