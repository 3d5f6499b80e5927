"""What the run of a cron job is told of the row that it comes from."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import pytest
from sqlalchemy import text

from jobqueue import App, JobContext, make_job
from jobqueue.context import CronContext
from jobqueue.cron.migrations import FOLDER
from jobqueue.database import Database, open_database
from jobqueue.errors import CronError, CronJobNotFound, DatabaseUnavailable, UnreadableCronJob
from jobqueue.upgrades import upgrade
from jobqueue.worker import cron_runs
from jobqueue.worker.cron_runs import READ_LIMIT_S, StoredRows
from jobqueue.worker.process.location import Location
from jobqueue.worker.process.wire import CronTold, Limits, Order, decode_to_child, encode
from tests.conftest import MakeSettings
from tests.cron.scheduled import FAR
from tests.cron.slots import at_work, far_row, site
from tests.patterns.working import serving

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
MANY: Final = 4


@make_job(attempts=1)
async def tell(ctx: JobContext) -> list[str | None]:
    return _told(ctx)


@make_job(name="tellFromAfar", run_in="process", attempts=1)
def tell_from_afar(ctx: JobContext) -> list[str | None]:
    return _told(ctx)


@make_job(name="sayPattern", attempts=1)
async def say_pattern(ctx: JobContext) -> str:
    return ctx.cron.expression if ctx.cron is not None else "no cron job"


def _told(ctx: JobContext) -> list[str | None]:
    if ctx.cron is None:
        return []
    completed_at = ctx.cron.last_completed_at
    return [ctx.cron.expression, None if completed_at is None else completed_at.isoformat()]


@asynccontextmanager
async def swallowing_packets() -> AsyncGenerator[str]:
    """The URL of a database that takes connections, and never answers."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        yield f"postgresql+asyncpg://127.0.0.1:{server.sockets[0].getsockname()[1]}/jobs"


async def spoil(database: Database, how: str) -> None:
    async with database.transaction() as session:
        await session.execute(text(f"UPDATE cron_job SET {how}"))


@pytest.mark.parametrize("handler", [tell, tell_from_afar], ids=["here", "in a process"])
async def test_a_slot_knows_its_expression_and_the_last_completion(settings: MakeSettings, handler: object) -> None:
    name = "tell" if handler is tell else "tellFromAfar"
    async with at_work(settings(), tell, tell_from_afar) as made:
        row = await far_row(made, name)
        first = await made.slot(row)
        assert await made.ended(first) == ("completed", f'["{FAR}",null]')
        completed = await made.row_says(row, "completed", first)
        assert completed.last_completed_at is not None

        second = await made.slot(row)

        moment = completed.last_completed_at.isoformat()
        assert await made.ended(second) == ("completed", f'["{FAR}","{moment}"]')


async def test_a_trigger_knows_what_a_slot_knows(settings: MakeSettings) -> None:
    async with at_work(settings(), tell) as made:
        row = await far_row(made, "tell", enabled=False)

        triggered = await made.cron.trigger(row.id)

        assert await made.ended(triggered.job_id) == ("completed", f'["{FAR}",null]')


async def test_a_job_that_is_of_no_cron_job_has_none(settings: MakeSettings) -> None:
    async with at_work(settings(), tell) as made:
        assert await (await made.app.enqueue_job(tell)).wait(20) == []


async def test_without_the_database_a_slot_runs_and_fails_only_where_it_asks_for_the_last_completion(
    settings: MakeSettings,
) -> None:
    """A handler that takes up where the last run ended would begin at the beginning if it were told None."""
    nowhere = "sqlite+aiosqlite:////nowhere/jobqueue.db"
    async with site(settings(), tell, tell_from_afar, say_pattern) as made:
        rows = [
            await made.cron.create(name=name, pattern=FAR, handler=name, max_attempts=1)
            for name in ("tell", "tellFromAfar", "sayPattern")
        ]
        jobs = [await made.slot(row) for row in rows]

        async with App(made.app.registry, settings(database_url=nowhere)) as without, serving(without):
            for job_id in jobs[:2]:
                state, reason = await made.ended(job_id)
                assert (state, str(reason)[:37]) == ("failed", "database at sqlite+aiosqlite:////nowh")
            assert await made.ended(jobs[2]) == ("completed", f'"{FAR}"')


