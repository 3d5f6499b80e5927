"""Advancing: the next iteration of a scheduler is the same whether our worker or Node's takes its turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio
from pydantic import JsonValue

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.interop.node_peer import NodePeer
from tests.interop.node_records import NodeScheduler
from tests.interop.node_shared import SharedNode
from tests.interop.ours import echo, working

HOUR_MS = 3_600_000
NEW_YORK: Mapping[str, JsonValue] = {"tz": "America/New_York"}
TEMPLATE: Mapping[str, JsonValue] = {"name": "echo", "data": {"n": 1}, "opts": {"attempts": 3, "priority": 2}}


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


# A change of the clocks that is far ahead, as no job is made for a time that is past.
HALF_PAST_ONE = ms("2036-11-02T01:30:00-04:00")
BEFORE = HALF_PAST_ONE - 60_000


@pytest_asyncio.fixture
async def node(node_process: SharedNode, redis_url: str, prefix: str) -> AsyncIterator[NodePeer]:
    peer = NodePeer.of(node_process, redis_url, prefix)
    await peer.start_events()
    yield peer
    await peer.reset()


async def _schedule(
    node: NodePeer, repeat: Mapping[str, JsonValue], template: Mapping[str, JsonValue] = TEMPLATE
) -> str:
    """A scheduler whose first job is made to run now; returns that job's id."""
    job_id = await node.upsert_scheduler("beat", repeat, template)
    assert job_id is not None
    if (await node.job(job_id)).state == "delayed":
        await node.promote(job_id)
    return job_id


async def _pending(node: NodePeer, done: str) -> tuple[list[NodeScheduler], dict[str, Any] | None]:
    """The schedulers, and the options of the next job but for what depends on when it was made."""
    schedulers = await node.schedulers()
    job = await node.find_job(f"repeat:beat:{schedulers[0].next}")
    if job is None or job.id == done:
        return schedulers, None
    return schedulers, {name: value for name, value in job.opts.items() if name not in ("timestamp", "delay")}


@pytest.mark.parametrize(
    "repeat",
    [
        {**NEW_YORK, "pattern": "30 1 * * *", "startDate": BEFORE},
        {**NEW_YORK, "pattern": "*/30 * * * *", "startDate": BEFORE},
        {**NEW_YORK, "pattern": "30 1 * * *", "startDate": BEFORE, "endDate": HALF_PAST_ONE + 30 * HOUR_MS},
        {**NEW_YORK, "pattern": "30 1 * * *", "startDate": BEFORE, "endDate": HALF_PAST_ONE + HOUR_MS},
        {**NEW_YORK, "pattern": "30 1 * * *", "startDate": BEFORE, "limit": 1},
        {**NEW_YORK, "pattern": "30 1 * * *", "startDate": BEFORE, "limit": 2},
        {**NEW_YORK, "pattern": "30 1 * * *", "startDate": BEFORE, "offset": 700},
        {**NEW_YORK, "pattern": "0 0 1 1 *", "immediately": True},
        {"pattern": "30 1 * * *", "tz": "UTC", "startDate": "2036-11-02T00:00:00.000Z"},
        {"every": HOUR_MS, "startDate": BEFORE},
        {"every": HOUR_MS, "startDate": BEFORE, "offset": 700, "limit": 3},
        {"every": HOUR_MS, "startDate": BEFORE, "endDate": BEFORE + HOUR_MS},
    ],
    ids=str,
)
async def test_the_next_job_of_a_scheduler_is_what_node_would_have_made(
    node: NodePeer, settings: MakeSettings, repeat: Mapping[str, JsonValue]
) -> None:
    # given: one scheduler twice, for us and for Node
    theirs = node.on("theirs")
    await theirs.start_events()
    our_job, their_job = await _schedule(node, repeat), await _schedule(theirs, repeat)

    # when
    async with working(settings(), echo):
        await node.wait_for_event("completed", our_job)
    await theirs.start_worker("echo")
    await theirs.wait_for_event("completed", their_job)

    # then
    assert await _pending(node, our_job) == await _pending(theirs, their_job)


async def test_a_nightly_job_keeps_its_hour_when_our_worker_runs_it_in_the_night_that_has_it_twice(
    node: NodePeer, settings: MakeSettings
) -> None:
    """The package's own reckoning made it 02:30 for the night after, and each worker of ours moved it there."""
    job_id = await _schedule(node, {**NEW_YORK, "pattern": "30 1 * * *", "startDate": BEFORE})

    async with working(settings(), echo):
        await node.wait_for_event("completed", job_id)

    [scheduler] = await node.schedulers()
    assert job_id.endswith(str(HALF_PAST_ONE))
    assert scheduler.next == ms("2036-11-03T01:30:00-05:00")


async def test_each_slot_is_a_trace_of_its_own(node: NodePeer, settings: MakeSettings) -> None:
    """A scheduler that a traced service of Node's had made kept the context of that one call for all its jobs."""
    context: JsonValue = {"metadata": '{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}'}
    job_id = await _schedule(
        node, {"every": HOUR_MS}, {"name": "echo", "data": {"n": 1}, "opts": {"telemetry": context}}
    )
    assert (await node.job(job_id)).opts["telemetry"] == context

    async with working(settings(), echo):
        await node.wait_for_event("completed", job_id)

    _, options = await _pending(node, job_id)
    assert options is not None
    assert "telemetry" not in options


async def test_a_scheduler_that_cannot_be_reckoned_does_not_keep_its_job_from_running(
    node: NodePeer, settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    # given: Node draws H anew each time, which nobody can repeat
    ran: list[str] = []

    @make_job(name="echo")
    async def note(ctx: JobContext, payload: object) -> None:
        ran.append(ctx.job.id)

    job_id = await _schedule(node, {"pattern": "H * * * *", "tz": "UTC"})

    # when
    async with working(settings(), note):
        await node.wait_for_event("completed", job_id)

    # then
    assert ran == [job_id]
    assert "scheduler beat of queue jobs has no next time: pattern: the minute field cannot be 'H'" in caplog.text
