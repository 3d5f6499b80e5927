"""Acting on many jobs and on whole queues: each job once, refusals counted, and nothing where it cannot apply."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.clock import now_ms
from jobqueue.errors import InvalidOption
from jobqueue.flows import flow
from jobqueue.inspector import MAX_IDS, Bulk, Inspector, JobFilter, Operator
from jobqueue.inspector.bulk_acts import Batches, Deadline, act_on_ids
from jobqueue.job import Enqueued, Related
from jobqueue.queue_acts import BATCH, drain
from jobqueue.steering import repair_gates
from tests.board.support import activate, complete, fail, heartbeat, note


async def some_failed(app: App, count: int) -> list[Enqueued]:
    jobs = [await app.enqueue_job(heartbeat) for _ in range(count)]
    for job in jobs:
        await fail(app, job, "no")
    return jobs


async def count_of(inspector: Inspector, state: str) -> int:
    return (await inspector.queue("jobs")).counts[state]


# Jobs by their ids


async def test_each_of_the_jobs_is_treated_once_and_refusals_are_told(app: App, operator: Operator) -> None:
    failed = [job.job_id for job in await some_failed(app, 3)]
    waiting = await app.enqueue_job(heartbeat)

    done = await operator.apply("jobs", "retry", [*failed, failed[0], waiting.job_id, "nope"])

    assert (done.done, done.refused, done.complete) == (3, 2, True)
    assert set(done.problems) == {waiting.job_id, "nope"}
    assert "not failed" in done.problems[waiting.job_id]


async def test_of_many_refusals_the_first_are_told(operator: Operator, app: App) -> None:
    await app.queue().write_meta()
    done = await operator.apply("jobs", "remove", [f"nope-{number}" for number in range(150)])
    assert (done.done, done.refused, len(done.problems)) == (0, 150, 20)


async def test_ids_that_no_job_can_have_are_refused_one_by_one(app: App, operator: Operator) -> None:
    job = await app.enqueue_job(heartbeat)
    done = await operator.apply("jobs", "remove", ["a\ud800", "b" * 100_000, "c\nd", job.job_id])
    assert (done.done, done.refused) == (1, 3)
    assert all(len(job_id) <= 500 and job_id.isprintable() for job_id in done.problems)


async def test_too_many_ids_an_unknown_act_and_an_impossible_reason_are_refused_before_anything_is_done(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    job = await app.enqueue_job(heartbeat)
    with pytest.raises(InvalidOption, match=f"at most {MAX_IDS}, not {MAX_IDS + 1}"):
        await operator.apply("jobs", "cancel", [job.job_id] * (MAX_IDS + 1))
    with pytest.raises(InvalidOption, match="act: must be one of retry, cancel, promote, remove"):
        await operator.apply("jobs", cast(Any, "obliterate"), [job.job_id])
    with pytest.raises(InvalidOption, match="reason"):
        await operator.apply("jobs", "cancel", [job.job_id], reason="a\nb")
    assert await app.queue().state(job.job_id) == "waiting"
    assert (await inspector.audit("jobs")).entries == ()


async def test_the_reason_is_that_of_each_cancelled_job(app: App, operator: Operator) -> None:
    jobs = [await app.enqueue_job(heartbeat) for _ in range(2)]
    await operator.apply("jobs", "cancel", [job.job_id for job in jobs], reason="a bad batch")
    for job in jobs:
        assert (await app.queue().job(job.job_id)).failed_reason == "Cancelled: a bad batch"


# All that match


@pytest.mark.parametrize(("act", "state"), [("retry", "waiting"), ("promote", "failed"), ("remove", "active")])
async def test_an_act_that_cannot_be_done_in_that_state_is_refused_before_anything_is_done(
    app: App, operator: Operator, inspector: Inspector, act: Any, state: Any
) -> None:
    await app.queue().write_meta()
    with pytest.raises(InvalidOption, match=f"act: {act} is for jobs that are .*, not '{state}'"):
        await operator.apply_to_all("jobs", act, state)
    assert (await inspector.audit("jobs")).entries == ()


async def test_only_the_jobs_that_match_are_treated(app: App, operator: Operator, inspector: Inspector) -> None:
    wanted = [await app.enqueue_job(heartbeat, related=("order", "7")) for _ in range(3)]
    others = [await app.enqueue_job(heartbeat, related=("order", "8")) for _ in range(3)]

    done = await operator.apply_to_all("jobs", "cancel", "waiting", JobFilter(related=Related("order", "7")))

    assert done == Bulk(3, 0, {}, True)
    assert [await app.queue().state(job.job_id) for job in wanted] == ["failed"] * 3
    assert [await app.queue().state(job.job_id) for job in others] == ["waiting"] * 3


async def test_all_of_a_long_list_are_treated_though_they_leave_it_and_others_come(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    """Jobs that leave a list move the others up: who goes on by number misses as many as he took."""
    await app.enqueue_jobs([(heartbeat, None)] * 700)
    await app.enqueue_jobs([(heartbeat, None)] * 700, created_by="carol")
    await app.enqueue_jobs([(heartbeat, None)] * 700)

    async def add_more() -> None:
        for _ in range(30):
            await app.enqueue_job(heartbeat)

    done, _ = await asyncio.gather(
        operator.apply_to_all("jobs", "remove", "waiting", JobFilter(created_by="carol")), add_more()
    )

    assert (done.done, done.refused, done.complete) == (700, 0, True)
    assert await count_of(inspector, "waiting") == 1_430


@pytest.mark.parametrize("state", ["delayed", "prioritized", "completed", "failed"])
async def test_every_job_of_a_sorted_state_is_removed(
    app: App, operator: Operator, inspector: Inspector, redis: Redis, prefix: str, state: Any
) -> None:
    for number in range(1_200):
        job_id = f"j{number}"
        await redis.hset(f"{prefix}:jobs:{job_id}", mapping={"name": "n", "data": "{}", "timestamp": "1"})
        await redis.zadd(f"{prefix}:jobs:{state}", {job_id: number + 1})
    await app.queue().write_meta()
    done = await operator.apply_to_all("jobs", "remove", state)
    assert (done.done, done.refused, done.complete) == (1_200, 0, True)
    assert await count_of(inspector, state) == 0


async def test_jobs_that_cannot_be_treated_do_not_keep_the_scan_from_its_end(
    app: App, operator: Operator, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    """Those stay where they are, and are seen in each look again."""
    await redis.zadd(f"{prefix}:jobs:failed", {f"gone-{number}": number + 1 for number in range(1_100)})
    last = (await some_failed(app, 1))[0]
    await redis.zadd(f"{prefix}:jobs:failed", {last.job_id: 0.5})
    done = await operator.retry_failed("jobs")
    assert (done.done, done.refused, done.complete) == (1, 1_100, True)


async def test_a_running_job_is_told_once_though_it_stays_active(app: App, operator: Operator) -> None:
    for _ in range(3):
        await activate(app, await app.enqueue_job(heartbeat))
    done = await operator.apply_to_all("jobs", "cancel", "active")
    assert done == Bulk(3, 0, {}, True)


async def test_a_job_that_has_left_the_state_is_not_removed(app: App, redis: Redis, prefix: str) -> None:
    [job] = await some_failed(app, 1)
    await app.retry_job(job.job_id)
    with pytest.raises(Exception, match="is waiting, not failed"):
        await app.control.remove(job.job_id, "jobs", state="failed")
    assert await app.queue().state(job.job_id) == "waiting"


async def test_what_the_time_does_not_suffice_for_is_left_and_said() -> None:
    treated: list[str] = []

    async def treat(job_id: str) -> None:
        treated.append(job_id)

    over = Batches(treat, Deadline(ends_at_s=0))

    assert not await over.treat(["1", "2"])
    assert over.outcome(complete=False) == Bulk(0, 0, {}, False)
    assert treated == []
    assert (await act_on_ids(treat, ["1", "2"])).complete


# All failed, all delayed


async def test_all_failed_jobs_are_retried_each_by_the_rules_of_its_ties(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    # given: two of one order key have failed
    first, second = [await app.enqueue_job(heartbeat, order_key="k") for _ in range(2)]
    for job in (first, second):
        await app.cancel_job(job.job_id)
    await some_failed(app, 5)

    done = await operator.retry_failed("jobs")

    assert (done.done, done.refused, done.complete) == (7, 0, True)
    assert await count_of(inspector, "failed") == 0
    states = sorted([await app.queue().state(job.job_id) for job in (first, second)])
    assert states == ["waiting", "waiting-children"], "one after the other"


async def test_two_who_retry_all_at_once_retry_each_job_once(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    await some_failed(app, 200)
    both = await asyncio.gather(operator.retry_failed("jobs"), operator.retry_failed("jobs"))
    assert sum(one.done for one in both) == 200
    assert await count_of(inspector, "waiting") == 200


async def test_all_delayed_jobs_run_now_but_the_next_one_of_a_job_scheduler(
    app: App, operator: Operator, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    slot_ms = now_ms() + 60_000
    job_id = f"repeat:a:daily\n:{slot_ms}"
    await redis.hset(f"{prefix}:jobs:{job_id}", mapping={"name": "heartbeat", "data": "{}", "timestamp": "1"})
    await redis.zadd(f"{prefix}:jobs:repeat", {"a:daily\n": slot_ms})
    await redis.zadd(f"{prefix}:jobs:delayed", {job_id: slot_ms * 4096})
    await app.enqueue_jobs([(heartbeat, None)] * 600, delay_ms=60_000)

    done = await operator.promote_delayed("jobs")

    assert done == Bulk(600, 0, {}, True)
    assert [view.id for view in (await inspector.jobs("jobs", "delayed")).jobs] == [job_id]


# Pause, drain, clean


async def test_a_queue_is_paused_and_resumed_twice_is_fine(app: App, operator: Operator, inspector: Inspector) -> None:
    await app.enqueue_job(heartbeat)
    for act, paused in ((operator.pause, True), (operator.pause, True), (operator.resume, False)):
        await act("jobs")
        assert (await inspector.queue("jobs")).paused is paused
    await operator.resume("jobs")
    assert await app.client.call("ZSCORE", app.queue().keys.of("marker"), "0") is not None


async def test_a_drain_removes_what_waits_and_leaves_the_rest(
    app: App, operator: Operator, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    # given: more than a batch that waits, some with a priority, and one in each other state
    await app.enqueue_jobs([(heartbeat, None)] * (2 * BATCH + 7))
    await app.enqueue_jobs([(heartbeat, None)] * 3, priority=2)
    await app.enqueue_job(heartbeat, delay_ms=60_000)
    await some_failed(app, 1)
    await complete(app, await app.enqueue_job(heartbeat), "1")
    await activate(app, await app.enqueue_job(heartbeat))

    assert await operator.drain("jobs") == Bulk(2 * BATCH + 10, 0, {}, True)

    counts = (await inspector.queue("jobs")).counts
    assert {state: count for state, count in counts.items() if count} == {
        "delayed": 1,
        "failed": 1,
        "completed": 1,
        "active": 1,
    }
    assert await operator.drain("jobs", delayed=True) == Bulk(1, 0, {}, True)
    assert len(await redis.keys(f"{prefix}:jobs:[0-9]*")) == 3


async def test_a_drain_leaves_the_next_job_of_a_scheduler_where_it_is_due_and_takes_no_other_in_its_place(
    app: App, operator: Operator, redis: Redis, prefix: str
) -> None:
    """The shipped script cuts as many off the list's end as it removed, whichever they are."""
    slot_ms = now_ms()
    job_id = f"repeat:daily:{slot_ms}"
    await app.enqueue_jobs([(heartbeat, None)] * 3)
    await redis.hset(f"{prefix}:jobs:{job_id}", mapping={"name": "heartbeat", "data": "{}", "timestamp": "1"})
    await redis.zadd(f"{prefix}:jobs:repeat", {"daily": slot_ms})
    await redis.lpush(f"{prefix}:jobs:wait", job_id)
    await app.enqueue_jobs([(heartbeat, None)] * (BATCH + 3))

    assert await operator.drain("jobs") == Bulk(BATCH + 6, 0, {}, True)

    assert await redis.lrange(f"{prefix}:jobs:wait", 0, -1) == [job_id]


