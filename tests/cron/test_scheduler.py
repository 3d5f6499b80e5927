"""scheduler.add, list and remove: schedules from code, one at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from jobqueue import App, JobContext, Registry, close_default_app, make_job, scheduler, set_default_app
from jobqueue.cron import CronJobs
from jobqueue.cron.migrations import FOLDER
from jobqueue.database import Database, open_database
from jobqueue.errors import CronJobNotFound, InvalidCronJob
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.cron.scheduled import FAR, REGISTRY, Cleanup, clean_up, jobs_of, scheduler_of, scheduler_there, tick

OTHER = "0 0 2 1 *"


class Mailbox(BaseModel):
    key: SecretStr


@make_job(name="collect")
async def collect(ctx: JobContext, payload: Mailbox) -> None:
    """Its payload holds a secret."""


async def test_a_schedule_is_a_row_with_a_scheduler(app: App, cron: CronJobs) -> None:
    # when
    schedule_id = await scheduler.add("cleanUp", FAR, {"days": 3}, app=app)

    # then
    row = await cron.get(schedule_id)
    assert (row.handler, row.pattern, row.timezone, row.payload) == ("cleanUp", FAR, "UTC", {"days": 3})
    assert (row.source, row.created_by) == ("code", "scheduler")
    assert row.job_id.startswith("cleanUp.")
    there = await scheduler_there(app, row.job_id)
    assert there.data["payload"] == {"days": 3}
    assert there.next_ms == cron.next_run_ms(row)


async def test_adding_a_schedule_again_touches_nothing(app: App, cron: CronJobs) -> None:
    # given
    schedule_id = await scheduler.add(
        "cleanUp", FAR, {"days": 3, "alsoFailed": True}, timezone="Europe/Vienna", app=app
    )
    row = await cron.get(schedule_id)
    before = await scheduler_there(app, row.job_id)

    # when: the order of the fields is no difference
    again = await scheduler.add("cleanUp", FAR, {"alsoFailed": True, "days": 3}, timezone="Europe/Vienna", app=app)

    # then
    assert again == schedule_id
    assert await scheduler.list(app=app) == (row,)
    assert await scheduler_there(app, row.job_id) == before


async def test_what_people_changed_of_a_schedule_stays(app: App, cron: CronJobs) -> None:
    # given
    schedule_id = await scheduler.add(tick, FAR, app=app)
    edited = await cron.update(schedule_id, enabled=False, name="the clock", max_attempts=1)

    # when
    again = await scheduler.add(tick, FAR, app=app)

    # then
    assert again == schedule_id
    assert await scheduler.list(app=app) == (edited,)


@pytest.mark.parametrize(
    ("handler", "when", "data", "timezone"),
    [
        ("cleanUp", OTHER, {"days": 3}, "UTC"),
        ("cleanUp", FAR, {"days": 4}, "UTC"),
        ("cleanUp", FAR, None, "UTC"),
        ("cleanUp", FAR, {"days": 3}, "Asia/Tokyo"),
        ("tick", FAR, None, "UTC"),
    ],
)
async def test_another_schedule_stands_beside_the_first(
    app: App, database: Database, handler: str, when: str, data: dict[str, int] | None, timezone: str
) -> None:
    first = await scheduler.add("cleanUp", FAR, {"days": 3}, app=app)
    second = await scheduler.add(handler, when, data, timezone=timezone, app=app)
    assert {row.id for row in await scheduler.list(app=app)} == {first, second}
    assert first != second


async def test_no_data_and_no_fields_are_the_same_schedule(app: App, database: Database) -> None:
    assert await scheduler.add("cleanUp", FAR, app=app) == await scheduler.add("cleanUp", FAR, {}, app=app)


async def test_a_zone_in_other_letters_is_the_same_schedule(app: App, database: Database) -> None:
    """`utc` and `UTC` were two, and each slot ran twice."""
    for one, other in (("UTC", "utc"), ("Europe/Vienna", "europe/vienna")):
        first = await scheduler.add("tick", FAR, timezone=one, app=app)
        assert await scheduler.add("tick", FAR, timezone=other, app=app) == first
    assert len(await scheduler.list(app=app)) == 2


async def test_a_handle_and_its_payload_type_are_taken_too(app: App, cron: CronJobs) -> None:
    schedule_id = await scheduler.add(clean_up, FAR, Cleanup(days=9), app=app)
    assert (await cron.get(schedule_id)).payload == {"days": 9, "alsoFailed": False}
    assert await scheduler.add(clean_up, FAR, Cleanup(days=9), app=app) == schedule_id


async def test_a_secret_of_a_payload_type_is_kept_in_clear(settings: MakeSettings) -> None:
    """It is masked where it is shown, and a run needs it."""
    await upgrade(settings().database_url, [FOLDER])
    async with App(Registry([collect]), settings()) as app:
        await scheduler.add("collect", FAR, Mailbox(key=SecretStr("hunter2")), app=app)
        (row,) = await scheduler.list(app=app)
    assert row.payload == {"key": "hunter2"}


async def test_adding_one_schedule_from_many_processes_at_once_makes_one_row(app: App, database: Database) -> None:
    ids = await asyncio.gather(*(scheduler.add("tick", FAR, app=app) for _ in range(8)))
    assert len(set(ids)) == 1
    assert len(await scheduler.list(app=app)) == 1


async def test_the_list_can_be_that_of_one_handler(app: App, cron: CronJobs) -> None:
    # given
    added = await scheduler.add("tick", FAR, app=app)
    await scheduler.add("cleanUp", FAR, app=app)
    by_hand = await cron.create(name="by hand", pattern=FAR, handler="tick")

    # when
    listed, by_handle = await scheduler.list("tick", app=app), await scheduler.list(tick, app=app)

    # then
    assert {row.id for row in listed} == {added, by_hand.id}
    assert by_handle == listed
    assert len(await scheduler.list(app=app)) == 3


async def test_a_removed_schedule_is_gone_with_its_pending_job(app: App, cron: CronJobs) -> None:
    # given
    schedule_id = await scheduler.add("tick", FAR, app=app)
    job_id = (await cron.get(schedule_id)).job_id

    # when
    await scheduler.remove(schedule_id, app=app)

    # then
    assert await scheduler.list(app=app) == ()
    assert await scheduler_of(app, job_id) is None
    assert await jobs_of(app, job_id) == []


async def test_removing_what_is_not_there_says_so(app: App, database: Database) -> None:
    schedule_id = await scheduler.add("tick", FAR, app=app)
    await scheduler.remove(schedule_id, app=app)
    with pytest.raises(CronJobNotFound, match=schedule_id):
        await scheduler.remove(schedule_id, app=app)


async def test_what_a_person_made_can_be_removed_by_its_id(app: App, cron: CronJobs) -> None:
    row = await cron.create(name="by hand", pattern=FAR, handler="tick", created_by="alice")
    await scheduler.remove(row.id, app=app)
    assert await cron.list() == ()


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": "nobody"}, "handler"),
        ({"name": "a:b\n"}, "handler"),
        ({"name": 5}, "handler"),
        ({"when": "every day"}, "pattern"),
        ({"when": "0 0 30 2 *"}, "pattern"),
        ({"when": None}, "pattern"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": 1}, "timezone"),
        ({"name": "tick", "data": {"days": 3}}, "payload"),
        ({"data": {"days": 0}}, "payload.days"),
        ({"data": {"days": float("nan")}}, "payload"),
        ({"data": {"days": object()}}, "payload.days"),
        ({"data": "\ud800"}, "payload"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_saved(
    app: App, database: Database, said: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidCronJob) as caught:
        await scheduler.add(**{"name": "cleanUp", "when": FAR, **said}, app=app)
    assert set(caught.value.field_errors) == {field}
    assert await scheduler.list(app=app) == ()


async def test_without_an_app_the_default_one_is_asked(settings: MakeSettings) -> None:
    # given
    await upgrade(settings().database_url, [FOLDER])
    set_default_app(App(REGISTRY, settings()))

    # when
    try:
        schedule_id = await scheduler.add("tick", FAR)
        (listed,) = await scheduler.list()
        await scheduler.remove(schedule_id)
        left = await scheduler.list()
    finally:
        await close_default_app()

    # then
    assert listed.id == schedule_id
    assert left == ()


async def test_both_databases_keep_a_schedule(settings: MakeSettings, database_url: str) -> None:
    await upgrade(database_url, [FOLDER])
    async with App(REGISTRY, settings(database_url=database_url)) as app:
        ids = await asyncio.gather(*(scheduler.add("cleanUp", FAR, {"days": 3}, app=app) for _ in range(4)))
        async with open_database(database_url) as database:
            (row,) = await CronJobs(app, database).list()
    assert set(ids) == {row.id}


async def test_a_schedule_is_saved_while_redis_is_away(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """Any worker's next pass makes the scheduler."""
    away = settings(redis_url="redis://127.0.0.1:1/0", redis_connect_ms=100, redis_call_ms=500)
    await upgrade(away.database_url, [FOLDER])
    async with App(REGISTRY, away) as app:
        await scheduler.add("tick", FAR, app=app)
        assert len(await scheduler.list(app=app)) == 1
    assert "follows with the next pass of a worker" in caplog.text
