"""What is done through the cron routes, as Node's `getJobSchedulers` sees it a moment after the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import pytest

from jobqueue.clock import now_ms
from jobqueue.cron import next_run
from tests.board.cron_support import CRON, CronBoard, cron_board, data_of
from tests.conftest import MakeSettings
from tests.interop.node_peer import NodePeer
from tests.interop.node_records import NodeScheduler

RIGHT_WITHIN_S: Final = 0.1
"""After the answer of the route."""

Seen = Sequence[NodeScheduler]


@pytest.fixture
async def node(redis_url: str, prefix: str) -> AsyncIterator[NodePeer]:
    """A Node process on the queue `jobs`, which has looked once, so that its connection is open."""
    async with NodePeer(redis_url, prefix) as peer:
        await peer.schedulers()
        yield peer


@pytest.fixture
async def board(settings: MakeSettings, database_url: str) -> AsyncIterator[CronBoard]:
    async with cron_board(settings(environment="local", database_url=database_url)) as board:
        yield board


async def sees(node: NodePeer, is_right: Callable[[Seen], bool]) -> Seen:
    """What Node sees as soon as it is right; it must have begun its look in time."""
    answered_s = time.monotonic()
    while True:
        asked_s = time.monotonic()
        seen = await node.schedulers()
        if is_right(seen):
            return seen
        assert asked_s - answered_s < RIGHT_WITHIN_S, f"Node still sees {seen}"


def has(pattern: str, tz: str = "UTC", name: str = "heartbeat") -> Callable[[Seen], bool]:
    """One scheduler is seen, and it is this one."""
    return lambda seen: [(one.pattern, one.tz, one.name) for one in seen] == [(pattern, tz, name)]


def nothing(seen: Seen) -> bool:
    return not seen


async def test_a_cron_job_that_is_created_is_a_scheduler_in_node(board: CronBoard, node: NodePeer) -> None:
    created = await board.created(maxAttempts=7, backoffMs=250, priority=3)
    (seen,) = await sees(node, has("0 3 * * *"))
    assert (seen.key, seen.next) == ("nightly", created["nextRunAt"])
    assert seen.template is not None
    assert seen.template["data"] == {"type": "cron", "payload": None, "id": created["id"], "overlap": "skip"}
    assert isinstance(opts := seen.template["opts"], dict)
    assert (opts["attempts"], opts["priority"]) == (7, 3)
    assert opts["backoff"] == {"type": "exponential", "delay": 250}


async def test_edit_disable_re_enable_and_delete_are_seen_by_node(board: CronBoard, node: NodePeer) -> None:
    cron_job_id = (await board.created())["id"]
    await sees(node, has("0 3 * * *"))

    await board.changed(cron_job_id, pattern="30 1 * * *", timezone="America/New_York")
    (seen,) = await sees(node, has("30 1 * * *", "America/New_York"))
    assert seen.next == next_run("30 1 * * *", "America/New_York", now_ms())

    await board.changed(cron_job_id, enabled=False)
    await sees(node, nothing)
    assert await node.job_ids("delayed") == []

    await board.changed(cron_job_id, enabled=True, pattern="@daily")
    await sees(node, has("@daily", "America/New_York"))
    assert len(await node.job_ids("delayed")) == 1

    assert (await board.client.delete(f"{CRON}/{cron_job_id}")).status_code == 204
    await sees(node, nothing)
    assert await node.job_ids("delayed") == []


async def test_a_payload_that_is_edited_is_what_the_next_run_gets(board: CronBoard, node: NodePeer) -> None:
    created = await board.created(handler="syncData", payload={"resource_id": "a"})
    await board.changed(created["id"], payload={"resource_id": "b"})
    await sees(node, lambda seen: len(seen) == 1 and "'b'" in str(seen[0].template))
    (job_id,) = await node.job_ids("delayed")
    job = await node.job(job_id)
    assert isinstance(job.data, dict)
    assert job.data["payload"] == {"resource_id": "b"}


async def test_a_number_that_becomes_true_is_true_for_the_next_run(board: CronBoard, node: NodePeer) -> None:
    """To Python 1 and true are equal: row and scheduler once stayed as they were."""
    created = await board.created(handler="note", payload={"all": 1})
    await board.changed(created["id"], payload={"all": True})
    await sees(node.on("notes"), lambda seen: len(seen) == 1 and "'all': True" in str(seen[0].template))


async def test_a_new_job_id_moves_the_scheduler(board: CronBoard, node: NodePeer) -> None:
    created = await board.created()
    await board.changed(created["id"], jobId="moved")
    (seen,) = await sees(node, lambda seen: [one.key for one in seen] == ["moved"])
    assert seen.next == created["nextRunAt"]
    assert len(await node.job_ids("delayed")) == 1


async def test_a_handler_of_another_queue_moves_the_scheduler_there(board: CronBoard, node: NodePeer) -> None:
    created = await board.created()
    await board.changed(created["id"], handler="note", payload={})
    await sees(node, nothing)
    await sees(node.on("notes"), has("0 3 * * *", name="note"))


async def test_a_change_that_does_not_concern_the_schedule_does_not_move_the_next_run(
    board: CronBoard, node: NodePeer
) -> None:
    created = await board.created()
    (before,) = await node.job_ids("delayed")
    await board.changed(created["id"], name="renamed", description="new")
    await board.created(name="other", enabled=False)
    assert (await sees(node, has("0 3 * * *")))[0].iteration_count == 1
    assert await node.job_ids("delayed") == [before]


async def test_after_many_changes_at_once_node_sees_the_row_as_it_is(board: CronBoard, node: NodePeer) -> None:
    cron_job_id = (await board.created())["id"]
    await asyncio.gather(*(board.changed(cron_job_id, pattern=f"{minute} 5 * * *") for minute in range(10)))
    await sees(node, has((await board.shown(cron_job_id))["pattern"]))
    assert len(await node.job_ids("delayed")) == 1


async def test_a_trigger_is_a_job_and_no_scheduler(board: CronBoard, node: NodePeer) -> None:
    created = await board.created(enabled=False)
    answer = await board.client.post(f"{CRON}/{created['id']}/trigger")
    job = await node.job(data_of(answer)["jobId"])
    assert (job.name, job.state, job.repeat_job_key) == ("heartbeat", "waiting", None)
    assert await node.schedulers() == []


async def test_a_scheduler_of_nodes_own_is_left_alone(board: CronBoard, node: NodePeer) -> None:
    await node.upsert_scheduler("theirs", {"pattern": "0 5 * * *"}, {"name": "note"})
    cron_job_id = (await board.created())["id"]
    assert {one.key for one in await node.schedulers()} == {"nightly", "theirs"}
    await board.client.delete(f"{CRON}/{cron_job_id}")
    assert [one.key for one in await node.schedulers()] == ["theirs"]
