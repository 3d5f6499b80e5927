"""`subscribe` when Redis is away, or its stream shorter than what happened: nothing is lost in silence."""

from __future__ import annotations

import asyncio
import logging

import pytest

from jobqueue import App, Registry
from jobqueue.settings import Settings
from jobqueue.subscriptions import OutcomesMissed
from tests.conftest import MakeSettings
from tests.subscribing import behind_a_proxy, cut_off, echo, rejoin, results, run_all, somebody_reads
from tests.support.redis_server import RedisServer
from tests.worker.harness import ask, at_work, keys_of

# Redis is away


async def test_what_ends_while_the_subscriber_is_cut_off_is_told_when_he_is_back(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    ours = settings(redis_url=own_redis.url)
    async with behind_a_proxy(own_redis, ours) as (proxy, app), app.subscribe(handler=echo) as outcomes:
        await run_all(ours, 1)
        assert await results(outcomes, 1) == [1]
        await cut_off(proxy, own_redis)
        await run_all(ours, 2, 3)
        rejoin(proxy)
        await run_all(ours, 4)

        assert sorted(map(str, await results(outcomes, 3))) == ["2", "3", "4"]


async def test_a_subscription_outlives_a_restart_of_redis(settings: MakeSettings, own_redis: RedisServer) -> None:
    ours = settings(redis_url=own_redis.url)
    async with App(Registry([echo]), ours) as app, app.subscribe(handler=echo) as outcomes:
        await run_all(ours, 1)
        assert await results(outcomes, 1) == [1]
        await somebody_reads(own_redis)
        await asyncio.to_thread(own_redis.kill)
        await asyncio.to_thread(own_redis.start)
        await run_all(ours, 2)

        assert await results(outcomes, 1) == [2]


async def test_who_subscribes_while_redis_is_away_listens_once_it_is_back(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    ours = settings(redis_url=own_redis.url)
    await asyncio.to_thread(own_redis.kill)
    async with App(Registry([echo]), ours) as app:
        entering = asyncio.ensure_future(app.subscribe(handler=echo).__aenter__())
        await asyncio.to_thread(own_redis.start)
        outcomes = await asyncio.wait_for(entering, 10)
        await run_all(ours, 1)

        assert await results(outcomes, 1) == [1]


async def test_who_gives_up_entering_leaves_nothing_behind(settings: MakeSettings, own_redis: RedisServer) -> None:
    ours = settings(redis_url=own_redis.url)
    async with App(Registry([echo]), ours) as app:
        await asyncio.to_thread(own_redis.kill)
        outcomes = app.subscribe(handler=echo)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await outcomes.__aenter__()
        await asyncio.to_thread(own_redis.start)
        async with app.subscribe(handler=echo) as others:
            await run_all(ours, 1)

            assert await results(others, 1) == [1]
            assert [one async for one in outcomes] == []


# The stream is shorter than what happened


async def test_who_may_have_missed_outcomes_is_told_so_in_their_place_and_goes_on(
    settings: MakeSettings, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    ours = settings(redis_url=own_redis.url)
    async with behind_a_proxy(own_redis, ours) as (proxy, app), app.subscribe(handler=echo) as outcomes:
        await run_all(ours, 1)
        await cut_off(proxy, own_redis)
        await run_all(ours, 2)
        await trim(own_redis, ours)
        await run_all(ours, 3)
        with caplog.at_level(logging.WARNING, "jobqueue.stream"):
            rejoin(proxy)

            assert await results(outcomes, 1) == [1]
            with pytest.raises(OutcomesMissed, match="trimmed"):
                await anext(outcomes)
            assert await results(outcomes, 1) == [3]

    assert "may have been trimmed before they were read" in caplog.text


async def trim(server: RedisServer, ours: Settings) -> None:
    async with server.client() as client:
        await ask(client, "XTRIM", keys_of(ours).of("events"), "MAXLEN", 0)


async def test_a_queue_whose_first_events_were_trimmed_before_they_were_read_is_told_of(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """There is no last event of which one could say that it is no longer there."""
    ours = settings(redis_url=own_redis.url)
    async with behind_a_proxy(own_redis, ours) as (proxy, app), app.subscribe(handler=echo) as outcomes:
        await cut_off(proxy, own_redis)
        await run_all(ours, 1)
        await trim(own_redis, ours)
        await run_all(ours, 2)
        rejoin(proxy)

        with pytest.raises(OutcomesMissed):
            await anext(outcomes)
        assert await results(outcomes, 1) == [2]


async def test_a_queue_that_was_wiped_is_told_of_and_what_comes_after_is_heard(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """The new stream may number its events lower, where the clock was set back or another server took over."""
    ours = settings(redis_url=own_redis.url)
    events = keys_of(ours).of("events")
    async with App(Registry([echo]), ours) as app, own_redis.client() as client:
        await ask(client, "XADD", events, f"{10**14}-0", "event", "hello")
        async with app.subscribe(handler=echo) as outcomes:
            await run_all(ours, 1)
            assert await results(outcomes, 1) == [1]
            await client.flushall()
            await run_all(ours, 2)

            with pytest.raises(OutcomesMissed):
                await anext(outcomes)
            assert await results(outcomes, 1) == [2]


async def test_an_id_that_became_another_jobs_while_nobody_read_is_not_taken_for_the_former(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    ours = settings(redis_url=own_redis.url)
    events, job = keys_of(ours).of("events"), keys_of(ours).job("order-7")
    async with (
        App(Registry([echo]), ours) as app,
        own_redis.client() as client,
        app.subscribe(handler=echo) as outcomes,
    ):
        await ask(client, "XADD", events, "1-0", "event", "added", "jobId", "order-7", "name", "echo")
        await ask(client, "XADD", events, "1-1", "event", "completed", "jobId", "order-7", "returnvalue", "1")
        assert await results(outcomes, 1) == [1]
        await client.flushall()
        await ask(client, "HSET", job, "name", "another")
        await ask(client, "XADD", events, "*", "event", "completed", "jobId", "order-7", "returnvalue", "2")
        await run_all(ours, 3)

        with pytest.raises(OutcomesMissed):
            await anext(outcomes)
        assert await results(outcomes, 1) == [3]


async def test_many_first_events_of_a_new_queue_are_no_reason_for_doubt(settings: MakeSettings) -> None:
    ours = settings()
    async with App(Registry([echo]), ours) as app, app.subscribe(handler=echo) as outcomes:
        await app.enqueue_jobs([(echo, number) for number in range(1_500)])
        async with at_work(ours, echo):
            assert set(await results(outcomes, 1_500)) == set(range(1_500))


async def test_a_waiter_for_a_result_reads_the_job_where_its_event_was_trimmed(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    ours = settings(redis_url=own_redis.url)
    async with behind_a_proxy(own_redis, ours) as (proxy, app):
        job = await app.enqueue_job(echo, 1)
        waiting = asyncio.ensure_future(job.wait(20))
        await cut_off(proxy, own_redis)
        await run_all(ours, 2)
        await trim(own_redis, ours)
        rejoin(proxy)

        assert await waiting == 1
