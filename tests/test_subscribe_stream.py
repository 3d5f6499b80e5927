"""The reader of a queue's events, whom all subscribers and waiters share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from jobqueue import App, Registry
from jobqueue.errors import ClientClosed
from jobqueue.stream import Listener, StreamEvent, StreamReader
from tests.conftest import MakeSettings
from tests.subscribing import echo, somebody_reads
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.worker.harness import ask, keys_of


class Nobody(Listener):
    """Hears everything and does nothing."""

    async def take(self, events: Sequence[StreamEvent]) -> None: ...

    async def resume(self, *, missed: bool) -> None: ...

    def end(self) -> None: ...


async def test_nothing_is_read_before_the_first_subscription_and_after_the_last(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    ours = settings(redis_url=own_redis.url)
    async with App(Registry([echo]), ours) as app, own_redis.client() as client:
        app.subscribe(handler=echo)
        await app.enqueue_job(echo, 1)
        connections = len(await client.client_list())
        reader, listener = StreamReader(app.queue(), app.new_client(), linger_s=0.0), Nobody()
        await reader.attach(listener)
        await somebody_reads(own_redis)
        reader.detach(listener)
        await app.enqueue_job(echo, 2)  # ends the reading that it is in

        async def is_gone() -> bool:
            return len(await client.client_list()) == connections

        await eventually(is_gone)
        await reader.attach(listener)
        await somebody_reads(own_redis)
        await reader.stop()


async def test_a_listener_that_raises_is_told_that_it_missed_events_and_hears_the_next(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(Nobody):
        def __init__(self) -> None:
            self.heard: list[str] = []

        async def take(self, events: Sequence[StreamEvent]) -> None:
            self.heard.append("events")
            if len(self.heard) == 1:
                raise LookupError("clumsy")

        async def resume(self, *, missed: bool) -> None:
            self.heard.append("missed" if missed else "cut")

    async with App(Registry([echo]), settings()) as app:
        reader, clumsy = StreamReader(app.queue(), app.new_client()), Clumsy()
        await reader.attach(clumsy)
        await app.enqueue_job(echo, 1)
        await eventually(lambda: "missed" in clumsy.heard)
        await app.enqueue_job(echo, 2)
        await eventually(lambda: clumsy.heard[:3] == ["events", "missed", "events"])
        await reader.stop()

    assert "clumsy" in caplog.text


async def test_an_event_tells_its_time_by_the_clock_of_redis(settings: MakeSettings, redis: Redis) -> None:
    ours, heard = settings(), list[StreamEvent]()

    class Curious(Nobody):
        async def take(self, events: Sequence[StreamEvent]) -> None:
            heard.extend(events)

    async with App(Registry([echo]), ours) as app:
        reader = StreamReader(app.queue(), app.new_client())
        await reader.attach(Curious())
        entry: str = await ask(redis, "XADD", keys_of(ours).of("events"), "*", "event", "hello")
        await eventually(lambda: heard)
        await reader.stop()

    assert [(str(one.position), one.kind, one.job_id) for one in heard] == [(entry, "hello", "")]


async def test_who_waits_for_the_stream_when_the_reader_ends_is_told_and_starts_nothing(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    async with App(Registry([echo]), settings(redis_url=own_redis.url)) as app:
        await app.enqueue_job(echo, 1)
        reader, before = StreamReader(app.queue(), app.new_client()), asyncio.all_tasks()
        own_redis.pause()
        attaching = asyncio.ensure_future(reader.attach(Nobody()))
        await asyncio.wait({attaching}, timeout=0.1)  # it waits for Redis by then
        await reader.stop()
        own_redis.resume()

        with pytest.raises(ClientClosed, match="the app was closed"):
            await attaching
        await eventually(lambda: asyncio.all_tasks() == before, 2)
