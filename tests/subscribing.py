"""What the tests of `subscribe` share: a handler, runs of it, and the outcomes that a subscriber is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.settings import Settings
from jobqueue.subscriptions import JobOutcome, Subscription
from tests.support.eventually import eventually
from tests.support.proxy import Proxy, proxied
from tests.support.redis_server import RedisServer
from tests.worker.harness import at_work


@make_job
async def echo(ctx: JobContext, payload: int) -> int:
    return payload


async def take(outcomes: Subscription, number: int, limit_s: float = 20.0) -> list[JobOutcome]:
    """The next outcomes; what follows stays for the next call."""
    async with asyncio.timeout(limit_s):
        return [await anext(outcomes) for _ in range(number)]


async def results(outcomes: Subscription, number: int) -> list[object]:
    """What came of the next tries."""
    return [outcome.result for outcome in await take(outcomes, number)]


async def run_all(ours: Settings, *payloads: int) -> None:
    """A worker runs these jobs one after the other, by a way to Redis of its own, and goes."""
    async with at_work(ours, echo) as site:
        for payload in payloads:
            await site.end_of((await site.app.enqueue_job(echo, payload)).job_id)


async def somebody_reads(server: RedisServer) -> None:
    """Returns once a stream is read."""
    async with server.client() as client:

        async def is_reading() -> bool:
            return any(known["cmd"] == "xread" for known in await client.client_list())

        await eventually(is_reading)


@asynccontextmanager
async def behind_a_proxy(server: RedisServer, settings: Settings) -> AsyncGenerator[tuple[Proxy, App]]:
    """An app that can be cut off from its Redis."""
    async with (
        proxied(server.url) as proxy,
        App(Registry([echo]), settings.model_copy(update={"redis_url": proxy.url})) as app,
    ):
        yield proxy, app


async def cut_off(proxy: Proxy, server: RedisServer) -> None:
    """Hold back all that passes, once the app waits for the next event."""
    await somebody_reads(server)
    proxy.go_silent()


def rejoin(proxy: Proxy) -> None:
    """The old connections are gone; new ones may be made."""
    proxy.cut_all()
    proxy.speak_again()
