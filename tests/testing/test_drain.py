"""Draining: everything that may run now is run by a real worker, and nothing before its time."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, JobFailed, RedisUnavailable, Registry, WaitForChildren, enqueue_job, make_job
from jobqueue.events import Event
from jobqueue.testing import DrainTimeout, Jobs, KitError
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.testing import shop
from tests.testing.shop import hang, later, order, place_order, post, send_mail, sync_order, total, undecided


async def test_a_drain_runs_also_what_jobs_enqueue_and_nothing_before_its_time(jobs: Jobs) -> None:
    await enqueue_job(place_order, order("7"))

    drained = await jobs.drain()

    assert sorted(run.name for run in drained.completed) == ["placeOrder", "sendMail", "sendMail"]
    assert sorted(run.result for run in drained.of(send_mail).completed) == ["mail about 7", "mail about 7-copy"]
    [waiting] = await jobs.enqueued()
    assert (waiting.name, waiting.state, waiting.delay_ms) == ("sendMail", "delayed", 300_000)

    jobs.clock.move(milliseconds=299_999)
    assert (await jobs.drain()).runs == ()
    jobs.clock.move(milliseconds=1)
    assert len((await jobs.drain()).completed) == 1
    assert await jobs.enqueued() == ()


async def test_a_failure_is_raised_as_the_handler_raised_it_and_waits_in_backoff(jobs: Jobs) -> None:
    first = await enqueue_job(send_mail, order("lost"), attempts=2)
    second = await enqueue_job(send_mail, order("lost"), attempts=1)

    with pytest.raises(LookupError, match="there is no order lost") as raised:
        await jobs.drain()

    assert raised.value.__notes__ == [
        f"raised by sendMail {first.job_id}, which is tried again",
        f"and sendMail {second.job_id}, which failed: there is no order lost",
    ]
    assert raised.traceback[-1].name == "send_mail"
    [waiting] = await jobs.enqueued(send_mail)
    assert (waiting.job_id, waiting.attempts_made, waiting.run_at) == (first.job_id, 1, jobs.clock.move(minutes=1))

    drained = await jobs.drain(with_failures=True)
    assert [(run.job_id, run.reason) for run in drained.failed] == [(first.job_id, "there is no order lost")]
    assert isinstance(drained.failed[0].error, LookupError)


async def test_what_fails_without_an_error_of_its_own_is_raised_as_its_reason(jobs: Jobs) -> None:
    other = make_job(lambda ctx: None, name="elsewhere")
    await enqueue_job(other)

    with pytest.raises(JobFailed, match="unknown handler 'elsewhere'"):
        await jobs.drain()


async def test_a_job_that_snoozes_runs_when_the_clock_is_moved(jobs: Jobs) -> None:
    await enqueue_job(later)

    assert len((await jobs.drain()).postponed) == 1
    assert (await jobs.drain()).runs == ()
    jobs.clock.move(seconds=1)
    assert len((await jobs.drain()).postponed) == 1


async def test_jobs_for_another_queue_are_run_too_but_not_those_of_a_paused_one(jobs: Jobs, redis: Redis) -> None:
    await enqueue_job(send_mail, order("1"), queue="elsewhere")
    await enqueue_job(send_mail, order("2"))
    await redis.hset(f"{jobs.settings.jobs_prefix}:jobs:meta", "paused", "1")

    drained = await jobs.drain()

    assert [run.queue for run in drained.runs] == ["elsewhere"]
    await jobs.assert_enqueued(send_mail, order("2"), count=1)


async def test_of_two_jobs_of_a_moment_the_newer_supersedes_the_older(jobs: Jobs) -> None:
    older = await enqueue_job(sync_order, order("1"))
    newer = await enqueue_job(sync_order, order("1"))

    drained = await jobs.drain()

    assert [run.job_id for run in drained.superseded] == [older.job_id]
    assert [run.job_id for run in drained.completed] == [newer.job_id]


async def test_a_job_that_waits_for_its_children_ends_in_the_same_drain(jobs: Jobs) -> None:
    await enqueue_job(total)

    drained = await jobs.drain()

    first, last = drained.of(total).runs
    assert first.outcome in ("waiting_children", "postponed")  # the latter where the child ended before it could wait
    assert (last.outcome, last.result) == ("completed", ["mail about 1"])


async def test_a_parent_that_snoozes_is_not_hurried_and_nobody_with_it(jobs: Jobs) -> None:
    """The drain moved the clock for parents that a worker had put off for a moment, and what was due by then ran."""
    before = jobs.clock.now()
    await enqueue_job(undecided)
    await enqueue_job(send_mail, order("2"), delay_ms=40)

    drained = await jobs.drain()

    assert jobs.clock.now() == before
    assert [run.name for run in drained.completed] == ["sendMail"]
    assert sorted(job.name for job in await jobs.enqueued()) == ["sendMail", "undecided"]


async def test_a_parent_that_began_to_wait_when_its_children_had_ended_goes_on_in_the_same_drain(
    redis_url: str,
) -> None:
    """A worker puts such a parent off for a moment, and whether it comes to that is chance."""

    @make_job(name="dawdle")
    async def dawdle(ctx: JobContext) -> int:
        if not await ctx.children():
            await ctx.enqueue_child(send_mail, order("1"))
            await eventually(ctx.children)
            raise WaitForChildren
        return len(await ctx.children())

    registry = Registry([send_mail, dawdle])
    async with Jobs(registry, redis_url=redis_url, resources=shop.resources()) as jobs:
        await enqueue_job(dawdle)
        drained = await jobs.drain()

        assert sorted((run.name, run.result) for run in drained.completed) == [
            ("dawdle", 1),
            ("sendMail", "mail about 1"),
        ]
        assert await jobs.enqueued() == ()


async def test_a_listener_hears_of_what_handlers_enqueue_in_a_drain(jobs: Jobs) -> None:
    """The worker of a drain has an App of its own, whose enqueuer kept events that nobody could hear."""
    heard: list[Event] = []
    jobs.app.events.subscribe(heard.append)
    await enqueue_job(place_order, order("7"))

    await jobs.drain()

    told = [event.handler for event in heard if event.name == "job.enqueued"]
    assert sorted(map(str, told)) == ["placeOrder", "sendMail", "sendMail", "sendMail"]


async def test_handlers_are_handed_the_resources_of_the_test(redis_url: str) -> None:
    resources = shop.resources()
    async with Jobs(shop.registry_without_cron, redis_url=redis_url, resources=resources) as jobs:
        await enqueue_job(post, order("9"))
        await jobs.drain()

    assert resources[shop.Mailbox].sent == ["9"]


async def test_a_drain_ends_in_time_and_names_what_still_runs_and_what_waits(jobs: Jobs) -> None:
    stuck = await enqueue_job(hang)

    with pytest.raises(DrainTimeout) as raised:
        await jobs.drain(timeout_s=0.5)

    told, runs = str(raised.value).splitlines()
    assert told.startswith("not drained after 0.")
    assert told.endswith(" s, in which 0 tries have ended")
    assert runs.startswith("  runs for 0.")
    assert runs.endswith(f" s: hang {stuck.job_id} in 'jobs', active: null")
    assert [job.state for job in await jobs.enqueued(hang)] == ["waiting"]


async def test_a_job_that_enqueues_itself_without_end_does_not_hang_the_test(jobs: Jobs) -> None:
    await enqueue_job("again")

    with pytest.raises(DrainTimeout, match=r"in which \d+ tries have ended"):
        await jobs.drain(timeout_s=0.3)


async def test_a_drain_inside_a_job_or_another_drain_is_refused(redis_url: str) -> None:
    refused: list[str] = []

    async def drain_inside(ctx: JobContext) -> None:
        try:
            await jobs.drain()
        except KitError as error:
            refused.append(str(error))

    inside = make_job(drain_inside, name="inside")
    async with Jobs(Registry([inside]), redis_url=redis_url) as jobs:
        enqueued = await enqueue_job(inside)
        _, second = await asyncio.gather(jobs.drain(), jobs.drain(), return_exceptions=True)

    assert refused == [f"drain was called by a job (inside {enqueued.job_id}), which it would wait for"]
    assert str(second) == "another drain of these jobs has not ended; await that one first"


async def test_a_redis_that_is_killed_in_the_middle_ends_the_drain(own_redis: RedisServer) -> None:
    async def kill(ctx: JobContext) -> None:
        own_redis.kill()

    killer = make_job(kill, name="killer")
    async with Jobs(Registry([killer]), redis_url=own_redis.url) as jobs:
        await enqueue_job(killer)

        with pytest.raises(RedisUnavailable):
            await jobs.drain()
        with pytest.raises(RedisUnavailable):
            await jobs.drain()
