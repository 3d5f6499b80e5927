"""Reading the history: by one reader at a time, some of it at a time, and whatever is wrong with one row."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection

from jobqueue.clock import now_ms
from jobqueue.cron import CronJob, CronJobs
from jobqueue.cron.chronicle import Chronicle
from jobqueue.cron.history import (
    AT_ONCE,
    AWAY_REST_S,
    BEHIND_REST_S,
    LEASE_MS,
    REST_S,
    CronHistory,
)
from jobqueue.cron.migrations import FOLDER
from jobqueue.cron.past import Seen, moment_of
from jobqueue.cron.table import CronJobRow
from jobqueue.database import open_database
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.cron.histories import by_sql, emit, give_up_lease, read_all, reader, statuses, work
from tests.cron.scheduled import FAR
from tests.cron.slots import Site, far_row, site


@pytest.fixture
async def made(settings: MakeSettings) -> AsyncIterator[Site]:
    async with site(settings(), work) as made:
        yield made


async def test_one_reader_at_a_time_reads(made: Site) -> None:
    row = await far_row(made, "work")
    leader, other = reader(made), reader(made)
    assert await leader.tick() == REST_S

    rest_s = await other.tick()
    assert REST_S < rest_s <= LEASE_MS / 1000 + 0.1, "it comes again when the lease has ended"

    await emit(made, "active", f"repeat:{row.job_id}:1")
    assert await leader.tick() == REST_S
    await give_up_lease(made)
    await emit(made, "completed", f"repeat:{row.job_id}:1", returnvalue="1", prev="active")
    assert await other.tick() == REST_S
    assert await leader.tick() > REST_S
    assert (await made.cron.get(row.id)).last_status == "completed"


async def test_what_was_read_and_not_written_is_read_again_by_the_next_one(made: Site) -> None:
    """The first reader dies after Redis has answered it: here, it has no database to write to."""
    row = await far_row(made, "work")
    async with open_database("sqlite+aiosqlite:////nowhere/at_all.db") as nowhere:
        unlucky = CronHistory(made.app, made.app.queue(), nowhere)
        await emit(made, "active", f"repeat:{row.job_id}:1")
        await unlucky.tick()
    assert (await made.cron.get(row.id)).last_status is None
    await give_up_lease(made)

    await read_all(reader(made))

    assert (await made.cron.get(row.id)).last_status == "active"


async def test_a_reader_that_took_too_long_writes_nothing_and_reads_again(
    made: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one may have the lease by then: what this one has in hand is older than what the row says."""
    row, history = await far_row(made, "work"), reader(made)
    await emit(made, "active", f"repeat:{row.job_id}:1")
    with monkeypatch.context() as late:
        late.setattr("jobqueue.cron.history.SAFE_S", -1.0)
        await history.tick()
    assert (await made.cron.get(row.id)).last_status is None

    await history.tick()

    assert (await made.cron.get(row.id)).last_status == "active"


