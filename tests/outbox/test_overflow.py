"""What a full queue has no room for waits in the database, and comes in again in the order in which it was enqueued."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis
from sqlalchemy import make_url, text

from jobqueue import App, DatabaseUnavailable, OutcomeUnknown
from jobqueue.cron import CronJobs
from jobqueue.database import Database
from jobqueue.outbox import steps
from tests.conftest import MakeSettings
from tests.outbox.conftest import REGISTRY, MakeApp, note, relay_of
from tests.outbox.ground import Note, rows, waiting
from tests.support.eventually import eventually


async def take(app: App, redis: Redis, number: int) -> None:
    """As workers would, which run the oldest first."""
    await redis.rpop(app.queue().keys.of("wait"), number)


async def is_overflowing(app: App, redis: Redis) -> bool:
    return bool(await redis.exists(app.queue().keys.overflow()))


async def test_a_full_queue_takes_no_more_and_the_database_does(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    app = make_app(jobs_max_queue_depth=3)

    jobs = [await app.enqueue_job(note, Note(number=number)) for number in range(5)]

    assert await waiting(app, redis) == [0, 1, 2]
    assert await rows(database) == 2  # already, when the call returns
    assert [job.outboxed for job in jobs] == [False, False, False, True, True]
    assert all(job.job_id for job in jobs)


async def test_prioritized_and_active_jobs_count_too(make_app: MakeApp, database: Database, redis: Redis) -> None:
    app = make_app(jobs_max_queue_depth=3)
    await app.enqueue_job(note, Note(number=1), priority=5)
    await redis.lpush(app.queue().keys.of("active"), "one", "two")

    enqueued = await app.enqueue_job(note, Note(number=2), priority=1)

    assert enqueued.outboxed


async def test_what_comes_later_waits_behind_what_was_spilled(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    """There is room again, but a job that went straight would overtake those in the table."""
    app = make_app(jobs_max_queue_depth=3)
    for number in range(5):
        await app.enqueue_job(note, Note(number=number))
    await take(app, redis, 3)

    enqueued = await app.enqueue_job(note, Note(number=5))

    assert enqueued.outboxed
    assert await waiting(app, redis) == []


async def test_the_relay_moves_as_many_as_there_is_room_for(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    app = make_app(jobs_max_queue_depth=3)
    for number in range(8):
        await app.enqueue_job(note, Note(number=number))
    await take(app, redis, 3)
    relay = relay_of(app, database)

    await relay.tick()
    await relay.stop()

    assert await waiting(app, redis) == [3, 4, 5]
    assert await rows(database) == 2


async def test_an_overflow_ends_when_the_table_is_empty_and_the_queue_has_room(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    app = make_app(jobs_max_queue_depth=10)
    for number in range(12):
        await app.enqueue_job(note, Note(number=number))
    relay = relay_of(app, database)
    await relay.start()
    try:
        await take(app, redis, 4)
        await eventually(lambda: _is_empty(database))
        await asyncio.sleep(1.0)  # for this it does not end
        assert await is_overflowing(app, redis), "8 of 10 are no less than 80 %"
        await take(app, redis, 1)
        await eventually(lambda: _has_ended(app, redis))
    finally:
        await relay.stop()

    assert not (await app.enqueue_job(note, Note(number=12))).outboxed
    assert await waiting(app, redis) == [5, 6, 7, 8, 9, 10, 11, 12]


async def _is_empty(database: Database) -> bool:
    return await rows(database) == 0


async def _has_ended(app: App, redis: Redis) -> bool:
    return not await is_overflowing(app, redis)


async def test_an_overflow_ends_while_jobs_keep_coming(make_app: MakeApp, database: Database, redis: Redis) -> None:
    """Each of them found the queue full and was spilled, and so the next did, for ever."""
    app = make_app(jobs_max_queue_depth=500)
    await app.enqueue_jobs([(note, Note())] * 502)
    relay = relay_of(app, database)

    async def work() -> None:
        while True:
            await redis.delete(app.queue().keys.of("wait"))
            await asyncio.sleep(0.005)  # a worker's pace

    working = asyncio.create_task(work())
    await relay.start()
    async with asyncio.timeout(30):
        await asyncio.gather(*(_enqueue_until_there_is_room(app) for _ in range(8)))  # there is always one on its way
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await relay.stop()

    assert not await is_overflowing(app, redis)
    assert await rows(database) == 0


async def _enqueue_until_there_is_room(app: App) -> None:
    in_a_row = 0
    while in_a_row < 20:
        enqueued = await app.enqueue_job(note, Note())
        in_a_row = 0 if enqueued.outboxed else in_a_row + 1


async def test_the_flag_stays_where_jobs_were_spilled_since_the_relay_looked(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    app = make_app(jobs_max_queue_depth=1)
    for number in range(2):
        await app.enqueue_job(note, Note(number=number))
    before = await steps.hold(app.queue(), "relay.1")
    await app.enqueue_job(note, Note(number=2))

    assert not await steps.end_overflow(app.queue(), before)
    assert await is_overflowing(app, redis)


async def test_who_spills_after_the_flag_was_taken_away_sets_it_again(app: App, redis: Redis) -> None:
    """Else what he enqueues next would overtake it."""
    await steps.note_spilled(app.queue(), 1, written=True)

    assert await is_overflowing(app, redis)
    assert not (await steps.hold(app.queue(), "relay.1")).has_some_on_their_way


async def test_jobs_that_cannot_be_spilled_do_not_leave_the_queue_full(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    """A producer that may not write to the table closed the queue for all, for 90 days."""
    app, mute = (
        make_app(jobs_max_queue_depth=1),
        make_app(jobs_max_queue_depth=1, database_url="sqlite:////no/where.db"),
    )
    await app.enqueue_job(note, Note(number=1))
    with pytest.raises(DatabaseUnavailable):
        await mute.enqueue_job(note, Note(number=2))
    await take(app, redis, 1)
    relay = relay_of(app, database)

    await relay.start()

    await eventually(lambda: _has_ended(app, redis))
    await relay.stop()


async def test_of_many_jobs_those_in_redis_are_counted_where_the_others_cannot_be_spilled(make_app: MakeApp) -> None:
    app = make_app(jobs_max_queue_depth=5, database_url="sqlite:////no/where.db")

    with pytest.raises(DatabaseUnavailable) as told:
        await app.enqueue_jobs([(note, Note(number=number)) for number in range(8)])

    assert told.value.__notes__ == ["5 jobs were stored before or beside this one"]


async def test_an_overflow_that_a_dead_relay_has_left_is_ended_by_the_next(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    app = make_app(jobs_max_queue_depth=2)
    for number in range(3):
        await app.enqueue_job(note, Note(number=number))
    await take(app, redis, 2)
    async with database.engine.begin() as connection:
        await connection.execute(text("DELETE FROM job_outbox"))
    relay = relay_of(app, database)

    await relay.start()

    await eventually(lambda: _has_ended(app, redis))
    await relay.stop()


async def test_many_jobs_at_once_fill_the_queue_and_then_the_table_in_order(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    app = make_app(jobs_max_queue_depth=1_200)
    told: list[int] = []

    stored = await app.enqueue_jobs([(note, Note(number=n)) for n in range(3_000)], on_progress=told.append)

    assert told[-1] == 3_000
    assert [job.outboxed for job in stored].count(True) == 1_800
    assert len({job.job_id for job in stored}) == 3_000
    assert await waiting(app, redis) == list(range(1_200))
    await redis.delete(app.queue().keys.of("wait"))
    relay = relay_of(app, database)
    moved: list[int] = []
    while await rows(database):
        await relay.tick()
        moved += await waiting(app, redis)
        await redis.delete(app.queue().keys.of("wait"))
    await relay.stop()
    assert moved == list(range(1_200, 3_000))


async def test_a_transaction_waits_behind_what_was_spilled_before_it(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    app = make_app(jobs_max_queue_depth=1)
    for number in range(2):
        await app.enqueue_job(note, Note(number=number))
    async with database.transaction() as session:
        await app.enqueue_job(note, Note(number=2), session=session)
    relay = relay_of(app, database)

    for _ in range(3):
        await relay.tick()
        assert len(await waiting(app, redis)) == 1
        await take(app, redis, 1)
    await relay.stop()

    assert await rows(database) == 0


async def test_what_bypasses_the_outbox_goes_straight(make_app: MakeApp, database: Database, redis: Redis) -> None:
    app = make_app(jobs_max_queue_depth=1)
    for number in range(2):
        await app.enqueue_job(note, Note(number=number))

    enqueued = await app.enqueue_job(note, Note(number=9), bypass_outbox=True)

    assert not enqueued.outboxed
    assert await waiting(app, redis) == [0, 9]


async def test_a_trigger_of_a_cron_job_goes_straight(make_app: MakeApp, database: Database, redis: Redis) -> None:
    app = make_app(jobs_max_queue_depth=1)
    for number in range(2):
        await app.enqueue_job(note, Note(number=number))
    cron = CronJobs(app, database)
    job = await cron.create(name="each year", pattern="0 0 1 1 *", handler="note", payload={"number": 5}, job_id="y")

    await cron.trigger(job.id)

    assert await waiting(app, redis) == [0, 5]


async def test_other_queues_are_not_concerned(make_app: MakeApp, database: Database, redis: Redis) -> None:
    app = make_app(jobs_max_queue_depth=1)
    for number in range(2):
        await app.enqueue_job(note, Note(number=number))

    assert not (await app.enqueue_job(note, Note(number=3), queue="other")).outboxed


async def test_a_job_that_exists_is_told_so_however_full_the_queue_is(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    app = make_app(jobs_max_queue_depth=1)
    await app.enqueue_job(note, Note(number=1), job_id="mine")

    again = await app.enqueue_job(note, Note(number=2), job_id="mine")

    assert (again.created, again.outboxed) == (False, False)
    assert await rows(database) == 0


async def test_a_queue_is_never_full_where_no_database_is_named(
    settings: MakeSettings,
) -> None:
    """The default is a file in the current folder, which another machine's worker would not see."""
    asked = settings().model_dump(exclude={"database_url"}, exclude_unset=True)
    plain = type(settings()).load(**asked | {"jobs_max_queue_depth": 1})

    async with App(REGISTRY, plain) as app:
        jobs = [await app.enqueue_job(note, Note(number=number)) for number in range(2)]

    assert [job.outboxed for job in jobs] == [False, False]


