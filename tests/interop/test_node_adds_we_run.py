"""Each kind of job that Node adds is run by our worker, and Node sees that it was."""

from __future__ import annotations

import itertools

import pytest
from pydantic import JsonValue
from redis.asyncio import Redis

from jobqueue.context import JobContext
from jobqueue.handler import Handler
from jobqueue.wrappers import make_job
from tests.conftest import MakeSettings
from tests.interop.node_peer import NewJob, NodePeer
from tests.interop.ours import NO_ROUTE, echo, fail, succeed_third, working

VALUES: tuple[JsonValue, ...] = (
    {"to": "Zoë", "tags": ["a", None], "rate": 0.5, "big": 9_007_199_254_740_991},
    ["one", {"two": 2}],
    "just text",
    "",
    7,
    0,
    False,
    {},
    {"type": "invoice", "payload": "a foreign word named as ours"},
)


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_what_node_adds_is_our_payload_and_our_return_value_is_what_node_reads(
    watched: NodePeer, settings: MakeSettings, value: JsonValue
) -> None:
    # given
    job_id = await watched.add("echo", value)

    # when
    async with working(settings(), echo):
        event = await watched.wait_for_event("completed", job_id)

    # then
    job = await watched.job(job_id)
    assert (event.returnvalue, job.returnvalue, job.state) == (value, value, "completed")


async def test_our_own_envelope_is_opened_when_node_writes_it(watched: NodePeer, settings: MakeSettings) -> None:
    job_id = await watched.add("echo", {"type": "adhoc", "payload": {"n": 1}})

    async with working(settings(), echo):
        event = await watched.wait_for_event("completed", job_id)

    assert event.returnvalue == {"n": 1}


async def test_a_delayed_job_of_node_starts_after_its_time_and_not_before(
    watched: NodePeer, settings: MakeSettings
) -> None:
    async with working(settings(), echo):
        job_id = await watched.add("echo", 1, {"delay": 300})
        await watched.wait_for_event("completed", job_id)

    job = await watched.job(job_id)
    assert job.processed_on is not None
    assert 300 <= job.processed_on - job.timestamp < 3_000


