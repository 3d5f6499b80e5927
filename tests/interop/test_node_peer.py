"""The Node peer itself: what it is told it does, and what it cannot do it says."""

from __future__ import annotations

import pytest

from tests.interop.node_peer import NewJob, NodePeer, NodePeerError


async def test_a_job_that_node_adds_is_run_by_its_worker(node: NodePeer) -> None:
    # given
    await node.start_events()
    await node.start_worker("report", {"progress": 40, "log": "almost"}, opts={"name": "paula"})

    # when
    job_id = await node.add("greet", {"to": "Zoë"}, {"attempts": 2})
    event = await node.wait_for_event("completed", job_id)

    # then
    job = await node.job(job_id)
    assert event.returnvalue == {"to": "Zoë"}
    assert (job.state, job.returnvalue, job.progress, job.logs) == (
        "completed",
        {"to": "Zoë"},
        40,
        ["almost"],
    )
    assert (job.attempts_made, job.processed_by) == (1, "paula")


async def test_many_jobs_come_back_in_the_order_in_which_they_were_given(node: NodePeer) -> None:
    ids = await node.add_bulk([NewJob("count", {"n": n}, {"delay": 60_000}) for n in range(20)])

    assert [(await node.job(job_id)).data for job_id in ids] == [{"n": n} for n in range(20)]
    assert (await node.counts())["delayed"] == 20


async def test_an_error_of_node_comes_back_as_an_error(node: NodePeer) -> None:
    with pytest.raises(NodePeerError, match="Custom Id cannot be integers"):
        await node.add("greet", {}, {"jobId": "12"})

    with pytest.raises(NodePeerError, match="no job 7 in"):
        await node.retry("7")


async def test_an_event_that_does_not_come_is_an_error_that_tells_what_did(node: NodePeer) -> None:
    # given
    await node.start_events()
    job_id = await node.add("greet", {})
    await node.wait_for_event("waiting", job_id)

    # when, then
    with pytest.raises(NodePeerError, match=rf"no 1\. event completed .* waiting\({job_id}\)"):
        await node.wait_for_event("completed", job_id, timeout_s=0.1)


async def test_the_peer_ends_although_a_handler_of_its_worker_sleeps(redis_url: str, prefix: str) -> None:
    # given
    async with NodePeer(redis_url, prefix) as node:
        await node.start_events()
        await node.start_worker("sleep", {"ms": 600_000})
        job_id = await node.add("greet", {})

        # when
        await node.wait_for_event("active", job_id)

    # then: leaving the block raised nothing, so Node ended in time and with status 0


async def test_a_peer_without_redis_does_not_hang(prefix: str) -> None:
    # given: nothing listens on port 1
    peer = NodePeer("redis://127.0.0.1:1", prefix, call_limit_s=0.5)

    # when, then
    with pytest.raises(NodePeerError, match=r"add: no answer from the Node peer within 0\.5 s"):
        async with peer:
            await peer.add("greet", {})