async def test_where_the_database_is_away_a_full_queue_refuses(settings: MakeSettings, make_app: MakeApp) -> None:
    app = make_app(jobs_max_queue_depth=1, database_url="sqlite+aiosqlite:////nowhere/at/all.db")
    await app.enqueue_job(note, Note(number=1))

    with pytest.raises(DatabaseUnavailable):
        await app.enqueue_job(note, Note(number=2))


async def test_a_spill_from_many_callers_at_once_loses_none(
    make_app: MakeApp, database: Database, redis: Redis
) -> None:
    app = make_app(jobs_max_queue_depth=1)

    jobs = await asyncio.gather(*(app.enqueue_job(note, Note(number=number)) for number in range(200)))

    assert sum(job.outboxed for job in jobs) == 199
    assert await rows(database) == 199


@pytest.mark.parametrize("database_url", ["postgres_url"], indirect=True)
async def test_a_database_that_takes_no_changes_is_told_in_one_line(
    make_app: MakeApp, database: Database, database_url: str
) -> None:
    """As after a failover to a standby. It was SQLAlchemy's own error, and a trace in the log twice a second."""
    async with database.transaction() as session:
        name = make_url(database_url).database
        await session.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    await database.engine.dispose()
    app = make_app(jobs_max_queue_depth=1)
    await app.enqueue_job(note, Note(number=1))

    with pytest.raises(DatabaseUnavailable, match="it takes no changes"):
        await app.enqueue_job(note, Note(number=2))


@pytest.mark.parametrize("database_url", ["postgres_url"], indirect=True)
async def test_a_spill_behind_one_that_hangs_fails_as_fast_as_any_enqueue(
    make_app: MakeApp, database: Database
) -> None:
    """It waited for the one before, and only then began its own time."""
    app = make_app(jobs_max_queue_depth=1, redis_call_ms=500)
    await app.enqueue_job(note, Note(number=1))
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE job_outbox"))
        first = asyncio.create_task(app.enqueue_job(note, Note(number=2)))
        await asyncio.sleep(0.1)  # the first has begun to write
        with pytest.raises(DatabaseUnavailable, match="others wait"):
            await app.enqueue_job(note, Note(number=3))
        with pytest.raises(OutcomeUnknown):
            await first

    await eventually(lambda: _has_rows(database, 1))


async def _has_rows(database: Database, number: int) -> bool:
    return await rows(database) == number
