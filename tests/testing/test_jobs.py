"""Jobs: what stands around a test, alone in its process, and what is left when the test has ended."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from jobqueue import App, Registry, Settings, close_default_app, enqueue_job
from jobqueue.cron.table import CronJobRow
from jobqueue.testing import Jobs, KitError
from tests.conftest import MakeSettings
from tests.testing import shop
from tests.testing.shop import order, send_mail


async def test_an_app_that_the_service_makes_itself_is_on_the_same_redis(jobs: Jobs) -> None:
    async with App(shop.registry_without_cron, Settings.load()) as app:
        await app.enqueue_job(send_mail, order("7"))

    await jobs.assert_enqueued(send_mail, {"orderId": "7"})


async def test_a_service_may_close_the_app_that_it_was_given(jobs: Jobs) -> None:
    await enqueue_job(send_mail, order("7"))
    await close_default_app()

    assert len((await jobs.drain()).completed) == 1


async def test_a_job_of_the_outbox_exists_when_its_transaction_has_committed(jobs: Jobs) -> None:
    async with jobs.database.transaction() as session:
        await enqueue_job(send_mail, order("7"), session=session)
        await session.rollback()
    await jobs.assert_not_enqueued(send_mail)

    async with jobs.database.transaction() as session:
        await enqueue_job(send_mail, order("8"), session=session)
    await jobs.assert_enqueued(send_mail, {"orderId": "8"})
    async with jobs.database.transaction() as session:
        await enqueue_job(send_mail, order("9"), session=session)
    assert len((await jobs.drain()).completed) == 2


async def test_nothing_is_left_in_redis_or_the_environment(redis_url: str, redis: Redis) -> None:
    before = dict(os.environ)
    async with Jobs(shop.registry_without_cron, redis_url=redis_url) as jobs:
        await enqueue_job(send_mail, order("7"))
        await jobs.drain()
        prefix = jobs.settings.jobs_prefix
        assert (os.environ["REDIS_URL"], os.environ["JOBS_PREFIX"]) == (redis_url, prefix)
        assert os.environ["DATABASE_URL"] == jobs.settings.database_url  # a handler in a process of its own opens it
        assert await redis.keys(f"{prefix}:*")

    assert await redis.keys(f"{prefix}:*") == []
    assert dict(os.environ) == before


async def test_the_database_of_the_service_is_used_where_the_test_names_it(
    redis_url: str, settings: MakeSettings, sqlite_url: str
) -> None:
    async with Jobs(shop.registry, redis_url=redis_url, settings={"jobs_queue": "shop"}) as jobs:
        async with jobs.database.transaction() as session:
            assert await session.scalar(select(CronJobRow.handler)) == "report"
        assert [job.queue for job in await jobs.enqueued()] == ["shop"]
        assert jobs.settings.database_url != settings().database_url

    async with Jobs(Registry(), redis_url=redis_url, settings={"database_url": sqlite_url}) as jobs:
        assert jobs.database.address == sqlite_url


async def test_jobs_inside_jobs_are_refused_and_the_outer_ones_go_on(jobs: Jobs, redis_url: str) -> None:
    with pytest.raises(KitError, match="other Jobs are open in this process; one at a time"):
        async with Jobs(Registry(), redis_url=redis_url):
            raise AssertionError("two kits")

    await enqueue_job(send_mail, order("7"))
    assert len((await jobs.drain()).completed) == 1


async def test_jobs_that_are_not_open_or_of_another_loop_say_so(redis_url: str) -> None:
    with pytest.raises(KitError, match="these jobs are not open: use `async with"):
        await Jobs(Registry(), redis_url=redis_url).drain()

    async with Jobs(Registry(), redis_url=redis_url) as jobs:
        with pytest.raises(KitError, match="opened on another event loop: give the test and its fixtures"):
            await asyncio.to_thread(lambda: asyncio.run(jobs.enqueued()))


async def test_a_setting_that_there_is_not_is_refused(redis_url: str) -> None:
    with pytest.raises(KitError, match="settings: there is no 'database'; fields go by names such as 'database_url'"):
        async with Jobs(Registry(), redis_url=redis_url, settings={"database": "x"}):
            raise AssertionError("a setting that nobody reads")


async def test_who_listens_to_the_app_hears_what_a_drain_runs(jobs: Jobs) -> None:
    heard: list[str] = []
    jobs.app.events.subscribe(lambda event: heard.append(event.name))
    await enqueue_job(send_mail, order("7"))

    await jobs.drain()

    assert {"job.started", "job.completed"} <= set(heard)


def test_a_registry_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(KitError) as refused:
        Jobs("tests.testing.shop:nothing")
    assert str(refused.value) == (
        "the registry 'tests.testing.shop:nothing' cannot be used: tests.testing.shop:nothing: 'nothing' is missing"
    )


async def test_a_private_redis_is_started_for_who_names_none_and_ended() -> None:
    async with Jobs("tests.testing.shop:registry_without_cron") as jobs:
        await enqueue_job(send_mail, order("7"))
        assert len((await jobs.drain()).completed) == 1
        url = jobs.settings.redis_url

    assert url.startswith("unix://")
    assert not Path(url.removeprefix("unix://")).exists()