async def test_priorities_of_node_are_kept_lower_first_and_none_before_all(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # given
    ran, note = _noting()
    await watched.add("note", "third", {"priority": 9})
    await watched.add("note", "second", {"priority": 2})
    await watched.add("note", "first")
    last = await watched.add("note", "fourth", {"priority": 9})

    # when
    async with working(settings(worker_concurrency=1), note):
        await watched.wait_for_event("completed", last)

    # then
    assert ran == ["first", "second", "third", "fourth"]


async def test_a_lifo_job_of_node_overtakes_those_that_wait(watched: NodePeer, settings: MakeSettings) -> None:
    # given
    ran, note = _noting()
    await watched.add("note", "second")
    last = await watched.add("note", "third")
    await watched.add("note", "first", {"lifo": True})

    # when
    async with working(settings(worker_concurrency=1), note):
        await watched.wait_for_event("completed", last)

    # then
    assert ran == ["first", "second", "third"]


async def test_attempts_and_backoff_are_those_that_node_asked_for(watched: NodePeer, settings: MakeSettings) -> None:
    # given: the handler's own policy would say otherwise
    job_id = await watched.add("succeed_third", None, {"attempts": 3, "backoff": {"type": "fixed", "delay": 150}})

    # when
    async with working(settings(), succeed_third):
        await watched.wait_for_event("completed", job_id)

    # then
    job = await watched.job(job_id)
    assert (job.returnvalue, job.attempts_made, job.attempts_started) == (3, 3, 3)
    assert [NO_ROUTE in stack for stack in job.stacktrace] == [True, True]
    assert job.processed_on is not None
    assert job.processed_on - job.timestamp >= 2 * 150


async def test_a_job_that_fails_all_of_nodes_attempts_ends_failed_with_its_reason(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # given
    job_id = await watched.add("fail", {"n": 1}, {"attempts": 2, "backoff": 10})

    # when
    async with working(settings(), fail):
        event = await watched.wait_for_event("failed", job_id)
        await watched.wait_for_event("retries-exhausted", job_id)

    # then
    job = await watched.job(job_id)
    assert NO_ROUTE in (event.failed_reason or "")
    assert job.failed_reason == event.failed_reason
    assert (job.state, job.attempts_made, len(job.stacktrace)) == ("failed", 2, 2)


async def test_a_job_without_attempts_is_tried_once_as_node_would(watched: NodePeer, settings: MakeSettings) -> None:
    job_id = await watched.add("succeed_third", None)

    async with working(settings(), succeed_third):
        await watched.wait_for_event("failed", job_id)

    assert (await watched.job(job_id)).attempts_made == 1


async def test_a_custom_id_of_node_stays_and_a_second_job_of_it_is_not_run(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # given
    ran, note = _noting()
    first = await watched.add("note", "first", {"jobId": "report-1"})
    second = await watched.add("note", "second", {"jobId": "report-1"})

    # when
    async with working(settings(), note):
        await watched.wait_for_event("completed", "report-1")

    # then
    assert (first, second, ran) == ("report-1", "report-1", ["first"])


async def test_a_bulk_of_node_runs_each_job_once(watched: NodePeer, settings: MakeSettings) -> None:
    # given
    ran, note = _noting()
    ids = await watched.add_bulk([NewJob("note", n) for n in range(50)])

    # when
    async with working(settings(), note):
        await watched.wait_for_event("completed", count=50)

    # then
    assert sorted(await watched.job_ids("completed")) == sorted(ids)
    assert sorted(map(str, ran)) == sorted(str(n) for n in range(50))


async def test_a_job_that_node_does_not_want_kept_is_gone_when_it_has_completed(
    watched: NodePeer, settings: MakeSettings
) -> None:
    job_id = await watched.add("echo", 1, {"removeOnComplete": True})

    async with working(settings(), echo):
        await watched.wait_for_event("completed", job_id)

    assert await watched.find_job(job_id) is None


async def test_a_scheduler_of_node_goes_on_while_only_our_worker_runs(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # given
    ran, note = _noting()
    await watched.upsert_scheduler("beat", {"every": 200}, {"name": "note", "data": "beat", "opts": {"attempts": 2}})

    # when
    async with working(settings(), note):
        await watched.wait_for_event("completed", count=3)
        [scheduler] = await watched.schedulers()
    ids = await watched.job_ids("completed")

    # then: one job a slot, the slots 200 ms apart, and a next one stands ready
    slots = sorted(int(job_id.rpartition(":")[2]) for job_id in ids)
    assert {later - earlier for earlier, later in itertools.pairwise(slots)} == {200}
    assert scheduler.iteration_count is not None
    assert scheduler.iteration_count >= 3
    assert (await watched.job(f"repeat:beat:{scheduler.next}")).opts["attempts"] == 2
    assert set(ran) == {"beat"}


async def test_a_cron_pattern_of_node_goes_on_while_only_our_worker_runs(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # given: every second
    await watched.upsert_scheduler("tick", {"pattern": "* * * * * *", "tz": "Europe/Berlin"}, {"name": "echo"})

    # when
    async with working(settings(), echo):
        await watched.wait_for_event("completed", count=2)
        [scheduler] = await watched.schedulers()
    slots = sorted(int(job_id.rpartition(":")[2]) for job_id in await watched.job_ids("completed"))

    # then
    assert slots[1] - slots[0] == 1_000
    assert slots[0] % 1_000 == 0
    assert (scheduler.pattern, scheduler.tz) == ("* * * * * *", "Europe/Berlin")
    assert scheduler.next > slots[1]


async def test_the_children_of_a_flow_run_first_and_their_values_reach_the_parent(
    watched: NodePeer, settings: MakeSettings, redis: Redis
) -> None:
    # given
    ran, note = _noting()
    children: list[JsonValue] = [{"name": "note", "data": n, "queueName": "jobs"} for n in (1, 2)]
    flow = await watched.add_flow({"name": "note", "data": "parent", "queueName": "jobs", "children": children})

    # when
    async with working(settings(), note):
        await watched.wait_for_event("completed", flow.id)

    # then
    assert ran[-1] == "parent"
    values = await redis.hgetall(f"{watched.prefix}:jobs:{flow.id}:processed")
    assert values == {
        f"{watched.prefix}:jobs:{child.id}": str(n) for child, n in zip(flow.children, (1, 2), strict=True)
    }


async def test_a_child_that_fails_for_good_fails_its_parent_where_node_asked_for_that(
    watched: NodePeer, settings: MakeSettings
) -> None:
    # given
    child: JsonValue = {"name": "fail", "data": 1, "queueName": "jobs", "opts": {"failParentOnFailure": True}}
    flow = await watched.add_flow({"name": "echo", "data": 1, "queueName": "jobs", "children": [child]})

    # when
    async with working(settings(), echo, fail):
        await watched.wait_for_event("failed", flow.id)

    # then
    parent = await watched.job(flow.id)
    assert parent.failed_reason == f"child {watched.prefix}:jobs:{flow.children[0].id} failed"


def _noting() -> tuple[list[object], Handler[object]]:
    ran: list[object] = []

    @make_job
    async def note(ctx: JobContext, payload: object) -> object:
        ran.append(payload)
        return payload

    return ran, note