async def test_a_drain_leaves_parked_jobs_whose_turn_comes_then(app: App, operator: Operator) -> None:
    first, second = [await app.enqueue_job(heartbeat, order_key="k") for _ in range(2)]
    assert await operator.drain("jobs") == Bulk(1, 0, {}, True)
    assert await app.queue().state(first.job_id) == "unknown"
    assert await app.queue().state(second.job_id) == "waiting-children"
    assert await repair_gates(app.queue(), {}, 0) == 1, "as a worker does every two seconds"
    assert await app.queue().state(second.job_id) == "waiting"


async def test_a_parent_that_waited_for_drained_children_alone_goes_with_them(app: App, operator: Operator) -> None:
    root = await app.enqueue_flow(flow(heartbeat, children=[flow(heartbeat), flow(heartbeat)]))
    assert await operator.drain("jobs") == Bulk(2, 0, {}, True)
    assert await app.queue().state(root.job_id) == "unknown"


async def test_a_drain_whose_time_is_up_leaves_the_rest(app: App, inspector: Inspector) -> None:
    await app.enqueue_jobs([(heartbeat, None)] * 3 * BATCH)
    looks = iter((True, True, False, False))
    assert await drain(app.queue(), goes_on=lambda: next(looks)) == 2 * BATCH
    assert await count_of(inspector, "waiting") == BATCH


async def test_old_jobs_are_cleaned_and_counted(app: App, operator: Operator, inspector: Inspector) -> None:
    old, young = await some_failed(app, 2)
    await app.client.call("ZADD", app.queue().keys.of("failed"), 1_000, old.job_id)
    await app.client.call("HSET", app.queue().keys.job(old.job_id), "finishedOn", 1_000)
    assert await operator.clean("jobs", "failed", 3_600_000) == Bulk(1, 0, {}, True)
    assert await app.queue().state(young.job_id) == "failed"
    with pytest.raises(InvalidOption, match="state"):
        await operator.clean("jobs", cast(Any, "waiting-children"), 0)
    with pytest.raises(InvalidOption, match="older_than_ms"):
        await operator.clean("jobs", "failed", -1)


async def test_an_act_is_for_its_queue_alone(app: App, operator: Operator) -> None:
    here, there = await app.enqueue_job(heartbeat), await app.enqueue_job(note, {})
    await operator.drain("notes")
    assert await app.queue("jobs").state(here.job_id) == "waiting"
    assert await app.queue("notes").state(there.job_id) == "unknown"