async def test_a_busy_queues_events_are_read_a_bounded_number_at_a_time(made: Site) -> None:
    row, history = await far_row(made, "work"), reader(made)
    await read_all(history)
    events = made.app.queue().keys.of("events")
    for _ in range(AT_ONCE + AT_ONCE // 2):
        await made.app.client.call("XADD", events, "*", "event", "completed", "jobId", "7", "returnvalue", "null")
    await emit(made, "active", f"repeat:{row.job_id}:1")

    assert await history.tick() == BEHIND_REST_S
    assert (await made.cron.get(row.id)).last_status is None
    assert await history.tick() == REST_S
    assert (await made.cron.get(row.id)).last_status == "active"


@pytest.mark.parametrize(
    "job_id", ["repeat:foreign:1", "repeat:", "cron.nobody.1", "cron..", "cron.\x00.1", "repeat:n:x"]
)
async def test_what_belongs_to_no_row_is_passed_over(made: Site, job_id: str) -> None:
    row, history = await far_row(made, "work"), reader(made)
    await emit(made, "active", job_id)
    await emit(made, "completed", job_id, returnvalue="null", prev="active")
    await emit(made, "active", f"repeat:{row.job_id}:1")

    await read_all(history)

    assert (await made.cron.get(row.id)).last_job_id == f"repeat:{row.job_id}:1"


async def test_a_stream_that_was_deleted_is_read_from_its_new_beginning(made: Site) -> None:
    row, history = await far_row(made, "work"), reader(made)
    await emit(made, "active", f"repeat:{row.job_id}:1")
    await read_all(history)
    await made.app.client.call("DEL", made.app.queue().keys.of("events"))
    await read_all(history)

    await emit(made, "failed", f"repeat:{row.job_id}:1", failedReason="no route", prev="active")
    await read_all(history)

    assert (await made.cron.get(row.id)).last_status == "failed"


async def test_while_the_database_is_away_nothing_is_lost_and_that_is_said_once(
    settings: MakeSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jobqueue.cron")
    async with site(settings(), work) as made:
        row = await far_row(made, "work")
        other_url = f"sqlite+aiosqlite:///{tmp_path / 'later' / 'jobqueue.db'}"
        async with open_database(other_url) as database:
            history = CronHistory(made.app, made.app.queue(), database)
            await emit(made, "active", f"repeat:{row.job_id}:1")
            for _ in range(3):
                await history.tick()
            await emit(made, "completed", f"repeat:{row.job_id}:1", returnvalue="null", prev="active")

            (tmp_path / "later").mkdir()
            await upgrade(other_url, [FOLDER])
            async with database.transaction() as session:
                session.add(CronJobRow(**asdict(row)))
            await read_all(history)

            (copied,) = await CronJobs(made.app, database).list()
            assert copied.last_status == "completed"
    said = [record.message for record in caplog.records if "what happens to cron jobs" in record.message]
    assert len(said) == 2
    assert said[1].endswith("is written down again")


async def test_a_reader_that_took_too_long_takes_less_in_hand_the_next_time(
    made: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had begun the same work again and again, none of which was ever written."""
    row, history = await far_row(made, "work"), reader(made)
    await read_all(history)
    for _ in range(AT_ONCE - 1):
        await emit(made, "active", "7")
    await emit(made, "active", f"repeat:{row.job_id}:1")
    with monkeypatch.context() as late:
        late.setattr("jobqueue.cron.history.SAFE_S", -1.0)
        for _ in range(10):
            await history.tick()

    assert await history.tick() == BEHIND_REST_S
    assert (await made.cron.get(row.id)).last_status is None
    await read_all(history)

    assert (await made.cron.get(row.id)).last_status == "active"


async def test_the_rows_of_a_stretch_are_written_some_at_a_time(made: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand rows in one transaction kept the loop, and the jobs on it, for more than half a second."""
    monkeypatch.setattr("jobqueue.cron.chronicle.ROWS_AT_ONCE", 2)
    rows = [await made.cron.create(name=f"n{number}", pattern=FAR, handler="work") for number in range(5)]
    seen = [Seen("active", f"repeat:{row.job_id}:1", row.id, moment_of(now_ms())) for row in rows]
    commits: list[Connection] = []
    event.listen(made.database.engine.sync_engine, "commit", commits.append)

    assert await Chronicle(made.database).write(seen, time.monotonic() + 60)

    assert len(commits) == 3
    assert await statuses(made) == ["active"] * 5


@pytest.mark.parametrize("spoiling", ["payload = '{bad'", "created_at = 'rubbish'"])
async def test_the_history_reads_nothing_of_a_row_that_it_does_not_write(made: Site, spoiling: str) -> None:
    """A payload that nobody could decode had stopped the history of all rows."""
    row = await far_row(made, "work")
    await by_sql(made, f"UPDATE cron_job SET {spoiling}")
    await emit(made, "active", f"repeat:{row.job_id}:1")

    await read_all(reader(made))

    async with made.database.transaction() as session:
        job_id = (await (await session.connection()).exec_driver_sql("SELECT last_job_id FROM cron_job")).scalar_one()
    assert job_id == f"repeat:{row.job_id}:1"


async def row_and_spoiled_one(made: Site, spoiling: str) -> tuple[CronJob, CronJob]:
    rows = [await made.cron.create(name=name, pattern=FAR, handler="work") for name in ("a", "spoiled", "z")]
    await by_sql(made, f"UPDATE cron_job SET {spoiling} WHERE name = 'spoiled'")
    for row in rows:
        await emit(made, "active", f"repeat:{row.job_id}:1")
    return rows[0], rows[1]


BEYOND_READING = {"sqlite_url": "last_run_at = 'rubbish'", "postgres_url": "last_run_at = '12026-01-01'"}


@pytest.mark.parametrize(("url", "spoiling"), BEYOND_READING.items())
async def test_a_row_whose_history_cannot_be_read_is_passed_over_and_said_once(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest, url: str, spoiling: str
) -> None:
    async with site(settings(database_url=request.getfixturevalue(url)), work) as made:
        _, spoiled = await row_and_spoiled_one(made, spoiling)
        history = reader(made)
        await read_all(history)
        assert [row.last_status for row in await made.cron.list()] == ["active", "active"]

        for kind in ("active", "completed"):
            await emit(made, kind, f"repeat:{spoiled.job_id}:1", returnvalue="1", prev="active")
            await read_all(history)
        assert len([one for one in caplog.records if "is not written down" in one.message]) == 1

        await by_sql(made, "UPDATE cron_job SET last_run_at = NULL")
        await emit(made, "active", f"repeat:{spoiled.job_id}:2")
        await read_all(history)
        assert (await made.cron.get(spoiled.id)).last_job_id == f"repeat:{spoiled.job_id}:2"


async def test_a_table_of_another_version_is_said_once_and_nothing_is_lost(
    made: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Each half second had brought a traceback of the database's."""
    row, history = await far_row(made, "work"), reader(made)
    await by_sql(made, "ALTER TABLE cron_job RENAME COLUMN last_job_id TO other")
    await emit(made, "active", f"repeat:{row.job_id}:1")

    for _ in range(3):
        assert await history.tick() == AWAY_REST_S
    await by_sql(made, "ALTER TABLE cron_job RENAME COLUMN other TO last_job_id")
    await read_all(history)

    (said,) = [one.message for one in caplog.records if "what happens to cron jobs" in one.message]
    assert "jobqueue db upgrade" in said
    assert (await made.cron.get(row.id)).last_status == "active"
