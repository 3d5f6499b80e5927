"""Cleaning, judged by Node: it removes what `Queue.clean` removes, and Node reads of it in the events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
from pydantic import JsonValue

from jobqueue import App, Registry
from jobqueue.cleaning import Cleanable, clean
from jobqueue.clock import now_ms
from tests.conftest import MakeSettings
from tests.interop.node_peer import NewJob, NodePeer, Options

HOUR_MS: Final = 3_600_000
STATES: Final[dict[Cleanable, Options]] = {"waiting": {}, "delayed": {"delay": HOUR_MS}, "prioritized": {"priority": 2}}


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(Registry(), settings()) as app:
        yield app


async def add_some(peer: NodePeer, options: Options) -> None:
    """Two old jobs and a young one between them."""
    old = dict(options) | {"timestamp": now_ms() - 2 * HOUR_MS}
    await peer.add_bulk([NewJob("echo", 1, old), NewJob("echo", 2, options), NewJob("echo", 3, old)])


@pytest.mark.parametrize("state", STATES)
async def test_the_same_unfinished_jobs_stay_as_after_a_cleaning_by_node(
    watched: NodePeer, app: App, state: Cleanable
) -> None:
    theirs = watched.on("theirs")
    await add_some(watched, STATES[state])
    await add_some(theirs, STATES[state])

    removed = await clean(app.queue(), state, HOUR_MS)
    removed_by_node = await theirs.clean(state, grace_ms=HOUR_MS)

    assert removed == len(removed_by_node) == 2
    assert await watched.job_ids(state) == await theirs.job_ids(state) == ["2"]
    assert await watched.counts() == await theirs.counts()
    told = await watched.wait_for_event("cleaned")
    assert told.model_extra == {"count": "2"}


@pytest.mark.parametrize("processor", ["echo", "fail"])
async def test_the_same_finished_jobs_stay_as_after_a_cleaning_by_node(
    watched: NodePeer, app: App, processor: str
) -> None:
    state: Cleanable = "completed" if processor == "echo" else "failed"
    await watched.start_worker(processor)
    await watched.add_bulk([NewJob("echo", number) for number in range(3)])
    await watched.wait_for_event(state, count=3)

    # then: none ended an hour ago, all have ended by now
    assert await clean(app.queue(), state, HOUR_MS) == len(await watched.clean(state, grace_ms=HOUR_MS)) == 0
    assert await clean(app.queue(), state, now_ms=now_ms() + 1) == 3
    assert (await watched.counts())[state] == 0


@pytest.mark.parametrize("priority", [0, 3])
async def test_the_next_job_of_a_scheduler_stays_delayed_or_due(watched: NodePeer, app: App, priority: int) -> None:
    """Without it the scheduler would never run again."""
    options: dict[str, JsonValue] = {"priority": priority, "timestamp": now_ms() - 2 * HOUR_MS}
    job_id = await watched.upsert_scheduler("daily", {"pattern": "0 1 * * *"}, {"name": "echo", "opts": options})
    assert job_id is not None
    due: Cleanable = "prioritized" if priority else "waiting"

    assert await clean(app.queue(), "delayed", now_ms=now_ms() + 1) == 0
    await watched.promote(job_id)
    assert (await watched.job(job_id)).state == due
    assert await clean(app.queue(), due, now_ms=now_ms() + 1) == 0

    assert (await watched.job(job_id)).state == due
    assert await watched.clean(due) == []


async def test_a_job_that_a_scheduler_made_before_may_go(watched: NodePeer, app: App) -> None:
    """Only the next one is what the scheduler needs."""
    job_id = await watched.upsert_scheduler("daily", {"pattern": "0 1 * * *"}, {"name": "echo"})
    assert job_id is not None
    await watched.promote(job_id)
    await app.client.call("ZADD", app.queue().keys.of("repeat"), now_ms() + HOUR_MS, "daily")

    assert await clean(app.queue(), "waiting", now_ms=now_ms() + 1) == 1

    assert await watched.find_job(job_id) is None
