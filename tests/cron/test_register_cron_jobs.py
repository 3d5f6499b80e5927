"""register_cron_jobs: the rows of code are what the list says, and nobody else's are touched."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from sqlalchemy import text

from jobqueue import App
from jobqueue.cron import CronJobs
from jobqueue.cron.definitions import CronJobDefinition, cron_job
from jobqueue.cron.migrations import FOLDER
from jobqueue.database import Database, open_database
from jobqueue.errors import InvalidCronJob
from jobqueue.scheduler import add, register_cron_jobs
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.cron.scheduled import FAR, REGISTRY, Cleanup, clean_up, jobs_of, mail, scheduler_of, scheduler_there, tick
from tests.support.naming import plainly

OTHER = "0 0 2 1 *"


def nightly(pattern: str = FAR, days: int = 3) -> CronJobDefinition:
    return cron_job("nightly", pattern, "cleanUp", {"days": days})


async def names(cron: CronJobs) -> list[str]:
    return [row.name for row in await cron.list()]


async def test_a_listed_cron_job_is_a_row_with_a_scheduler(app: App, cron: CronJobs) -> None:
    # when
    (row,) = await register_cron_jobs([nightly()], app=app)

    # then
    assert await cron.list() == (row,)
    assert (row.name, row.job_id, row.handler, row.payload) == ("nightly", "nightly", "cleanUp", {"days": 3})
    assert (row.source, row.created_by, row.enabled) == ("code", "register_cron_jobs", True)
    assert (row.priority, row.max_attempts, row.backoff_ms) == (0, 3, 5_000)
    assert (row.timezone, row.overlap, row.misfire) == ("UTC", "skip", "run_once")
    assert (await scheduler_there(app, "nightly")).next_ms == cron.next_run_ms(row)


async def test_options_are_kept(app: App, database: Database) -> None:
    (row,) = await register_cron_jobs(
        [
            cron_job(
                "n",
                FAR,
                tick,
                timezone="Asia/Tokyo",
                description="ticks",
                priority=4,
                max_attempts=9,
                backoff_ms=10,
                overlap="queue",
                misfire="skip",
            )
        ],
        app=app,
    )
    assert (row.timezone, row.description, row.priority) == ("Asia/Tokyo", "ticks", 4)
    assert (row.max_attempts, row.backoff_ms, row.overlap, row.misfire) == (9, 10, "queue", "skip")


async def test_handlers_are_given_by_handle_or_by_name(app: App, database: Database) -> None:
    # when
    rows = await register_cron_jobs(
        [
            cron_job("by handle", FAR, clean_up, Cleanup(days=2)),
            cron_job("by name", FAR, "cleanUp", {"days": 2}),
            cron_job("in another queue", FAR, mail),
        ],
        app=app,
    )

    # then
    assert [row.name for row in rows] == ["by handle", "by name", "in another queue"]
    assert [row.payload for row in rows] == [{"days": 2, "alsoFailed": False}, {"days": 2}, None]
    assert (await scheduler_there(app, "in another queue", "mails")).pending == "delayed"


async def test_registering_the_same_list_again_touches_nothing(app: App, cron: CronJobs) -> None:
    # given: a payload whose tuple is a list once it was stored
    listed = [nightly("* * * * *"), cron_job("n", FAR, clean_up, Cleanup(days=2)), cron_job("m", FAR, tick)]
    await register_cron_jobs(listed, app=app)
    before = await cron.list()
    schedulers = [await scheduler_there(app, row.job_id) for row in before]

    # when
    await register_cron_jobs(reversed(listed), app=app)

    # then
    assert await cron.list() == before, "updated_at, too"
    assert [await scheduler_there(app, row.job_id) for row in before] == schedulers


async def test_a_changed_pattern_moves_the_next_run_and_keeps_the_row(app: App, cron: CronJobs) -> None:
    # given
    (before,) = await register_cron_jobs([nightly()], app=app)

    # when
    (after,) = await register_cron_jobs([nightly(OTHER, days=4)], app=app)

    # then
    assert (after.id, after.pattern, after.payload) == (before.id, OTHER, {"days": 4})
    assert after.updated_at > before.updated_at
    scheduler = await scheduler_there(app, "nightly")
    assert scheduler.next_ms == cron.next_run_ms(after)
    assert await jobs_of(app, "nightly") == [f"repeat:nightly:{scheduler.next_ms}"]


async def test_an_option_that_is_no_longer_said_is_the_default_again(app: App, database: Database) -> None:
    await register_cron_jobs([cron_job("n", FAR, tick, overlap="allow", description="ticks")], app=app)
    (row,) = await register_cron_jobs([cron_job("n", FAR, tick)], app=app)
    assert (row.overlap, row.description) == ("skip", None)


async def test_what_is_no_longer_listed_is_removed_with_its_pending_job(app: App, cron: CronJobs) -> None:
    # given
    await register_cron_jobs([nightly(), cron_job("n", FAR, tick)], app=app)

    # when
    await register_cron_jobs([cron_job("n", FAR, tick)], app=app)

    # then
    assert await names(cron) == ["n"]
    assert await scheduler_of(app, "nightly") is None
    assert await jobs_of(app, "nightly") == []
    assert len(await jobs_of(app, "n")) == 1


async def test_an_empty_list_removes_all_that_were_listed(app: App, cron: CronJobs) -> None:
    await register_cron_jobs([nightly()], app=app)
    assert await register_cron_jobs([], app=app) == ()
    assert await cron.list() == ()


async def test_what_others_made_is_not_removed(app: App, cron: CronJobs) -> None:
    # given
    await cron.create(name="by hand", pattern=FAR, handler="tick", created_by="register_cron_jobs")
    await add("tick", FAR, app=app)
    await register_cron_jobs([nightly()], app=app)

    # when
    await register_cron_jobs([], app=app)

    # then
    assert [row.name.partition(".")[0] for row in await cron.list()] == ["by hand", "tick"]


async def test_a_group_speaks_for_itself_alone(app: App, cron: CronJobs) -> None:
    """Two services that share a database would remove each other's cron jobs at every start."""
    # given
    await register_cron_jobs([cron_job("bill", FAR, tick)], group="billing", app=app)
    await register_cron_jobs([nightly()], app=app)

    # when
    await register_cron_jobs([], group="billing", app=app)

    # then
    assert await names(cron) == ["nightly"]


