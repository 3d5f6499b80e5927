"""Acts on jobs as they were seen in a state: one that has left it meanwhile is left as it is."""

from __future__ import annotations

import asyncio

import pytest

from jobqueue.app import App
from jobqueue.errors import InvalidOption, JobNotInState
from jobqueue.inspector import Inspector, Operator
from jobqueue.job import Enqueued, State
from tests.board.support import activate, complete, fail, heartbeat

ELSEWHERE: tuple[State, ...] = ("active", "completed", "failed", "delayed", "prioritized", "waiting-children")


async def job_in(app: App, state: State) -> Enqueued:
    match state:
        case "delayed":
            return await app.enqueue_job(heartbeat, delay_ms=60_000)
        case "prioritized":
            return await app.enqueue_job(heartbeat, priority=3)
        case "waiting-children":
            return [await app.enqueue_job(heartbeat, order_key="k") for _ in range(2)][1]
        case _:
            job = await app.enqueue_job(heartbeat)
    if state == "active":
        await activate(app, job)
    elif state == "completed":
        await complete(app, job, "1")
    elif state == "failed":
        await fail(app, job, "no")
    return job


@pytest.mark.parametrize("state", ELSEWHERE)
async def test_a_job_that_waits_no_longer_is_not_removed(app: App, operator: Operator, state: State) -> None:
    job = await job_in(app, state)

    done = await operator.apply("jobs", "remove", [job.job_id], state="waiting")

    assert (done.done, done.refused) == (0, 1)
    assert done.problems[job.job_id] == f"job '{job.job_id}' is {state}, not waiting"
    assert await app.queue().state(job.job_id) == state


@pytest.mark.parametrize("state", ELSEWHERE)
async def test_a_job_that_waits_no_longer_is_not_cancelled(app: App, operator: Operator, state: State) -> None:
    job = await job_in(app, state)
    done = await operator.apply("jobs", "cancel", [job.job_id], state="waiting")
    assert (done.done, done.refused) == (0, 1)
    assert await app.queue().state(job.job_id) == state
    assert not await app.client.call("EXISTS", app.queue().keys.cancelled(job.job_id))


@pytest.mark.parametrize("state", ["waiting", *ELSEWHERE[1:]])
async def test_a_job_that_is_still_there_is_removed(app: App, operator: Operator, state: State) -> None:
    job = await job_in(app, state)
    done = await operator.apply("jobs", "remove", [job.job_id], state=state)
    assert (done.done, done.refused) == (1, 0)
    assert await app.queue().state(job.job_id) == "unknown"


@pytest.mark.parametrize("state", ["waiting", "active", "delayed", "prioritized", "waiting-children"])
async def test_a_job_that_is_still_there_is_cancelled(app: App, operator: Operator, state: State) -> None:
    job = await job_in(app, state)
    done = await operator.apply("jobs", "cancel", [job.job_id], state=state)
    assert (done.done, done.refused) == (1, 0)


async def test_a_failed_job_that_was_retried_meanwhile_is_not_removed(app: App, operator: Operator) -> None:
    job = await job_in(app, "failed")
    await app.retry_job(job.job_id)
    with pytest.raises(JobNotInState, match="is waiting, not failed"):
        await operator.remove("jobs", job.job_id, "failed")
    assert await app.queue().state(job.job_id) == "waiting"


async def test_picked_jobs_of_a_state_in_which_that_cannot_be_done_are_refused_together(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    job = await job_in(app, "completed")
    with pytest.raises(InvalidOption, match="act: retry is for jobs that are failed, not 'completed'"):
        await operator.apply("jobs", "retry", [job.job_id], state="completed")
    assert (await inspector.audit("jobs")).entries == ()


async def test_what_runs_while_all_that_wait_are_removed_keeps_its_results(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    # given
    await app.enqueue_jobs([(heartbeat, None)] * 400)
    wait, active, completed_key = app.queue().keys.each(("wait", "active", "completed"))

    async def run_the_newest() -> None:
        while (job_id := await app.client.call("LMOVE", wait, active, "LEFT", "LEFT")) is not None:
            await app.client.call("ZADD", completed_key, 1, job_id)
            await app.client.call("LREM", active, 1, job_id)

    # when
    done, _ = await asyncio.gather(operator.apply_to_all("jobs", "remove", "waiting"), run_the_newest())

    # then
    counts = (await inspector.queue("jobs")).counts
    completed = await app.client.call("ZRANGE", completed_key, 0, -1)
    assert counts["waiting"] == 0
    assert done.done + len(completed) == 400
    assert await app.client.call("EXISTS", *map(app.queue().keys.job, completed)) == len(completed) > 0
