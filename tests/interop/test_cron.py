"""Cron jobs on a queue that a Node worker and one of ours serve, and what Node's tools see of their schedulers."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from jobqueue import App
from jobqueue.cron import CronJobs
from jobqueue.cron.table import CronBase
from jobqueue.database import Database, open_database
from tests.conftest import MakeSettings
from tests.cron.scheduled import FAR, REGISTRY, jobs_of, scheduler_there
from tests.interop.node_peer import NodePeer
from tests.patterns.working import serving
from tests.support.eventually import eventually

SLOTS = 7
"""Seconds that workers serve: so many slots at least."""


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncIterator[App]:
    async with App(REGISTRY, settings(worker_concurrency=1)) as app:
        yield app


@pytest.fixture
async def database(app: App) -> AsyncIterator[Database]:
    async with open_database(app.settings.database_url) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(CronBase.metadata.create_all)
        yield database


@pytest.fixture
def cron(app: App, database: Database) -> CronJobs:
    return CronJobs(app, database)


async def test_node_sees_a_scheduler_as_its_row_has_it(watched: NodePeer, cron: CronJobs) -> None:
    row = await cron.create(
        name="nightly", pattern="30 1 * * *", timezone="America/New_York", handler="cleanUp", payload={"days": 3}
    )
    [scheduler] = await watched.schedulers()
    assert (scheduler.key, scheduler.name) == ("nightly", "cleanUp")
    assert (scheduler.pattern, scheduler.tz) == ("30 1 * * *", "America/New_York")
    assert scheduler.next == cron.next_run_ms(row)
    assert scheduler.template is not None
    assert scheduler.template["data"] == {"type": "cron", "payload": {"days": 3}, "id": row.id, "overlap": "skip"}


async def test_node_and_we_agree_on_the_next_slot(watched: NodePeer, cron: CronJobs) -> None:
    """Node takes over a scheduler of ours, and puts its own next time there."""
    patterns = ("*/7 3-5 * * *", "0 0 L * *", "0 0 * * 5#2", "30 2 29 2 *", "15,45 * 1-7 * 1", "@weekly")
    for number, pattern in enumerate(patterns):
        row = await cron.create(name=f"n{number}", pattern=pattern, timezone="Australia/Lord_Howe", handler="tick")
        ours = cron.next_run_ms(row)
        repeat = {"pattern": pattern, "tz": "Australia/Lord_Howe"}
        theirs = await watched.upsert_scheduler(f"node{number}", repeat, {"name": "tick"})
        assert theirs == f"repeat:node{number}:{ours}"


async def test_each_slot_is_fired_once_whoever_takes_it(watched: NodePeer, app: App, cron: CronJobs) -> None:
    """Both workers take turns at making the next job, too: if their next times differed, a slot would run twice."""
    await cron.create(name="n", pattern="* * * * * *", handler="tick", overlap="allow")
    await watched.start_worker("echo", opts={"concurrency": 1})
    await asyncio.sleep(2)  # for slots that are Node's, here, those of both, and ours: there is one each second
    async with serving(app):
        await asyncio.sleep(SLOTS - 4)
        await watched.stop_worker()
        await asyncio.sleep(2)

    slots = [int(job_id.rpartition(":")[2]) for job_id in await jobs_of(app, "n")]
    assert len(slots) >= SLOTS - 1
    assert [later - earlier for earlier, later in itertools.pairwise(slots)] == [1000] * (len(slots) - 1)
    started = [event.job_id for event in await watched.events() if event.name == "active"]
    assert len(started) == len(set(started)), "no slot was started twice"
    workers = {(await watched.job(job_id)).processed_by for job_id in await watched.job_ids("completed")}
    assert len(workers) == 2, f"each had its turns, but these had: {workers}"


async def test_a_scheduler_that_a_node_tool_removed_is_back_after_a_pass(watched: NodePeer, cron: CronJobs) -> None:
    await cron.create(name="n", pattern=FAR, handler="tick")
    [before] = await watched.schedulers()
    assert await watched.remove_scheduler("n")

    report = await cron.sync()

    assert report.replaced == ["n"]
    assert await watched.schedulers() == [before]


async def test_a_scheduler_that_a_node_tool_changed_is_as_its_row_has_it_after_a_pass(
    watched: NodePeer, cron: CronJobs
) -> None:
    await cron.create(name="n", pattern=FAR, handler="tick")
    [before] = await watched.schedulers()
    await watched.upsert_scheduler("n", {"every": 3_600_000, "limit": 5}, {"name": "other", "data": {"x": 1}})

    await cron.sync()

    assert await watched.schedulers() == [before]


async def test_a_scheduler_of_nodes_is_never_touched(watched: NodePeer, app: App, cron: CronJobs) -> None:
    await watched.upsert_scheduler("theirs", {"pattern": FAR}, {"name": "tick", "data": {"type": "cron", "id": "x"}})
    before = await scheduler_there(app, "theirs")

    row = await cron.create(name="ours", pattern=FAR, handler="tick")
    await cron.delete(row.id)

    assert await scheduler_there(app, "theirs") == before


async def test_an_obliterated_queue_has_its_schedulers_again_after_a_pass(watched: NodePeer, cron: CronJobs) -> None:
    await cron.create(name="n", pattern=FAR, handler="tick")
    [before] = await watched.schedulers()
    await watched.obliterate(force=True)
    assert await watched.schedulers() == []

    await cron.sync()

    [after] = await watched.schedulers()
    assert (after.next, after.pattern, after.template) == (before.next, before.pattern, before.template)


async def test_removing_orphans_leaves_what_is_ours(watched: NodePeer, app: App, cron: CronJobs) -> None:
    await cron.create(name="n", pattern=FAR, handler="tick")
    await watched.remove_orphaned_jobs()
    assert (await cron.sync()).kept == ["n"]


async def test_a_row_that_sql_changed_is_followed_by_a_running_worker(
    watched: NodePeer, app: App, cron: CronJobs, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobqueue.worker.cron.SYNC_S", 0.1)  # half a minute is as good, but longer
    await cron.create(name="n", pattern=FAR, handler="tick")

    async def has_followed() -> bool:
        return [one.pattern for one in await watched.schedulers()] == ["0 0 9 1 *"]

    async with serving(app):
        async with database.transaction() as session:
            await session.execute(text("UPDATE cron_job SET pattern = '0 0 9 1 *'"))
        await eventually(has_followed)


async def test_nodes_worker_tells_the_slot_by_the_jobs_id(watched: NodePeer, cron: CronJobs) -> None:
    row = await cron.create(name="n", pattern=FAR, handler="tick")
    [job_id] = await watched.job_ids("delayed")
    assert re.fullmatch(rf"repeat:n:{cron.next_run_ms(row)}", job_id)