async def test_runs_do_not_wait_one_after_another_for_a_database_that_swallows_packets(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """Each try of each cron job began five seconds late, so that of a pattern for each second four of five slots were
    skipped; and each said so.
    """
    async with site(settings(), say_pattern) as made, swallowing_packets() as nowhere:
        row = await far_row(made, "sayPattern", overlap="allow")
        async with App(made.app.registry, settings(database_url=nowhere)) as without, serving(without):
            # given the one that found out
            assert await made.ended(await made.slot(row)) == ("completed", f'"{FAR}"')

            # when
            async with asyncio.timeout(MANY * READ_LIMIT_S / 2):
                for _ in range(MANY):
                    assert await made.ended(await made.slot(row)) == ("completed", f'"{FAR}"')

    # then
    assert sum("are not told what their rows say" in line for line in caplog.messages) == 1


async def test_a_database_that_is_back_is_asked_again_at_once_and_said_to_be(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    # given
    caplog.set_level(logging.INFO, "jobqueue.worker")
    async with open_database(database_url) as database:
        rows = StoredRows(database)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await rows.row("nightly")

        # when
        await upgrade(database_url, [FOLDER])

        # then
        for _ in range(2):
            with pytest.raises(CronJobNotFound):
                await rows.row("nightly")
    assert [record.levelname for record in caplog.records if "what their rows say" in record.message] == [
        "WARNING",
        "INFO",
    ]


async def test_one_run_in_half_a_minute_gives_a_database_that_is_away_its_whole_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that has become slow would stay away for ever, if all that follow gave it a moment only."""
    async with swallowing_packets() as nowhere, open_database(nowhere) as database:
        rows = StoredRows(database, limit_s=0.5)

        async def why_not() -> str:
            with pytest.raises(DatabaseUnavailable) as raised:
                await rows.row("nightly")
            return raised.value.reason

        # given one that was asked in vain longer ago
        monkeypatch.setattr(cron_runs, "AWAY_S", 0)
        assert await why_not() == "no answer within 0.5 s"

        # when
        monkeypatch.setattr(cron_runs, "AWAY_S", 3_600)
        limits = await asyncio.gather(*(why_not() for _ in range(3)))

        # then
        assert limits == ["no answer within 0.5 s", *["no answer within 0.25 s"] * 2]


async def test_what_sql_has_spoiled_elsewhere_in_the_row_keeps_no_run_from_being_told(settings: MakeSettings) -> None:
    async with at_work(settings(), tell) as made:
        row = await far_row(made, "tell", enabled=False)
        triggered = await made.cron.trigger(row.id)
        await spoil(made.database, "payload = '{bad'")

        assert await made.ended(triggered.job_id) == ("completed", f'["{FAR}",null]')


async def test_a_moment_that_sql_has_spoiled_fails_only_the_run_that_asks_for_it(settings: MakeSettings) -> None:
    async with site(settings(), tell, say_pattern) as made:
        rows = [
            await made.cron.create(name=name, pattern=FAR, handler=name, max_attempts=1)
            for name in ("tell", "sayPattern")
        ]
        jobs = [await made.slot(row) for row in rows]
        await spoil(made.database, "last_completed_at = 'rubbish'")

        async with serving(made.app):
            state, reason = await made.ended(jobs[0])
            assert (state, f"cron job '{rows[0].id}' cannot be read" in str(reason)) == ("failed", True)
            assert await made.ended(jobs[1]) == ("completed", f'"{FAR}"')


async def test_the_run_of_a_row_that_is_gone_does_not_begin_at_the_beginning(settings: MakeSettings) -> None:
    async with site(settings(), tell, say_pattern) as made:
        row = await far_row(made, "tell", max_attempts=1)
        triggered = await made.cron.trigger(row.id)
        await made.cron.delete(row.id)

        async with serving(made.app):
            assert await made.ended(triggered.job_id) == ("failed", f"there is no cron job '{row.id}'")


def test_nothing_of_a_context_is_known_that_was_not_read() -> None:
    away = CronContext(None, None, DatabaseUnavailable("here", "it is away"))
    with pytest.raises(DatabaseUnavailable):
        assert away.expression
    with pytest.raises(DatabaseUnavailable):
        assert away.last_completed_at


@pytest.mark.parametrize(
    "context",
    [
        CronContext("* * * * *", NOON),
        CronContext("* * * * *", None),
        CronContext(None, None, CronJobNotFound("row")),
        CronContext(None, None, UnreadableCronJob("row", "last_completed_at: rubbish")),
    ],
)
def test_a_context_comes_through_to_another_process(context: CronContext) -> None:
    order = Order(Location("shop", "tell"), "jobs", "1", {}, "worker", None, Limits(1, 1), 30, CronTold.of(context))

    arrived = decode_to_child(encode(order))

    assert isinstance(arrived, Order)
    assert arrived.cron is not None
    again = arrived.cron.context
    assert again.parts[:2] == context.parts[:2]
    unread, told = context.parts[2], again.parts[2]
    assert (type(told).__name__, str(told)) == (type(unread).__name__, str(unread))
    assert told is None or isinstance(told, CronError)
