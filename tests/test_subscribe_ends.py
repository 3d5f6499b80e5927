"""`subscribe` with a reader who is slow, and at the end: of the block, and of the app."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.errors import ClientClosed
from jobqueue.subscriptions import OutcomesMissed
from tests.conftest import MakeSettings
from tests.subscribing import echo, results, run_all
from tests.support.eventually import eventually
from tests.worker.harness import ask, at_work, keys_of

# The reader is slow


async def test_a_slow_reader_gets_what_was_buffered_then_is_told_and_then_what_is_new(settings: MakeSettings) -> None:
    ours = settings()
    async with (
        App(Registry([echo]), ours) as app,
        app.subscribe(handler=echo, buffer=3) as slow,
        app.subscribe(handler=echo) as quick,
    ):
        await run_all(ours, *range(1, 11))
        assert await results(quick, 10) == list(range(1, 11))

        assert await results(slow, 3) == [1, 2, 3]
        with pytest.raises(OutcomesMissed, match="3 outcomes were waiting"):
            await anext(slow)
        await run_all(ours, 11)
        assert await results(slow, 1) == [11]


async def test_large_results_are_not_all_kept_for_a_slow_reader_and_all_are_told_to_a_quick_one(
    settings: MakeSettings,
) -> None:
    four_mib = 4 << 20

    @make_job
    async def draw(ctx: JobContext) -> str:
        return "x" * four_mib

    async with (
        at_work(settings(), draw) as site,
        site.app.subscribe(handler=draw) as slow,
        site.app.subscribe(handler=draw) as quick,
    ):
        for _ in range(18):
            await site.app.enqueue_job(draw)
            assert len(str((await anext(quick)).result)) == four_mib

        kept = await results(slow, 15)
        with pytest.raises(OutcomesMissed, match="15 outcomes were waiting"):
            await anext(slow)
        for _ in range(2):
            await site.app.enqueue_job(draw)
            await anext(quick)
        kept += await results(slow, 2)

    assert {len(str(one)) for one in kept} == {four_mib}


# The end


async def test_closing_the_app_ends_the_iteration_after_what_had_come(settings: MakeSettings) -> None:
    ours = settings()
    app = App(Registry([echo]), ours)
    async with app.subscribe(handler=echo) as outcomes, app.subscribe(handler=echo) as others:
        await run_all(ours, 1)
        await anext(others)
        waiting = asyncio.ensure_future(anext(others))
        await app.close()

        assert await results(outcomes, 1) == [1]
        for _ in range(2):
            with pytest.raises(ClientClosed, match="the app was closed"):
                await anext(outcomes)
        with pytest.raises(ClientClosed):
            await waiting
    with pytest.raises(ClientClosed):
        app.subscribe(handler=echo, queue="other")
    with pytest.raises(ClientClosed):
        await app.subscribe(handler=echo).__aenter__()


async def test_nothing_goes_on_in_the_loop_when_the_app_is_closed(settings: MakeSettings) -> None:
    ours, before = settings(), asyncio.all_tasks()
    async with App(Registry([echo]), ours) as app, app.subscribe(handler=echo), app.subscribe(related=("order", "7")):
        await run_all(ours, 1)

    await eventually(lambda: asyncio.all_tasks() == before, 2)


# What is in the stream may be anything


async def test_foreign_events_are_passed_over(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()
    events = keys_of(ours).of("events")
    async with App(Registry([echo]), ours) as app, app.subscribe(handler=echo) as outcomes:
        await ask(redis, "XADD", events, "*", "hello", "world")
        await ask(redis, "XADD", events, "*", "event", "attempt-failed")
        await ask(redis, "XADD", events, "*", "event", "completed", "jobId", "none", "returnvalue", "{")
        await ask(redis, "XADD", events, "*", "event", "added", "jobId", "meta", "name", "echo")
        await ask(redis, "XADD", events, "*", "event", "attempt-failed", "jobId", "meta", "delay", "-1", "attempt", "x")
        await run_all(ours, 1)

        odd = await anext(outcomes)
        assert (odd.job_id, odd.state, odd.failed_reason) == ("meta", "retried", "")
        assert (odd.attempt, odd.delay_ms) == (None, None)
        assert await results(outcomes, 1) == [1]
