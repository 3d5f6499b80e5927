"""A flow of ours is a flow to Node, and a flow of Node's is one to us."""

from __future__ import annotations

import json
from typing import Any, get_args

import httpx
import pytest
from pydantic import JsonValue

from jobqueue import App, JobContext, make_job
from jobqueue.children import Children
from jobqueue.flows import EnqueuedFlow, flow
from jobqueue.wire import OnFailure
from tests.conftest import MakeSettings
from tests.flows.family import NO_ROUTE, REGISTRY, add_up, echo, fail
from tests.interop.node_peer import NodePeer
from tests.interop.node_records import NodeFlow
from tests.patterns.working import working

NODES_WORDS: dict[OnFailure, str] = {
    "fail_parent": "failParentOnFailure",
    "continue_parent": "continueParentOnFailure",
    "ignore": "ignoreDependencyOnFailure",
    "remove": "removeDependencyOnFailure",
}


def shape(tree: EnqueuedFlow | NodeFlow) -> tuple[str, list[Any]]:
    """The ids of a tree, brothers sorted: Node's getFlow finds them in no order."""
    job_id = tree.job_id if isinstance(tree, EnqueuedFlow) else tree.id
    return job_id, sorted(shape(child) for child in tree.children)


def node_flow(name: str, data: JsonValue, *children: JsonValue, **opts: JsonValue) -> dict[str, JsonValue]:
    """A flow as Node's FlowProducer takes it."""
    return {"name": name, "data": data, "queueName": "jobs", "opts": opts, "children": list(children)}


# Ours, seen and run by Node


async def test_node_reads_our_tree_as_we_stored_it(node: NodePeer, settings: MakeSettings) -> None:
    tree = flow(echo, 0, children=[flow(echo, 1), flow(echo, 2, children=[flow(echo, 3, queue="bulk")])])

    async with App(REGISTRY, settings()) as app:
        stored = await app.enqueue_flow(tree)

    assert shape(await node.flow(stored.job_id)) == shape(stored)


async def test_a_worker_of_nodes_runs_our_flow_and_its_parent_reads_the_childrens_values(
    node: NodePeer, settings: MakeSettings
) -> None:
    # given
    async with App(REGISTRY, settings()) as app:
        stored = await app.enqueue_flow(flow(echo, 0, children=[flow(echo, 1, queue="bulk"), flow(echo, 2)]))

    # when
    await node.on("bulk").start_worker("value", {"value": "from bulk"}, worker_id="bulk")
    await node.start_worker("childrenValues")
    await node.wait_for_event("completed", stored.job_id)

    # then: the child in `jobs` had no children, so it returned an empty list
    values = (await node.job(stored.job_id)).returnvalue
    assert isinstance(values, list)
    assert sorted(values, key=str) == [[], "from bulk"]
    assert await node.children_values(stored.job_id) == {
        f"{node.prefix}:bulk:{stored.children[0].job_id}": "from bulk",
        f"{node.prefix}:jobs:{stored.children[1].job_id}": [],
    }


@pytest.mark.parametrize("on_failure", get_args(OnFailure))
async def test_a_failure_option_of_ours_is_stored_as_node_stores_it(
    node: NodePeer, settings: MakeSettings, on_failure: OnFailure
) -> None:
    # given: the same flow by both
    async with App(REGISTRY, settings()) as app:
        ours = await app.enqueue_flow(flow(echo, 0, job_id="ours", children=[flow(echo, 1, on_failure=on_failure)]))
    child = node_flow("echo", 1, **{NODES_WORDS[on_failure]: True})
    nodes = await node.add_flow(node_flow("echo", 0, child, jobId="nodes"))

    # then
    our_child, nodes_child = await node.raw(ours.children[0].job_id), await node.raw(nodes.children[0].id)
    assert json.loads(our_child.hash["parent"]) == json.loads(nodes_child.hash["parent"]) | {"id": "ours"}
    theirs = json.loads(nodes_child.hash["opts"]) | {"parent": {"id": "ours", "queue": f"{node.prefix}:jobs"}}
    del theirs["attempts"]  # Node has no default of its own
    assert theirs.items() <= json.loads(our_child.hash["opts"]).items()


