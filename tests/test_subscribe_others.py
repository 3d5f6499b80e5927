"""`subscribe` to jobs that others end: a Node worker, somebody who cancels, somebody who retries by hand."""

from __future__ import annotations

from jobqueue import App, JobContext, Registry, fixed, make_job
from tests.conftest import MakeSettings
from tests.interop.node_peer import NodePeer
from tests.subscribing import echo, take
from tests.worker.harness import at_work


@make_job(attempts=3, backoff=fixed(5))
async def unlucky(ctx: JobContext) -> None:
    raise RuntimeError("no luck")


async def test_a_job_that_is_cancelled_before_it_starts_is_told_as_failed(settings: MakeSettings) -> None:
    async with App(Registry([echo]), settings()) as app, app.subscribe(handler=echo) as outcomes:
        job = await app.enqueue_job(echo, 1)
        await app.cancel_job(job.job_id, "not wanted")
        (only,) = await take(outcomes, 1)

    assert (only.job_id, only.state, only.failed_reason) == (job.job_id, "failed", "Cancelled: not wanted")


async def test_a_job_that_is_retried_by_hand_is_told_again_with_its_tries_counted_anew(settings: MakeSettings) -> None:
    async with at_work(settings(), unlucky) as site, site.app.subscribe(handler=unlucky) as outcomes:
        job = await site.app.enqueue_job(unlucky)
        first = await take(outcomes, 3)
        await site.app.retry_job(job.job_id)
        again = await take(outcomes, 3)

    for tries in (first, again):
        assert [(one.state, one.attempt) for one in tries] == [("retried", 1), ("retried", 2), ("failed", 3)]


async def test_of_a_job_that_a_node_worker_runs_the_end_is_told_and_not_the_tries_before(
    settings: MakeSettings, redis_url: str, prefix: str
) -> None:
    """BullMQ has no event for a failed try that another follows, and only our worker writes one."""
    async with (
        NodePeer(redis_url, prefix) as node,
        App(Registry([unlucky]), settings()) as app,
        app.subscribe(handler=unlucky) as outcomes,
    ):
        job = await app.enqueue_job(unlucky)
        await node.start_worker("fail", {"message": "boom"})
        (only,) = await take(outcomes, 1)

    assert (only.job_id, only.name, only.state, only.attempt) == (job.job_id, "unlucky", "failed", 3)
    assert only.failed_reason == "boom"
