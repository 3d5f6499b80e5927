"""A job that is enqueued in a transaction exists if and only if that commits."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from sqlalchemy.orm import Session

from jobqueue import App, DatabaseUnavailable, InvalidOption, InvalidPayload, flow
from jobqueue.database import Database, open_database
from jobqueue.job import EnqueueOptions
from jobqueue.outbox import Relay, steps
from jobqueue.outbox.moving import move
from jobqueue.outbox.reading import next_rows
from tests.outbox.conftest import latest, note, only_one
from tests.outbox.ground import Note, rows, waiting


async def test_a_job_is_in_redis_after_its_transaction_has_committed(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    async with database.transaction() as session:
        enqueued = await app.enqueue_job(note, Note(number=7), session=session)
        assert enqueued.outboxed
        await relay.tick()
        assert await waiting(app, redis) == []

    await relay.tick()

    assert await waiting(app, redis) == [7]
    assert (await app.queue().job(enqueued.job_id)).name == "note"
    assert await rows(database) == 0


async def test_a_job_of_a_transaction_that_is_rolled_back_never_existed(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    async with database.sessions() as session:
        await app.enqueue_job(note, Note(), session=session)
        await session.rollback()

    await relay.tick()

    assert await rows(database) == 0
    assert await waiting(app, redis) == []


async def test_a_savepoint_that_is_rolled_back_takes_its_job_with_it(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    async with database.transaction() as session:
        await app.enqueue_job(note, Note(number=1), session=session)
        savepoint = await session.begin_nested()
        await app.enqueue_job(note, Note(number=2), session=session)
        await savepoint.rollback()
        await app.enqueue_job(note, Note(number=3), session=session)

    await relay.tick()

    assert await waiting(app, redis) == [1, 3]


async def test_jobs_keep_the_order_in_which_they_were_enqueued(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    for first in range(0, 30, 10):
        async with database.transaction() as session:
            await app.enqueue_jobs([(note, Note(number=first + step)) for step in range(9)], session=session)
            await app.enqueue_job(note, Note(number=first + 9), session=session)

    await relay.tick()

    assert await waiting(app, redis) == list(range(30))


async def test_a_job_keeps_all_that_was_asked_for_it(app: App, database: Database, relay: Relay) -> None:
    asked = EnqueueOptions(
        priority=3, attempts=4, timeout_ms=5_000, job_id="mine", created_by="ada", related=("order", "7")
    )
    async with database.transaction() as session:
        await app.enqueue_job(note, Note(number=1), **asked | {"session": session})
    await app.enqueue_job(note, Note(number=1), **asked | {"job_id": "direct"})

    await relay.tick()

    outboxed, direct = await app.queue().job("mine"), await app.queue().job("direct")
    assert outboxed.envelope == direct.envelope
    assert (outboxed.priority, outboxed.attempts) == (3, 4)
    assert dict(outboxed.options) | {"jobId": ""} == dict(direct.options) | {"jobId": ""}


async def test_a_row_that_is_moved_again_before_it_was_deleted_adds_nothing(
    app: App, database: Database, redis: Redis
) -> None:
    """The relay died in between; and the job has run and is gone by then, so that its id is free."""
    async with database.transaction() as session:
        enqueued = await app.enqueue_job(note, Note(number=1), session=session)
    found = await next_rows(database, app.settings.jobs_prefix, "jobs", 10, datetime.now(UTC))
    queue = app.queue()
    await steps.hold(queue, "the dead one's")
    assert len((await move(queue, found, "the dead one's")).rows) == 1
    await redis.delete(queue.keys.of("wait"), queue.keys.job(enqueued.job_id))

    await steps.hold(queue, "its successor's")
    again = await move(queue, found, "its successor's")

    assert len(again.rows) == 1, "the row may be deleted"
    assert await waiting(app, redis) == []


async def test_what_was_sent_under_an_earlier_hold_adds_nothing(app: App, database: Database, redis: Redis) -> None:
    """Its relay read the rows and stood still; another has moved and deleted them, markers too. Or the network kept
    the call back, and the same relay has looked again since.
    """
    async with database.transaction() as session:
        await app.enqueue_job(note, Note(number=1), session=session)
    found = await next_rows(database, app.settings.jobs_prefix, "jobs", 10, datetime.now(UTC))
    await steps.hold(app.queue(), "relay.1")
    await steps.hold(app.queue(), "relay.2")

    moved = await move(app.queue(), found, "relay.1")

    assert (moved.rows, moved.refused, moved.trouble) == ([], {}, None)
    assert await waiting(app, redis) == []


async def test_markers_are_not_taken_away_under_an_earlier_hold(app: App, database: Database, redis: Redis) -> None:
    """Whoever has the later one may be adding the row that the marker is of."""
    markers = app.queue().keys.outbox_moved()
    await redis.hset(markers, "row", "job")
    await steps.hold(app.queue(), "relay.1")
    await steps.hold(app.queue(), "relay.2")

    assert not await steps.forget_moved(app.queue(), "relay.1", ["row"])
    assert await redis.hexists(markers, "row")
    assert await steps.forget_moved(app.queue(), "relay.2", ["row"])
    assert not await redis.exists(markers)


async def test_the_last_of_a_lane_wins_over_one_that_was_enqueued_before_it_and_moved_after_it(
    app: App, database: Database, relay: Relay
) -> None:
    async with database.transaction() as session:
        older = await app.enqueue_job(latest, Note(number=1, lane="a"), session=session)
    newer = await app.enqueue_job(latest, Note(number=2, lane="a"))

    await relay.tick()

    keys = app.queue().keys
    assert await app.client.call("HGET", keys.lane("latest", "a"), "holder") == newer.job_id
    assert await app.client.call("EXISTS", keys.superseded(newer.job_id)) == 0
    assert await app.client.call("EXISTS", keys.job(older.job_id)) == 1


async def test_of_jobs_of_one_lane_in_the_table_the_last_one_holds_it(
    app: App, database: Database, relay: Relay
) -> None:
    async with database.transaction() as session:
        jobs = [await app.enqueue_job(latest, Note(number=n, lane="a"), session=session) for n in range(3)]

    await relay.tick()

    keys = app.queue().keys
    assert await app.client.call("HGET", keys.lane("latest", "a"), "holder") == jobs[2].job_id
    assert await app.client.call("GET", keys.superseded(jobs[0].job_id)) == jobs[1].job_id


async def test_the_same_job_id_is_stored_once(app: App, database: Database, relay: Relay, redis: Redis) -> None:
    async with database.transaction() as session:
        await app.enqueue_job(note, Note(number=1), job_id="mine", session=session)
        await app.enqueue_job(note, Note(number=2), job_id="mine", session=session)

    await relay.tick()

    assert await waiting(app, redis) == [1]
    assert await rows(database) == 0


async def test_a_duplicate_of_an_unfinished_job_is_dropped(
    app: App, database: Database, relay: Relay, redis: Redis
) -> None:
    """Who enqueued it is long gone, and the job that it would duplicate does the work."""
    async with database.transaction() as session:
        for number in (1, 2):
            await app.enqueue_job(only_one, Note(number=number), related=("order", "7"), session=session)

    await relay.tick()

    assert await waiting(app, redis) == [1]
    assert await rows(database) == 0


async def test_what_is_wrong_is_said_before_anything_is_written(app: App, database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(InvalidPayload):
            await app.enqueue_job("note", {"number": "seven"}, session=session)
        with pytest.raises(InvalidOption, match="bypass_outbox: with session"):
            await app.enqueue_job(note, Note(), session=session, bypass_outbox=True)

    assert await rows(database) == 0


async def test_what_is_no_session_is_refused_by_name(app: App, database: Database) -> None:
    with pytest.raises(InvalidOption, match="session: must be an AsyncSession"):
        await app.enqueue_job(note, Note(), session=cast(Any, Session()))


async def test_a_flow_does_not_go_by_the_outbox(app: App, database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(InvalidOption, match="session: the jobs of a flow"):
            await app.enqueue_flow(cast(Any, flow)(note, Note(), session=session))


async def test_a_database_without_the_table_says_what_to_do(app: App, tmp_path: Path) -> None:
    async with open_database(f"sqlite:///{tmp_path / 'empty.db'}") as empty, empty.sessions() as session:
        with pytest.raises(DatabaseUnavailable, match="jobqueue db upgrade"):
            await app.enqueue_job(note, Note(), session=session)


async def test_a_result_can_be_waited_for_before_the_job_is_in_redis(
    app: App, database: Database, relay: Relay
) -> None:
    async with database.transaction() as session:
        enqueued = await app.enqueue_job(note, Note(), session=session)

    with pytest.raises(TimeoutError):
        await enqueued.wait(timeout_s=0.2)
