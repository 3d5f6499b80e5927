"""What the run of a cron job is told of the row that it comes from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest

from jobqueue import App, JobContext, make_job
from jobqueue.context import CronContext
from jobqueue.errors import CronJobNotFound, DatabaseUnavailable
from jobqueue.worker.process.location import Location
from jobqueue.worker.process.wire import CronTold, Limits, Order, decode_to_child, encode
from tests.conftest import MakeSettings
from tests.cron.scheduled import FAR
from tests.cron.slots import at_work, far_row, site
from tests.patterns.working import serving

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


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
    [CronContext("* * * * *", NOON), CronContext("* * * * *", None), CronContext(None, None, CronJobNotFound("row"))],
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
    assert told is None or isinstance(told, CronJobNotFound)
