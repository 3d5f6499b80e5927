"""The handlers that tidy up, from enqueue over a real Redis and a real worker to what they return."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from handlers import registry
from handlers.clean_stale_data import CleanStaleData, clean_stale_data
from handlers.heartbeat import heartbeat
from handlers.queue_cleanup import QueueCleanup, queue_cleanup
from handlers.queue_insights import QueueInsights, queue_insights
from handlers.stale_rows import BATCH
from jobqueue import App, JobFailed, Worker
from jobqueue.clock import now_ms
from jobqueue.database import Database
from tests.board.support import complete
from tests.conftest import MakeSettings
from tests.handlers.support.table import add_visits, count_visits, create_tables

WAIT_S = 20.0


@pytest.fixture
async def app(settings: MakeSettings, database_url: str, signing_key_pem: str) -> AsyncGenerator[App]:
    """An app whose worker runs. Its database has no table for cron jobs, so nothing runs but what a test enqueues."""
    own = settings(environment="local", database_url=database_url, webhook_signing_private_key=signing_key_pem)
    async with App(registry, own) as opened, Worker(opened):
        yield opened


async def test_two_cleanings_of_a_table_at_once_both_end_well(app: App, database: Database) -> None:
    """One runs and the other waits for it, without using an attempt: its filters might be others."""
    await create_tables(database)
    await add_visits(database, [100] * (2 * BATCH + 1))
    await add_visits(database, [1])
    payload = CleanStaleData(table="visit", retention_days=90)

    jobs = [await app.enqueue_job(clean_stale_data, payload) for _ in range(2)]
    results = await asyncio.gather(*(job.wait(WAIT_S) for job in jobs))

    assert sorted(result["deleted"] for result in results) == [0, 2 * BATCH + 1]
    assert await count_visits(database) == 1


async def test_an_unknown_table_fails_the_job_at_its_first_try(app: App) -> None:
    job = await app.enqueue_job("cleanStaleData", {"table": "nowhere", "retentionDays": 90})

    with pytest.raises(JobFailed, match="there is no table 'nowhere'"):
        await job.wait(WAIT_S)

    assert (await app.queue().job(job.job_id)).attempts_made == 1


async def test_a_cleanup_removes_old_jobs_and_not_itself(app: App) -> None:
    for age_in_days in (10, 1):
        beat = await app.enqueue_job(heartbeat, delay_ms=60_000)
        await app.client.call("ZREM", app.queue().keys.of("delayed"), beat.job_id)
        await complete(app, beat, "null", now_ms() - age_in_days * 24 * 60 * 60 * 1000)

    job = await app.enqueue_job(queue_cleanup, QueueCleanup())

    assert await job.wait(WAIT_S) == {"jobs": {"completed": 1, "failed": 0}}
    assert await app.client.call("ZCARD", app.queue().keys.of("completed")) == 2


async def test_insights_are_the_result_of_the_job_and_in_its_log(app: App) -> None:
    await app.enqueue_job(heartbeat, delay_ms=60_000)

    job = await app.enqueue_job(queue_insights, QueueInsights(queues=("jobs",)))

    assert await job.wait(WAIT_S) == {"jobs": {"pending": 0, "scheduled": 1, "active": 1, "failed": 0}}