@pytest.mark.parametrize("group", ["", "a\nb", "x" * 101, 5])
async def test_a_group_that_cannot_be_kept_is_refused(app: App, database: Database, group: Any) -> None:
    with pytest.raises(InvalidCronJob, match="group: must be a text"):
        await register_cron_jobs([], group=group, app=app)


async def test_a_row_of_a_person_is_never_overwritten(app: App, cron: CronJobs) -> None:
    # given
    by_hand = await cron.create(name="nightly", pattern=OTHER, handler="tick", created_by="alice")

    # when
    with pytest.raises(InvalidCronJob) as caught:
        await register_cron_jobs([cron_job("n", FAR, tick), nightly()], app=app)

    # then
    (problem,) = caught.value.field_errors.values()
    assert set(caught.value.field_errors) == {"[1] nightly.name"}
    assert "source admin, made by alice" in problem
    assert by_hand.id in problem
    assert await cron.list() == (by_hand,), "nothing of the list was saved"


async def test_a_persons_job_id_is_not_taken_either(app: App, cron: CronJobs) -> None:
    await cron.create(name="something else", job_id="nightly", pattern=OTHER, handler="tick")
    with pytest.raises(InvalidCronJob, match="is the job_id of a cron job that was not registered here"):
        await register_cron_jobs([nightly()], app=app)


async def test_a_cron_job_that_a_person_has_disabled_stays_so(app: App, cron: CronJobs) -> None:
    # given
    (row,) = await register_cron_jobs([nightly()], app=app)
    await cron.update(row.id, enabled=False)

    # when
    (same,) = await register_cron_jobs([nightly()], app=app)
    (changed,) = await register_cron_jobs([nightly(OTHER)], app=app)

    # then
    assert not same.enabled
    assert (changed.enabled, changed.pattern) == (False, OTHER)
    assert await scheduler_of(app, "nightly") is None


async def test_what_a_person_edited_is_what_the_list_says_again(app: App, cron: CronJobs) -> None:
    (row,) = await register_cron_jobs([nightly()], app=app)
    await cron.update(row.id, name="each night", pattern=OTHER)
    (again,) = await register_cron_jobs([nightly()], app=app)
    assert (again.id, again.name, again.pattern) == (row.id, "nightly", FAR)


async def test_names_that_a_person_has_turned_round_are_what_the_list_says_again(
    settings: MakeSettings, database_url: str
) -> None:
    """The first row was given its name while another one still had it, and SQLAlchemy's IntegrityError came out."""
    # given
    await upgrade(database_url, [FOLDER])
    async with App(REGISTRY, settings(database_url=database_url)) as app, open_database(database_url) as database:
        cron = CronJobs(app, database)
        listed = [cron_job(name, FAR, tick) for name in "abc"]
        before = await register_cron_jobs(listed, app=app)
        for row, name in zip([*before, *before], ["x", "y", "z", "b", "c", "new"], strict=True):
            await cron.update(row.id, name=name)

        # when
        after = await register_cron_jobs([*listed, cron_job("new", FAR, tick)], app=app)

        # then
        assert [(row.id, row.name) for row in after[:3]] == [(row.id, row.name) for row in before]
        assert [row.name for row in await cron.list()] == ["a", "b", "c", "new"]


