"""The relay: one of all workers is at work, and what goes wrong for one row or for a while stops nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, text, update

from jobqueue import App, Worker
from jobqueue.database import Database, open_database
from jobqueue.outbox import OutboxRow, Relay
from jobqueue.outbox.lease import LEASE_MS
from jobqueue.outbox.waking import alarm_of
from tests.conftest import MakeSettings
from tests.outbox.conftest import MakeApp, note, relay_of
from tests.outbox.ground import Note, number_of, rows, waiting
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer


async def enqueue(app: App, database: Database, *numbers: int) -> None:
    async with database.transaction() as session:
        await app.enqueue_jobs([(note, Note(number=number)) for number in numbers], session=session)


async def break_row(database: Database, number: int) -> None:
    """As somebody might who edits the table by hand."""
    async with database.transaction() as session:
        data = f'%"number":{number}%'
        await session.execute(update(OutboxRow).where(OutboxRow.data.like(data)).values(job='{"timestamp_ms": "soon"}'))


async def make_due(database: Database) -> None:
    """Time passes."""
    async with database.transaction() as session:
        await session.execute(update(OutboxRow).values(next_try_at=datetime.now(UTC) - timedelta(seconds=1)))


async def broken_row(database: Database) -> OutboxRow:
    async with database.transaction() as session:
        return (await session.scalars(select(OutboxRow))).one()


async def test_a_worker_runs_what_was_enqueued_in_a_transaction(app: App, database: Database) -> None:
    async with Worker(app):
        async with database.transaction() as session:
            enqueued = await app.enqueue_job(note, Note(number=7), session=session)

        assert await enqueued.wait(timeout_s=10) == 7


async def test_a_commit_rings(app: App, database: Database) -> None:
    """Else a job would wait for the relay's next look by itself."""
    async with alarm_of(database) as alarm:
        async with database.transaction() as session:
            await app.enqueue_job(note, Note(), session=session)
            await alarm.wait(0)
            waiting_for_it = asyncio.create_task(alarm.wait(3_600))
            await asyncio.sleep(0.1)  # what rings before the commit would ring now
            assert not waiting_for_it.done()

        await asyncio.wait_for(waiting_for_it, 30)


async def _looks(redis: Redis, app: App) -> bool:
    return bool(await redis.exists(app.queue().keys.outbox_lease()))


async def _is_moved(app: App, redis: Redis) -> bool:
    return await waiting(app, redis) == [1]


