"""What those hear who still wait when the app is closed: that it is closed, and never that they were cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.errors import ClientClosed
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

PATIENT = {"redis_connect_ms": 60_000, "redis_call_ms": 60_000}
"""No time limit ends a wait before the app is closed."""


@make_job
async def echo(ctx: JobContext) -> None: ...


async def ends_of(app: App, *calls: Coroutine[Any, Any, object]) -> list[type[object]]:
    """Let the calls wait, close the app, and tell how each ended.

    A task that nobody cancelled must not end as cancelled: `except Exception`, a TaskGroup and asyncio.timeout would
    all misread it. Such a one is told here as CancelledError.
    """
    waiting = [asyncio.ensure_future(call) for call in calls]
    done, _ = await asyncio.wait(waiting, timeout=0.2)  # nothing tells that a call waits; 0.2 s is enough to begin
    assert not done, "all should still wait"
    await app.close()
    ends = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)
    assert not any(task.cancelling() for task in waiting)
    return [type(end) for end in ends]


async def test_callers_that_wait_for_the_connection_hear_that_the_app_is_closed(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """Closing cancelled the task which opened the connection, and everybody who shared it was handed its
    CancelledError, though nobody had cancelled them: in a worker that ended a slot in silence.
    """
    app = App(Registry([echo]), settings(redis_url=own_redis.url, **PATIENT))
    own_redis.pause()

    ends = await ends_of(
        app,
        app.client.connect(),
        app.client.call("PING"),
        app.enqueue_job(echo),
        app.enqueue_job(echo, job_id="echo-1"),
    )

    assert ends == [ClientClosed] * 4


async def test_who_waits_for_a_result_hears_that_the_app_is_closed(settings: MakeSettings) -> None:
    """Here it was the future of the result that closing cancelled."""
    app = App(Registry([echo]), settings())
    job = await app.enqueue_job(echo)

    assert await ends_of(app, job.wait(), job.wait(60)) == [ClientClosed] * 2


async def test_who_waits_for_a_result_while_redis_is_away_does_not_wait_on_for_ever(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    """ "The client is closed" counted as something that passes, like a Redis which is away. So whoever was asking
    for a result asked on, every second, of a client that had been closed for good.
    """
    app = App(Registry([echo]), settings(redis_url=own_redis.url))
    job = await app.enqueue_job(echo)
    await asyncio.to_thread(own_redis.kill)

    assert await ends_of(app, job.wait(), job.wait(60)) == [ClientClosed] * 2


async def test_who_comes_after_the_end_hears_the_same(settings: MakeSettings) -> None:
    app = App(Registry([echo]), settings())
    job = await app.enqueue_job(echo)
    await app.close()

    with pytest.raises(ClientClosed):
        await app.enqueue_job(echo)
    with pytest.raises(ClientClosed):
        await app.enqueue_job(echo, job_id="echo-1")
    with pytest.raises(ClientClosed):
        await job.wait(60)


async def test_nothing_goes_on_in_the_loop_when_the_app_is_closed(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    before = asyncio.all_tasks()
    app = App(Registry([echo]), settings(redis_url=own_redis.url, **PATIENT))
    job = await app.enqueue_job(echo)
    own_redis.pause()

    await ends_of(app, job.wait(), job.wait(60))

    await eventually(lambda: asyncio.all_tasks() == before, 2)


async def test_a_caller_who_is_cancelled_himself_is_cancelled(settings: MakeSettings, own_redis: RedisServer) -> None:
    """The other side of it: a cancellation that was meant must come through as one."""
    async with App(Registry([echo]), settings(redis_url=own_redis.url, **PATIENT)) as app:
        own_redis.pause()
        call = asyncio.ensure_future(app.enqueue_job(echo))
        await asyncio.wait({call}, timeout=0.1)  # it waits for the connection by then

        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call