async def test_a_row_that_cannot_be_read_is_named(app: App, cron: CronJobs, database: Database) -> None:
    # given
    (row, _) = await register_cron_jobs([nightly(), cron_job("n", FAR, tick)], app=app)
    async with database.transaction() as session:
        await session.execute(text("UPDATE cron_job SET payload = '{bad' WHERE name = 'nightly'"))

    # when
    with pytest.raises(InvalidCronJob) as caught:
        await register_cron_jobs([nightly(OTHER), cron_job("n", OTHER, tick)], app=app)

    # then
    assert set(caught.value.field_errors) == {"nightly"}
    assert "cannot be read" in caught.value.field_errors["nightly"]
    assert [one.pattern for one in await cron.list()] == [FAR], "nothing of the list was saved"
    await cron.delete(row.id)
    assert len(await register_cron_jobs([nightly()], app=app)) == 1


async def test_a_row_that_nobody_is_said_to_have_made_is_described_without_him(app: App, cron: CronJobs) -> None:
    row = await cron.create(name="nightly", pattern=OTHER, handler="tick")
    with pytest.raises(InvalidCronJob, match=rf"\(source admin, id {row.id}\)"):
        await register_cron_jobs([nightly()], app=app)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (cron_job("bad", "every day", "tick"), "[1] bad.pattern"),
        (cron_job("bad", "0 0 30 2 *", "tick"), "[1] bad.pattern"),
        (cron_job("bad", FAR, "tick", timezone="Mars/Olympus"), "[1] bad.timezone"),
        (cron_job("bad", FAR, "nobody"), "[1] bad.handler"),
        (cron_job("bad", FAR, "cleanUp", {"days": 0}), "[1] bad.payload.days"),
        (cron_job("bad", FAR, "cleanUp", cast(Any, object())), "[1] bad.payload"),
        (cron_job("bad", FAR, "tick", max_attempts=0), "[1] bad.max_attempts"),
        (cron_job("bad", FAR, "tick", overlap=cast(Any, "never")), "[1] bad.overlap"),
        (cron_job(cast(Any, 7), FAR, "tick"), "[1] 7.name"),
        (cron_job("", FAR, "tick"), "[1] .name"),
        (cron_job("a:b", FAR, "tick"), "[1] a:b.name"),
        (cron_job("nightly", FAR, "tick"), "[1] nightly.name"),
        (("bad", FAR, "tick"), "[1]"),
        (None, "[1]"),
    ],
    ids=plainly,
)
async def test_one_bad_entry_is_named_and_nothing_is_saved(app: App, cron: CronJobs, wrong: Any, field: str) -> None:
    with pytest.raises(InvalidCronJob) as caught:
        await register_cron_jobs([nightly(), wrong, cron_job("n", FAR, tick)], app=app)
    assert set(caught.value.field_errors) == {field}
    assert await cron.list() == ()


def test_an_option_that_there_is_not_is_refused_where_it_is_written() -> None:
    with pytest.raises(InvalidCronJob, match="enabled: is not an option; there are description, timezone"):
        cron_job("n", FAR, "tick", **cast(Any, {"enabled": False}))


async def test_many_processes_that_start_at_once_end_with_one_list(settings: MakeSettings, database_url: str) -> None:
    # given
    await upgrade(database_url, [FOLDER])
    listed = [nightly(), cron_job("n", FAR, tick), cron_job("m", FAR, tick)]
    async with App(REGISTRY, settings(database_url=database_url)) as app:
        # when
        answers = await asyncio.gather(*(register_cron_jobs(listed, app=app) for _ in range(6)))

        # then
        async with open_database(database_url) as database:
            rows = await CronJobs(app, database).list()
        assert all(sorted(answer, key=lambda row: row.name) == list(rows) for answer in answers)
        assert [row.name for row in rows] == ["m", "n", "nightly"]


async def test_two_versions_of_a_list_at_once_end_with_one_of_them(settings: MakeSettings, database_url: str) -> None:
    """As in a rolling deployment."""
    # given
    await upgrade(database_url, [FOLDER])
    old = [nightly(), cron_job("n", FAR, tick), cron_job("old", FAR, tick)]
    new = [cron_job("new", FAR, tick), cron_job("n", OTHER, tick), nightly(OTHER)]
    async with App(REGISTRY, settings(database_url=database_url)) as app:
        # when
        await asyncio.gather(*(register_cron_jobs(one, app=app) for one in (old, new, old, new)))

        # then
        async with open_database(database_url) as database:
            rows = await CronJobs(app, database).list()
        patterns = {row.name: row.pattern for row in rows}
        assert patterns in (
            {"nightly": FAR, "n": FAR, "old": FAR},
            {"nightly": OTHER, "n": OTHER, "new": FAR},
        )
        for row in rows:
            assert (await scheduler_there(app, row.job_id)).fields["pattern"] == row.pattern


async def test_a_list_is_saved_while_redis_is_away(settings: MakeSettings, caplog: pytest.LogCaptureFixture) -> None:
    """Any worker's next pass makes the schedulers."""
    away = settings(redis_url="redis://127.0.0.1:1/0", redis_connect_ms=100, redis_call_ms=500)
    await upgrade(away.database_url, [FOLDER])
    async with App(REGISTRY, away) as app:
        (row,) = await register_cron_jobs([nightly()], app=app)
    assert row.name == "nightly"
    assert "follows with the next pass of a worker" in caplog.text
