"""The audit log where an act is cut short: what was begun stays noted as not finished."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from jobqueue.app import App
from jobqueue.errors import (
    OutcomeUnknown,
    RedisError,
)
from jobqueue.inspector import Inspector, Operator
from tests.board.support import REGISTRY, heartbeat
from tests.conftest import MakeSettings
from tests.inspector.support import SOMEBODY, entries_of
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer


async def test_an_act_that_is_cancelled_stays_noted_as_not_finished(inspector: Inspector, operator: Operator) -> None:
    begun = asyncio.Event()

    async def endless() -> None:
        async with operator.audited("change", "jobs"):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(endless())
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    [entry] = await entries_of(inspector)
    assert entry.outcome is None


@pytest.fixture
async def mortal(settings: MakeSettings, own_redis: RedisServer) -> AsyncIterator[App]:
    """An app on a Redis of this test's own, which forgets nothing that it has answered."""
    async with App(REGISTRY, settings(redis_url=own_redis.url, redis_connect_ms=500)) as app:
        await app.client.call("CONFIG", "SET", "appendfsync", "always")
        yield app


async def test_an_act_in_the_middle_of_which_redis_dies_stays_noted_as_not_finished(
    mortal: App, own_redis: RedisServer
) -> None:
    inspector = Inspector(mortal)
    operator = inspector.acting_as(SOMEBODY)
    job = await mortal.enqueue_job(heartbeat)

    async def act() -> None:
        async with operator.audited("change", "jobs", job.job_id):
            own_redis.kill()
            await operator.remove("jobs", job.job_id)

    with pytest.raises(RedisError):
        await act()
    own_redis.start()

    [entry] = await entries_of(inspector)
    assert (entry.action, entry.outcome) == ("change", None), "and the removal was not begun"
    assert await mortal.queue().state(job.job_id) == "waiting"


async def test_an_enqueue_whose_answer_is_lost_stays_noted_as_not_finished(
    settings: MakeSettings, redis_url: str
) -> None:
    proxy = Proxy(redis_url)
    await proxy.start()
    async with App(REGISTRY, settings(redis_url=proxy.url)) as app:
        inspector = Inspector(app)
        await app.enqueue_job(heartbeat)  # its script is loaded then
        proxy.cut_answer_of = lambda request: (
            b"addStandardJob" in request or (b"heartbeat" in request and b"adhoc" in request)
        )

        with pytest.raises(OutcomeUnknown):
            await inspector.acting_as(SOMEBODY).enqueue("heartbeat", None, {})

        proxy.cut_answer_of = lambda _: False
        [entry] = await entries_of(inspector)
        assert (entry.action, entry.target, entry.outcome) == ("enqueue", None, None)
        assert (await inspector.queue("jobs")).counts["waiting"] == 2
    await proxy.stop()


async def test_an_act_is_done_though_its_end_cannot_be_noted(
    mortal: App, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    inspector = Inspector(mortal)
    async with inspector.acting_as(SOMEBODY).audited("change", "jobs"):
        own_redis.kill()
    assert "stays unfinished" in caplog.text
    own_redis.start()
    [entry] = await entries_of(inspector)
    assert entry.outcome is None


async def test_the_end_of_an_act_is_noted_as_soon_as_redis_is_back(mortal: App, own_redis: RedisServer) -> None:
    inspector = Inspector(mortal)
    async with inspector.acting_as(SOMEBODY).audited("change", "jobs"):
        own_redis.restart()
    [entry] = await entries_of(inspector)
    assert entry.outcome == "done"
