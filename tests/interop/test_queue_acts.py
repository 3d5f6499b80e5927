"""What a screen of ours does to queues and jobs, judged by Node: it sees each act, and its workers heed it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
from pydantic import JsonValue

from jobqueue import App, Registry
from jobqueue.inspector import Actor, Inspector, Operator
from tests.conftest import MakeSettings
from tests.interop.in_line import step, three
from tests.interop.node_peer import NewJob, NodePeer, NodePeerError
from tests.interop.ours import echo, working

HOUR_MS: Final = 3_600_000
SOMEBODY: Final = Actor("alice", "local")


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(Registry([echo, step]), settings()) as app:
        yield app


@pytest.fixture
def operator(app: App) -> Operator:
    return Inspector(app).acting_as(SOMEBODY)


# Queues


async def test_node_sees_our_pause_and_its_worker_heeds_pause_and_resume(watched: NodePeer, operator: Operator) -> None:
    await watched.start_worker("echo")
    first = await watched.add("echo", 1)
    await watched.wait_for_event("completed", first)

    await operator.pause("jobs")
    assert await watched.is_paused()
    await watched.wait_for_event("paused")
    second = await watched.add("echo", 2)
    assert (await watched.job(second)).state == "waiting"

    await operator.resume("jobs")
    assert not await watched.is_paused()
    await watched.wait_for_event("resumed")
    await watched.wait_for_event("completed", second, timeout_s=5)


async def test_we_see_nodes_pause_and_may_resume_it(watched: NodePeer, app: App, operator: Operator) -> None:
    await watched.add("echo", 1)
    await watched.pause()
    assert (await Inspector(app).queue("jobs")).paused
    await operator.resume("jobs")
    assert not await watched.is_paused()


@pytest.mark.parametrize("delayed", [False, True])
async def test_the_same_jobs_stay_as_after_a_drain_by_node(
    watched: NodePeer, app: App, operator: Operator, delayed: bool
) -> None:
    theirs = watched.on("theirs")
    for queue in (watched, theirs):
        await queue.add_bulk([NewJob("echo", number) for number in range(5)])
        await queue.add_bulk([NewJob("echo", number, {"priority": 3}) for number in range(5)])
        await queue.add_bulk([NewJob("echo", number, {"delay": HOUR_MS}) for number in range(5)])
        await queue.upsert_scheduler("daily", {"pattern": "0 1 * * *"}, {"name": "echo"})
        children: list[JsonValue] = [{"name": "echo", "queueName": queue.queue, "data": 1}]
        await queue.add_flow({"name": "parent", "queueName": queue.queue, "data": 1, "children": children})

    await operator.drain("jobs", delayed=delayed)
    await theirs.drain(delayed=delayed)

    counts = await watched.counts()
    assert counts == await theirs.counts()
    assert counts["waiting"] == counts["prioritized"] == counts["waiting-children"] == 0
    assert counts["delayed"] == (1 if delayed else 6)
    assert len(await watched.schedulers()) == 1


async def test_the_same_jobs_run_now_as_after_a_promotion_of_all_by_node_but_for_a_schedulers(
    watched: NodePeer, operator: Operator
) -> None:
    await watched.upsert_scheduler("daily", {"pattern": "0 1 * * *"}, {"name": "echo"})
    await watched.add_bulk([NewJob("echo", number, {"delay": HOUR_MS}) for number in range(20)])

    done = await operator.promote_delayed("jobs")

    assert (done.done, done.refused) == (20, 0)
    await watched.start_worker("echo")
    await watched.wait_for_event("completed", count=20)
    counts = await watched.counts()
    assert (counts["completed"], counts["delayed"]) == (20, 1)


async def test_all_jobs_that_failed_in_node_run_again_there(watched: NodePeer, operator: Operator) -> None:
    await watched.start_worker("fail")
    await watched.add_bulk([NewJob("echo", number) for number in range(20)])
    await watched.wait_for_event("failed", count=20)
    await watched.stop_worker()

    done = await operator.retry_failed("jobs")

    assert (done.done, done.refused, done.complete) == (20, 0, True)
    assert (await watched.counts())["waiting"] == 20
    await watched.start_worker("echo")
    await watched.wait_for_event("completed", count=20)
    assert (await watched.counts())["failed"] == 0


# Jobs


async def test_a_node_worker_runs_a_job_that_we_promoted(watched: NodePeer, operator: Operator) -> None:
    await watched.start_worker("echo")
    job_id = await watched.add("echo", 7, {"delay": HOUR_MS})

    await operator.promote("jobs", job_id)

    await watched.wait_for_event("completed", job_id, timeout_s=5)
    job = await watched.job(job_id)
    assert (job.returnvalue, job.delay) == (7, 0)


@pytest.mark.parametrize("options", [{}, {"priority": 3}, {"lifo": True}])
async def test_a_job_that_we_promoted_stands_where_node_would_have_put_it(
    watched: NodePeer, operator: Operator, options: dict[str, JsonValue]
) -> None:
    theirs = watched.on("theirs")
    for queue in (watched, theirs):
        await queue.add_bulk([NewJob("echo", number, {"delay": HOUR_MS, **options}) for number in range(3)])
        await queue.add_bulk([NewJob("echo", number) for number in range(2)])
    await operator.promote("jobs", "2")
    await theirs.promote("2")
    for state in ("waiting", "prioritized", "delayed"):
        assert await watched.job_ids(state) == await theirs.job_ids(state)
    ours, nodes = await watched.raw("2"), await theirs.raw("2")
    for one in (ours, nodes):
        one.hash.pop("timestamp")
    assert (ours.state, ours.hash) == (nodes.state, nodes.hash)


async def test_node_no_longer_has_a_job_that_we_removed_and_is_told(watched: NodePeer, operator: Operator) -> None:
    job_id = await watched.add("echo", 1)
    await operator.remove("jobs", job_id)
    assert await watched.find_job(job_id) is None
    told = await watched.wait_for_event("removed", job_id)
    assert told.prev == "wait"


async def test_a_flow_of_node_is_removed_whole_and_a_child_alone_lets_its_parent_go_on(
    watched: NodePeer, operator: Operator
) -> None:
    children: list[JsonValue] = [{"name": "echo", "queueName": "jobs", "data": number} for number in range(2)]
    tree: dict[str, JsonValue] = {"name": "parent", "queueName": "jobs", "data": 1, "children": children}
    whole, partly = await watched.add_flow(tree), await watched.add_flow(tree)

    await operator.remove("jobs", whole.id)
    for child in partly.children:
        await operator.remove("jobs", child.id)

    for job_id in (whole.id, *(child.id for child in (*whole.children, *partly.children))):
        assert await watched.find_job(job_id) is None
    assert (await watched.job(partly.id)).state == "waiting"


async def test_nodes_scheduler_keeps_its_next_job_as_node_itself_does(watched: NodePeer, operator: Operator) -> None:
    job_id = await watched.upsert_scheduler("daily", {"pattern": "0 1 * * *"}, {"name": "echo"})
    assert job_id is not None
    with pytest.raises(NodePeerError, match="scheduler"):
        await watched.remove(job_id)
    done = await operator.apply("jobs", "remove", [job_id])
    assert (done.done, done.refused) == (0, 1)
    assert "job scheduler" in done.problems[job_id]
    assert (await watched.job(job_id)).state == "delayed"


async def test_a_job_that_failed_in_node_is_retried_by_us_and_runs_there(watched: NodePeer, operator: Operator) -> None:
    await watched.start_worker("fail")
    job_id = await watched.add("echo", 5)
    await watched.wait_for_event("failed", job_id)
    await watched.stop_worker()
    await operator.retry("jobs", job_id)
    assert (await watched.job(job_id)).state == "waiting"
    await watched.start_worker("echo")
    await watched.wait_for_event("completed", job_id)


async def test_a_job_of_node_that_is_enqueued_again_runs_there_with_its_edits(
    watched: NodePeer, settings: MakeSettings
) -> None:
    """Its data has no envelope, and gets none: a Node worker would take that for its payload."""
    old = await watched.add("theirs", {"n": 1}, {"attempts": 3, "backoff": {"type": "fixed", "delay": 5}})
    async with App(Registry([]), settings()) as app:
        new = await Inspector(app).acting_as(SOMEBODY).enqueue_again("jobs", old, {"n": 2}, {})
    await watched.start_worker("echo")
    await watched.wait_for_event("completed", new.job_id)
    job = await watched.job(new.job_id)
    assert (job.data, job.returnvalue, job.name) == ({"n": 2}, {"n": 2}, "theirs")
    assert (job.opts["attempts"], job.opts["backoff"]) == (3, {"type": "fixed", "delay": 5})


# Order keys, while they are worked


async def test_the_rest_of_an_order_key_runs_in_order_when_its_holder_is_removed_or_drained(
    watched: NodePeer, settings: MakeSettings, app: App, operator: Operator
) -> None:
    removed, second, third = await three(app)
    await operator.remove("jobs", removed)
    assert (await watched.job(second)).state == "waiting"
    await operator.drain("jobs")
    assert (await watched.job(third)).state == "waiting-children"
    async with working(settings(), step):
        await watched.wait_for_event("completed", third, timeout_s=10)
    assert await watched.find_job(second) is None


async def test_nodes_tools_take_the_audit_log_for_no_job(watched: NodePeer, app: App, operator: Operator) -> None:
    job_id = await watched.add("echo", 1)
    await operator.pause("jobs")
    assert await watched.remove_orphaned_jobs() == 0
    await watched.obliterate()
    assert await watched.find_job(job_id) is None
    [entry] = (await Inspector(app).audit("jobs")).entries
    assert entry.action == "pause"
