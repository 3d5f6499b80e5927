"""Each kind of job that we add is run by a Node worker, and our side learns how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel, SecretStr

from jobqueue.app import App
from jobqueue.context import JobContext
from jobqueue.errors import JobFailed
from jobqueue.job import Keep, exponential, fixed
from jobqueue.registry import Registry
from jobqueue.wrappers import make_job, make_superseding_job
from tests.conftest import MakeSettings
from tests.interop.node_peer import NodePeer


class Letter(BaseModel):
    to: str
    pages: int = 1
    stamp: SecretStr = SecretStr("none")


@make_job(name="sendLetter")
async def send_letter(ctx: JobContext, payload: Letter) -> None:
    """Declared here for its name and policy; Node runs it."""


@make_job(name="once", attempts=1, keep_completed=Keep(count=0))
async def once(ctx: JobContext) -> None:
    """One try, and nothing stays of it."""


@make_job(name="ping")
async def ping(ctx: JobContext) -> None:
    """Takes nothing and returns nothing."""


@make_superseding_job(name="sync", dedupe_key=lambda payload: "the-only-lane")
async def sync(ctx: JobContext, payload: object) -> None:
    """A newer one stops the older one, where ours runs it."""


REGISTRY = Registry([send_letter, once, ping, sync])


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(REGISTRY, settings()) as app:
        yield app


async def test_our_payload_is_in_the_envelope_that_node_reads_and_its_value_comes_back(
    app: App, node: NodePeer
) -> None:
    # given
    await node.start_worker("echo")

    # when
    result = await app.enqueue_job(send_letter, Letter(to="Zoë", stamp=SecretStr("gold")))
    value = await result.wait(10)

    # then: a secret travels in clear, since Node must be able to use it
    assert value == {"type": "adhoc", "payload": {"to": "Zoë", "pages": 1, "stamp": "gold"}}
    assert (await node.job(result.job_id)).name == "sendLetter"


async def test_a_failure_in_node_is_raised_where_we_wait(app: App, node: NodePeer) -> None:
    await node.start_worker("failUnrecoverably", {"message": "no such address"})

    result = await app.enqueue_job(send_letter, Letter(to="Zoë"))

    with pytest.raises(JobFailed, match="no such address"):
        await result.wait(10)


async def test_a_value_of_nothing_comes_back_as_none(app: App, node: NodePeer) -> None:
    await node.start_worker("none")

    result = await app.enqueue_job(ping)

    assert await result.wait(10) is None


async def test_our_delayed_job_starts_in_node_after_its_time_and_not_before(app: App, watched: NodePeer) -> None:
    # given
    await watched.start_worker("echo")

    # when
    result = await app.enqueue_job(send_letter, Letter(to="Zoë"), delay_ms=300)
    await watched.wait_for_event("completed", result.job_id)

    # then
    job = await watched.job(result.job_id)
    assert job.processed_on is not None
    assert 300 <= job.processed_on - job.timestamp < 3_000


async def test_our_priorities_are_kept_by_node(app: App, watched: NodePeer) -> None:
    # given
    third = await app.enqueue_job(send_letter, Letter(to="c"), priority=9)
    second = await app.enqueue_job(send_letter, Letter(to="b"), priority=2)
    first = await app.enqueue_job(send_letter, Letter(to="a"))

    # when
    await watched.start_worker("echo")
    await watched.wait_for_event("completed", third.job_id)

    # then
    active = [event.job_id for event in await watched.events() if event.event == "active"]
    assert active == [first.job_id, second.job_id, third.job_id]


async def test_our_attempts_and_backoff_are_kept_by_node(app: App, watched: NodePeer) -> None:
    # given
    await watched.start_worker("failUntil", {"attempt": 3})

    # when
    result = await app.enqueue_job(send_letter, Letter(to="Zoë"), attempts=3, backoff=fixed(150))
    await watched.wait_for_event("completed", result.job_id)

    # then
    job = await watched.job(result.job_id)
    assert job.attempts_made == 3
    assert job.processed_on is not None
    assert job.processed_on - job.timestamp >= 2 * 150


async def test_our_exponential_backoff_doubles_in_node(app: App, watched: NodePeer) -> None:
    # given
    await watched.start_worker("failUntil", {"attempt": 3})

    # when
    result = await app.enqueue_job(send_letter, Letter(to="Zoë"), attempts=3, backoff=exponential(100))
    await watched.wait_for_event("completed", result.job_id)

    # then
    job = await watched.job(result.job_id)
    assert job.processed_on is not None
    assert job.processed_on - job.timestamp >= 100 + 200


async def test_our_retention_is_kept_by_node(app: App, watched: NodePeer) -> None:
    await watched.start_worker("echo")

    result = await app.enqueue_job(once)
    await watched.wait_for_event("completed", result.job_id)

    assert await watched.find_job(result.job_id) is None


async def test_our_job_id_is_one_job_for_node_too(app: App, node: NodePeer) -> None:
    # given
    first = await app.enqueue_job(send_letter, Letter(to="a"), job_id="letter-1")
    from_node = await node.add("sendLetter", {"to": "b"}, {"jobId": "letter-1"})
    second = await app.enqueue_job(send_letter, Letter(to="c"), job_id="letter-1")

    # then
    assert (first.created, from_node, second.created) == (True, "letter-1", False)
    assert (await node.job("letter-1")).data == {
        "type": "adhoc",
        "payload": {"to": "a", "pages": 1, "stamp": "none"},
    }
    assert (await node.counts())["waiting"] == 1


async def test_many_jobs_of_ours_are_run_by_node_in_the_order_of_enqueueing(app: App, watched: NodePeer) -> None:
    # given
    results = await app.enqueue_jobs([(send_letter, Letter(to=str(n))) for n in range(50)])

    # when
    await watched.start_worker("echo")
    await watched.wait_for_event("completed", count=50)

    # then
    active = [event.job_id for event in await watched.events() if event.event == "active"]
    assert active == [result.job_id for result in results]


async def test_node_retries_promotes_and_removes_our_jobs(app: App, watched: NodePeer) -> None:
    # given
    await watched.start_worker("failUnrecoverably")
    failed = await app.enqueue_job(send_letter, Letter(to="a"))
    await watched.wait_for_event("failed", failed.job_id)
    await watched.stop_worker()
    delayed = await app.enqueue_job(send_letter, Letter(to="b"), delay_ms=600_000)
    unwanted = await app.enqueue_job(send_letter, Letter(to="c"))

    # when
    await watched.retry(failed.job_id)
    await watched.promote(delayed.job_id)
    await watched.remove(unwanted.job_id)
    await watched.start_worker("echo")
    await watched.wait_for_event("completed", delayed.job_id)
    await watched.wait_for_event("completed", failed.job_id)

    # then
    assert sorted(await watched.job_ids("completed")) == sorted([failed.job_id, delayed.job_id])


async def test_superseding_jobs_are_plain_jobs_to_node_which_runs_each(app: App, watched: NodePeer) -> None:
    # given
    older = await app.enqueue_job(sync, {"n": 1})
    newer = await app.enqueue_job(sync, {"n": 2})

    # when
    await watched.start_worker("echo")
    await watched.wait_for_event("completed", newer.job_id)

    # then
    assert newer.superseded == older.job_id
    assert await watched.job_ids("completed") == [older.job_id, newer.job_id]
