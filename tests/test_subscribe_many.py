"""Many jobs with random failures: per job the outcomes come in order, and none is missing or told twice."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest

from jobqueue import App, Handler, JobContext, Registry, fixed, make_job
from jobqueue.settings import Settings
from jobqueue.subscriptions import Subscription
from tests.conftest import MakeSettings
from tests.subscribing import take
from tests.support.proxy import Proxy, proxied
from tests.support.redis_server import RedisServer
from tests.worker.harness import at_work

ATTEMPTS = 4

Ledger: TypeAlias = defaultdict[str, list[tuple[str, int | None, object]]]
"""By job: the state after each of its tries, the number of the try, and what came of it."""


def gambling(ran: Ledger, backoff_ms: int) -> Handler[int]:
    """A handler that loses every second time, and writes down how each try ended."""
    chance = random.Random(7)

    @make_job(attempts=ATTEMPTS, backoff=fixed(backoff_ms))
    async def gamble(ctx: JobContext, payload: int) -> int:
        await asyncio.sleep(chance.random() / 1000)  # mixes up the order in which they end
        attempt = ctx.job.attempt
        if chance.random() < 0.5:
            lost = f"lost at try {attempt}"
            ran[ctx.job.id].append(("retried" if attempt < ATTEMPTS else "failed", attempt, lost))
            raise RuntimeError(lost)
        ran[ctx.job.id].append(("completed", attempt, payload))
        return payload

    return gamble


@asynccontextmanager
async def two_workers(settings: Settings, handler: Handler[int]) -> AsyncGenerator[None]:
    async with at_work(settings, handler, name="left"), at_work(settings, handler, name="right"):
        yield


async def until_all_ended(outcomes: Subscription, jobs: int, after_each: Callable[[int], None]) -> Ledger:
    """What the subscriber was told, until so many jobs have come to their end."""
    told, ended = Ledger(list), 0
    while ended < jobs:
        (one,) = await take(outcomes, 1)
        told[one.job_id].append((one.state, one.attempt, one.failed_reason or one.result))
        ended += one.is_final
        after_each(ended)
    return told


@pytest.mark.parametrize("backoff_ms", [0, 3], ids=["at once", "after a delay"])
async def test_a_thousand_jobs_with_random_failures_over_two_workers_are_each_told_in_order_and_completely(
    settings: MakeSettings, backoff_ms: int
) -> None:
    ours, ran = settings(), Ledger(list)
    gamble = gambling(ran, backoff_ms)
    async with App(Registry([gamble]), ours) as app, app.subscribe(handler=gamble) as outcomes:
        await app.enqueue_jobs([(gamble, number) for number in range(1_000)])
        async with two_workers(ours, gamble):
            told = await until_all_ended(outcomes, 1_000, lambda _: None)

    assert told == ran
    assert {tries[-1][0] for tries in told.values()} == {"completed", "failed"}


async def test_a_subscriber_whose_connections_are_cut_over_and_over_is_told_all_the_same(
    settings: MakeSettings, redis_server: RedisServer
) -> None:
    ours, ran = settings(), Ledger(list)
    gamble = gambling(ran, backoff_ms=3)
    async with (
        proxied(redis_server.url) as proxy,
        App(Registry([gamble]), settings(redis_url=proxy.url)) as app,
        app.subscribe(handler=gamble) as outcomes,
        App(Registry([gamble]), ours) as producer,
    ):
        await producer.enqueue_jobs([(gamble, number) for number in range(300)])
        async with two_workers(ours, gamble):
            told = await until_all_ended(outcomes, 300, cutting(proxy))

    assert told == ran


def cutting(proxy: Proxy) -> Callable[[int], None]:
    """Cuts every connection after each twentieth job."""

    def cut(ended: int) -> None:
        if ended % 20 == 0:
            proxy.cut_all()

    return cut