@pytest.mark.parametrize(
    ("on_failure", "parents_state", "ignored"),
    [
        ("fail_parent", "failed", {}),
        ("continue_parent", "completed", {"child": "boom"}),
        ("ignore", "completed", {"child": "boom"}),
        ("remove", "completed", {}),
    ],
)
async def test_a_failure_option_of_ours_holds_on_a_worker_of_nodes(
    node: NodePeer, settings: MakeSettings, on_failure: OnFailure, parents_state: str, ignored: dict[str, str]
) -> None:
    # given
    child = flow(echo, 1, job_id="child", queue="bulk", attempts=1, on_failure=on_failure)
    async with App(REGISTRY, settings()) as app:
        await app.enqueue_flow(flow(echo, 0, job_id="parent", children=[child]))

    # when
    await node.on("bulk").start_worker("fail", worker_id="bulk")
    await node.start_worker("echo")
    await node.wait_for_event(parents_state, "parent")

    # then
    assert await node.ignored_failures("parent") == {
        f"{node.prefix}:bulk:{child_id}": reason for child_id, reason in ignored.items()
    }


async def test_a_failed_child_that_node_retries_lets_the_waiting_parent_run(
    node: NodePeer, settings: MakeSettings
) -> None:
    async with App(REGISTRY, settings()) as app:
        await app.enqueue_flow(flow(echo, 0, job_id="parent", children=[flow(echo, 1, job_id="child", attempts=1)]))
    await node.start_worker("fail")
    await node.wait_for_event("failed", "child")
    await node.stop_worker()
    assert await node.job_ids("waiting-children") == ["parent"]

    await node.retry("child")
    await node.start_worker("echo")

    await node.wait_for_event("completed", "parent")


async def test_a_failed_child_that_node_removes_lets_the_waiting_parent_run(
    node: NodePeer, settings: MakeSettings
) -> None:
    async with working(settings(), echo, fail) as app:
        await app.enqueue_flow(flow(echo, 0, job_id="parent", children=[flow(fail, 1, job_id="child")]))
        await node.wait_for_event("failed", "child")

        await node.remove("child")

        await node.wait_for_event("completed", "parent")


async def test_bull_board_shows_our_tree(node: NodePeer, settings: MakeSettings) -> None:
    async with App(REGISTRY, settings()) as app:
        stored = await app.enqueue_flow(flow(echo, 0, children=[flow(echo, 1), flow(echo, 2)]))

    async with httpx.AsyncClient(base_url=await node.start_board()) as http:
        tree = (await http.get(f"/api/queues/jobs/{stored.job_id}/flow")).raise_for_status().json()
        listed = (await http.get("/api/queues", params={"activeQueue": "jobs", "status": "waiting-children"})).json()

    assert [job["id"] for job in listed["queues"][0]["jobs"]] == [stored.job_id]
    assert tree["flowRoot"]["id"] == stored.job_id
    assert sorted(child["id"] for child in tree["flowRoot"]["children"]) == [child.job_id for child in stored.children]


# Node's, run by us


async def test_a_flow_of_nodes_is_run_by_us_and_the_handler_sees_its_children(
    node: NodePeer, settings: MakeSettings
) -> None:
    tree = node_flow("add_up", 1, node_flow("add_up", 20, node_flow("echo", 300)), node_flow("echo", 4000))
    stored = await node.add_flow(tree)

    async with working(settings(), add_up, echo):
        event = await node.wait_for_event("completed", stored.id)

    assert event.returnvalue == 4321


async def test_children_that_node_ran_are_seen_by_our_parent(node: NodePeer, settings: MakeSettings) -> None:
    # given
    seen: list[Children] = []

    @make_job
    async def look(ctx: JobContext, payload: object) -> None:
        seen.append(await ctx.children())

    await node.on("bulk").start_worker("echo", worker_id="bulk")
    await node.on("broken").start_worker("fail", {"message": NO_ROUTE}, worker_id="broken")

    # when
    async with working(settings(), echo, look) as app:
        leaves = [
            flow(echo, "b", queue="broken", attempts=1, on_failure="ignore"),
            flow(echo, "a", queue="bulk"),
        ]
        stored = await app.enqueue_flow(flow(look, None, children=leaves))
        await stored.wait(15)

    # then
    [children] = seen
    assert [(child.queue, child.name, child.failed_reason) for child in children] == [
        ("broken", "echo", NO_ROUTE),
        ("bulk", "echo", None),
    ]
    assert children.results == [{"type": "adhoc", "payload": "a"}]


async def test_a_child_that_node_adds_to_a_parent_of_ours_is_waited_for(node: NodePeer, settings: MakeSettings) -> None:
    async with App(REGISTRY, settings()) as app:
        await app.enqueue_flow(flow(add_up, 1, job_id="parent", children=[flow(echo, 20)]))
    await node.add("echo", 300, {"parent": {"id": "parent", "queue": f"{node.prefix}:jobs"}})

    async with working(settings(), add_up, echo):
        event = await node.wait_for_event("completed", "parent")

    assert event.returnvalue == 321