async def test_a_row_that_cannot_be_moved_does_not_hold_up_the_others(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    await enqueue(app, database, 1, 2, 3)
    await break_row(database, 2)

    await relay.tick()

    assert await waiting(app, redis) == [1, 3]
    row = await broken_row(database)
    assert (row.attempts, row.set_aside_at) == (1, None)
    assert "column 'job'" in str(row.last_error)


async def test_a_row_of_a_queue_that_cannot_be_does_not_hold_up_other_queues(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    await enqueue(app, database, 1, 2)
    async with database.transaction() as session:
        await session.execute(update(OutboxRow).where(OutboxRow.data.like('%"number":2%')).values(queue="a:b"))

    await relay.tick()

    assert await waiting(app, redis) == [1]
    assert "queue" in str((await broken_row(database)).last_error)


async def test_a_row_that_fails_five_times_is_set_aside(
    app: App, database: Database, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    await enqueue(app, database, 1)
    await break_row(database, 1)

    with caplog.at_level(logging.ERROR, "jobqueue.outbox"):
        for _ in range(6):
            await relay.tick()
            await make_due(database)

    row = await broken_row(database)
    assert row.attempts == 5
    assert row.set_aside_at is not None
    assert [record.message for record in caplog.records if "is set aside" in record.message]


async def test_a_row_is_not_tried_again_before_its_time(app: App, database: Database, relay: Relay) -> None:
    await enqueue(app, database, 1)
    await break_row(database, 1)

    for _ in range(3):
        await relay.tick()

    assert (await broken_row(database)).attempts == 1


async def test_one_relay_is_at_work_and_the_next_one_takes_over_when_it_stops(
    app: App, database: Database, redis: Redis
) -> None:
    first, second = relay_of(app, database), relay_of(app, database)
    await first.tick()
    stands_by_s = await second.tick()
    assert 0 < stands_by_s < 2 * LEASE_MS / 1000
    await first.stop()
    await enqueue(app, database, 1)

    await second.tick()
    await second.stop()

    assert await waiting(app, redis) == [1]


async def test_a_relay_that_dies_is_followed_when_its_lease_ends(app: App, database: Database, redis: Redis) -> None:
    dead, successor = relay_of(app, database), relay_of(app, database)
    await dead.tick()
    await enqueue(app, database, 1)

    await successor.start()

    await eventually(lambda: _is_moved(app, redis))
    await successor.stop()
    await dead.stop()


async def test_relays_that_all_think_that_they_are_at_work_move_each_row_once(
    app: App, database: Database, redis: Redis
) -> None:
    """Jobs that are in Redis are removed at once, so that their ids do not stand in the way of a second one."""
    relays = [relay_of(app, database) for _ in range(3)]
    keys, moved = app.queue().keys, list[int]()

    async def take() -> None:
        while True:
            await redis.delete(keys.outbox_lease())  # so often that each gets its turn in the midst of another's
            ids = await redis.lrange(keys.of("wait"), 0, -1)
            for job_id in map(str, ids):
                moved.append(await number_of(redis, keys.job(job_id)))
                await redis.lrem(keys.of("wait"), 1, job_id)
                await redis.delete(keys.job(job_id))
            await asyncio.sleep(0.02)  # and the relays theirs

    taking = asyncio.create_task(take())
    for relay in relays:
        await relay.start()
    for first in range(0, 100, 10):
        await enqueue(app, database, *range(first, first + 10))
    await eventually(lambda: _is_empty(database), deadline_s=40)
    await eventually(lambda: len(moved) >= 100, deadline_s=10)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    for relay in relays:
        await relay.stop()

    assert sorted(moved) == list(range(100))


async def _is_empty(database: Database) -> bool:
    return await rows(database) == 0


async def test_markers_that_a_dead_relay_has_left_are_removed(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    await redis.hset(app.queue().keys.outbox_moved(), "a row that is deleted", "7")

    await relay.tick()

    assert await redis.exists(app.queue().keys.outbox_moved()) == 0


async def test_rows_of_another_prefix_are_left_to_its_workers(
    make_app: MakeApp, database: Database, redis: Redis, prefix: str
) -> None:
    ours, theirs = make_app(), make_app(jobs_prefix=f"{prefix}-theirs")
    await enqueue(theirs, database, 1)
    relay = relay_of(ours, database)

    await relay.tick()
    await relay.stop()

    assert await rows(database) == 1


async def test_jobs_of_queues_that_no_worker_of_ours_serves_are_moved_too(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    async with database.transaction() as session:
        await app.enqueue_job(note, Note(number=1), queue="node's", session=session)

    await relay.tick()

    assert await waiting(app, redis, "node's") == [1]


async def test_a_redis_that_goes_and_comes_back_loses_nothing(
    make_app: MakeApp, database: Database, own_redis: RedisServer
) -> None:
    app = make_app(redis_url=own_redis.url)
    relay = relay_of(app, database)
    await relay.start()
    await enqueue(app, database, 1)
    own_redis.stop()
    await enqueue(app, database, 2)
    own_redis.start()

    await eventually(lambda: _is_empty(database), deadline_s=20)

    await relay.stop()
    async with own_redis.client() as client:
        assert await waiting(app, client) == [1, 2]


@pytest.mark.parametrize("database_url", ["postgres_url"], indirect=True)
async def test_a_relay_listens_again_when_its_connection_was_cut(app: App, database: Database, relay: Relay) -> None:
    await relay.start()
    await eventually(lambda: _listeners(database))
    async with database.engine.begin() as connection:
        await connection.execute(text(f"SELECT pg_terminate_backend(pid) {_LISTENING}"))

    await eventually(lambda: _listeners(database), deadline_s=20)

    async with asyncio.timeout(10):
        await relay.stop()


_LISTENING = "FROM pg_stat_activity WHERE query ILIKE 'LISTEN %' AND pid <> pg_backend_pid()"


async def _listeners(database: Database) -> int:
    async with database.transaction() as session:
        return await session.scalar(text(f"SELECT count(*) {_LISTENING}")) or 0


async def test_an_option_that_cannot_be_sent_does_not_hold_up_the_others(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    await enqueue(app, database, 1, 2, 3)
    async with database.transaction() as session:
        row = (await session.scalars(select(OutboxRow).where(OutboxRow.data.like('%"number":2%')))).one()
        row.job = json.dumps(json.loads(row.job) | {"options": {"x": 2**70}})

    await relay.tick()

    assert await waiting(app, redis) == [1, 3]


async def test_a_queue_in_trouble_does_not_hold_up_the_queues_behind_it(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    async with database.transaction() as session:
        await app.enqueue_job(note, Note(number=1), queue="aaa", session=session)
        await app.enqueue_job(note, Note(number=2), queue="bbb", session=session)
    await redis.set(app.queue("aaa").keys.overflow(), "what somebody else has put there")

    await relay.tick()

    assert await waiting(app, redis, "bbb") == [2]


async def test_large_jobs_are_moved_in_small_batches(app: App, database: Database, relay: Relay, redis: Redis) -> None:
    """A whole batch of them took gigabytes, and longer than a relay may take."""
    large = "x" * 900_000
    async with database.transaction() as session:
        await app.enqueue_jobs([(note, Note(number=n, lane=large)) for n in range(10)], session=session)

    await relay.tick()

    assert 0 < await rows(database) < 10
    while await rows(database):
        await relay.tick()
    assert await waiting(app, redis) == list(range(10))


@pytest.mark.parametrize("database_url", ["postgres_url"], indirect=True)
async def test_a_postgres_that_goes_and_comes_back_is_listened_to_again(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    await relay.start()
    await eventually(lambda: _looks(redis, app))
    async with database.engine.begin() as connection:
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        )
    await enqueue(app, database, 1)

    await eventually(lambda: _is_moved(app, redis), deadline_s=20)


async def test_a_table_that_is_missing_is_said_once_and_stops_nothing(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async with App(settings=settings()) as app, open_database(app.settings.database_url) as empty:
        relay = relay_of(app, empty)
        with caplog.at_level(logging.ERROR, "jobqueue.outbox"):
            await relay.tick()
            await relay.tick()
        await relay.stop()

    said = [record.message for record in caplog.records if record.name == "jobqueue.outbox"]
    assert len(said) == 1
    assert "jobqueue db upgrade" in said[0]


async def test_a_relay_does_not_wait_for_a_redis_that_stands_still(
    make_app: MakeApp, database: Database, own_redis: RedisServer
) -> None:
    """It gave its lease back before the worker might end, and asked for as long as a call may take: 5 s."""
    app = make_app(redis_url=own_redis.url)
    relay = relay_of(app, database)
    await relay.tick()
    own_redis.pause()

    async with asyncio.timeout(app.settings.redis_call_ms / 1000 / 2):
        await relay.stop()

    own_redis.resume()
