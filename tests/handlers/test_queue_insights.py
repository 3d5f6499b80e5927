"""queueInsights: how much waits, is scheduled, runs and has failed."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Protocol

import pytest

from handlers.queue_insights import InsightByQueue, queue_insights
from jobqueue import App, Registry
from jobqueue.context import Resources
from tests.board.support import activate, complete, fail, heartbeat, note
from tests.conftest import MakeSettings
from tests.handlers.support.contexts import new_context, new_job

EMPTY = {"pending": 0, "scheduled": 0, "active": 0, "failed": 0}


class Look(Protocol):
    """Run the handler with a payload as it comes from JSON."""

    async def __call__(self, **payload: object) -> InsightByQueue: ...


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncGenerator[App]:
    async with App(Registry([heartbeat, note]), settings()) as app:
        yield app


@pytest.fixture
def look(app: App) -> Look:
    async def run(**payload: object) -> InsightByQueue:
        context = new_context(new_job(), Resources(app))
        result: InsightByQueue = await queue_insights.function(context, queue_insights.validate(payload))
        return result

    return run


async def some_of_each(app: App) -> None:
    """Two that wait and one of them with a priority, one later, one that runs, one failed, one completed."""
    await app.enqueue_job(heartbeat)
    await app.enqueue_job(heartbeat, priority=1)
    await app.enqueue_job(heartbeat, delay_ms=60_000)
    await activate(app, await app.enqueue_job(heartbeat))
    await fail(app, await app.enqueue_job(heartbeat), "no")
    await complete(app, await app.enqueue_job(heartbeat), "null")


async def test_jobs_are_counted_by_queue_and_what_is_prioritized_is_pending(app: App, look: Look) -> None:
    await some_of_each(app)
    await app.enqueue_job(note, {})

    assert await look() == {
        "jobs": {"pending": 2, "scheduled": 1, "active": 1, "failed": 1},
        "notes": EMPTY | {"pending": 1},
    }


async def test_the_counts_are_logged(app: App, look: Look, caplog: pytest.LogCaptureFixture) -> None:
    await some_of_each(app)

    with caplog.at_level(logging.INFO, "handlers"):
        await look()

    assert "jobs: 2 pending, 1 scheduled, 1 active, 1 failed" in caplog.messages


async def test_the_payload_may_name_the_queues(app: App, look: Look) -> None:
    await app.enqueue_job(note, {})

    assert await look(queues=["notes", "nobodys"]) == {"nobodys": EMPTY, "notes": EMPTY | {"pending": 1}}


async def test_the_jobs_of_a_paused_queue_are_pending(app: App, look: Look) -> None:
    await app.enqueue_job(heartbeat)
    await app.client.call("HSET", app.queue().keys.of("meta"), "paused", 1)

    assert (await look())["jobs"]["pending"] == 1


async def test_a_queue_of_bullmq_5_is_passed_over(app: App, look: Look, caplog: pytest.LogCaptureFixture) -> None:
    await app.client.call("HSET", app.queue("notes").keys.of("meta"), "version", "bullmq:5.41.0")

    assert await look() == {"jobs": EMPTY}

    assert "notes is passed over" in caplog.text
