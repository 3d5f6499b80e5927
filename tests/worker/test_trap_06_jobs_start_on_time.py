"""Trap 6: the waits were rounded up to whole seconds, so that delayed jobs started up to a second late."""

from __future__ import annotations

import asyncio

import pytest

from jobqueue import JobContext, fixed, make_job
from jobqueue.clock import now_ms
from tests.conftest import MakeSettings
from tests.worker.harness import Site, at_work

LATE_MS = 600
"""A wide margin: on an idle machine a job is some milliseconds late."""


async def let_it_fall_idle() -> None:
    await asyncio.sleep(0.2)  # an idle worker waits on its marker; nothing tells that it does


@pytest.mark.parametrize("delay_ms", [130, 230, 1_140])
async def test_a_delayed_job_starts_at_its_millisecond(settings: MakeSettings, delay_ms: int) -> None:
    """In the `bullmq` package the blocking wait took whole seconds, rounded up, until `getRedisVersion()` happened to
    be called on that connection: delayed, retried and cron jobs started up to a second late.
    """
    started_ms: list[int] = []

    async def note(ctx: JobContext) -> None:
        started_ms.append(now_ms())

    handler = make_job(note)

    async with at_work(settings(), handler) as site:
        await let_it_fall_idle()
        due_ms = now_ms() + delay_ms
        job = await site.app.enqueue_job(handler, delay_ms=delay_ms)
        await job.wait(10)

        assert 0 <= started_ms[0] - due_ms < LATE_MS


async def test_a_delayed_job_that_comes_sooner_than_the_one_waited_for_is_on_time_too(settings: MakeSettings) -> None:
    started_ms: dict[str, int] = {}

    async def note(ctx: JobContext) -> None:
        started_ms[ctx.job.id] = now_ms()

    handler = make_job(note)

    async with at_work(settings(), handler) as site:
        await let_it_fall_idle()
        late = await site.app.enqueue_job(handler, delay_ms=1_300)
        await let_it_fall_idle()
        due_ms = now_ms() + 130
        soon = await site.app.enqueue_job(handler, delay_ms=130)
        await late.wait(10)

        assert 0 <= started_ms[soon.job_id] - due_ms < LATE_MS
        assert started_ms[late.job_id] > started_ms[soon.job_id]


async def test_a_retried_job_starts_at_its_millisecond(settings: MakeSettings) -> None:
    tried_ms: list[int] = []

    async def fails_at_first(ctx: JobContext) -> None:
        tried_ms.append(now_ms())
        if len(tried_ms) == 1:
            raise ValueError("not yet")

    handler = make_job(fails_at_first, backoff=fixed(130))

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)
        await job.wait(10)

        assert 0 <= tried_ms[1] - tried_ms[0] - 130 < LATE_MS


async def test_jobs_due_while_the_worker_is_busy_start_when_it_has_a_slot(settings: MakeSettings) -> None:
    order: list[str] = []

    async def note(ctx: JobContext, name: str) -> None:
        order.append(name)
        await asyncio.sleep(0.3)  # the work

    handler = make_job(note)

    async with at_work(settings(worker_concurrency=1), handler) as site:
        await site.app.enqueue_job(handler, "now")
        later = await site.app.enqueue_job(handler, "later", delay_ms=100)
        await later.wait(10)

        assert order == ["now", "later"]


async def test_no_job_starts_before_its_time(settings: MakeSettings) -> None:
    early_ms: list[int] = []

    async def note(ctx: JobContext, due_ms: int) -> None:
        early_ms.append(due_ms - now_ms())

    handler = make_job(note)

    async with at_work(settings(), handler) as site:
        jobs = [await enqueue_due_in(site, delay_ms) for delay_ms in range(50, 450, 20)]
        for job_id in jobs:
            await site.end_of(job_id)

        assert max(early_ms) <= 0
        assert min(early_ms) > -LATE_MS


async def enqueue_due_in(site: Site, delay_ms: int) -> str:
    due_ms = now_ms() + delay_ms
    return (await site.app.enqueue_job("note", due_ms, delay_ms=delay_ms)).job_id
