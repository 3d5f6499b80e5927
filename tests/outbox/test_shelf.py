"""What a screen sees of the table, and does to rows that are set aside."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobqueue import App, DatabaseUnavailable, InvalidOption
from jobqueue.database import Database, open_database
from jobqueue.errors import RowNotFound, RowNotSetAside
from jobqueue.outbox import Relay
from jobqueue.outbox.shelf import LEAST_COUNTED, MAX_LISTED, MOST_COUNTED, RowState, Shelf
from jobqueue.outbox.skimming import MOST_QUEUES
from tests.outbox.conftest import MakeApp
from tests.outbox.shelving import copy_rows, enqueue_rows, row_ids, set_aside


@pytest.fixture
def shelf(app: App, database: Database) -> Shelf:
    return Shelf(database, app.settings.jobs_prefix)


async def test_an_empty_table_has_no_queues(shelf: Shelf) -> None:
    assert await shelf.queues() == ()
    assert await shelf.set_aside() == ()


async def test_the_rows_of_each_queue_are_counted_by_state(app: App, database: Database, shelf: Shelf) -> None:
    first, *_ = await enqueue_rows(app, database, [{}, {}, {}])
    await set_aside(database, [first])
    await enqueue_rows(app, database, [{}], queue="others")

    jobs, others = await shelf.queues()

    assert (jobs.queue, jobs.waiting, jobs.set_aside) == ("jobs", 2, 1)
    assert (others.queue, others.waiting, others.set_aside) == ("others", 1, 0)
    assert jobs.oldest_at is not None
    assert abs((datetime.now(UTC) - jobs.oldest_at).total_seconds()) < 60
    assert await shelf.set_aside() == (("jobs", 1),)


async def test_a_count_ends_where_it_would_take_long(app: App, database: Database, shelf: Shelf) -> None:
    await enqueue_rows(app, database, [{}])
    await copy_rows(database, MOST_COUNTED + 5)

    (jobs,) = await shelf.queues()

    assert (jobs.waiting, jobs.counted_to) == (MOST_COUNTED, MOST_COUNTED)


async def test_of_many_queues_some_are_looked_at_and_counted_less_far(
    app: App, database: Database, shelf: Shelf
) -> None:
    for number in range(MOST_QUEUES + 2):
        await enqueue_rows(app, database, [{}], queue=f"q{number:03}")
    await copy_rows(database, LEAST_COUNTED)

    queues = await shelf.queues()

    assert [one.queue for one in queues] == [f"q{number:03}" for number in range(MOST_QUEUES)]
    assert (queues[0].waiting, queues[0].counted_to) == (LEAST_COUNTED, LEAST_COUNTED)


async def test_rows_of_another_prefix_are_never_seen_nor_touched(
    make_app: MakeApp, database: Database, shelf: Shelf
) -> None:
    theirs = await enqueue_rows(make_app(jobs_prefix="theirs"), database, [{}])
    await set_aside(database, theirs)

    assert await shelf.queues() == ()
    assert (await shelf.page("jobs", "set_aside")).rows == ()
    with pytest.raises(RowNotFound):
        await shelf.row(theirs[0])
    with pytest.raises(RowNotFound):
        await shelf.treat("remove", theirs[0])
    assert await shelf.last_set_aside("jobs") is None
    assert await shelf.treat_some("remove", "jobs", datetime.now(UTC)) == 0
    assert await row_ids(database) == theirs


@pytest.mark.parametrize("each_later", [0, 1], ids=["at one moment", "one after the other"])
@pytest.mark.parametrize("state", ["waiting", "set_aside"])
async def test_page_by_page_each_row_is_seen_once_and_in_order(
    app: App, database: Database, shelf: Shelf, state: RowState, each_later: int
) -> None:
    ids = await enqueue_rows(app, database, [{} for _ in range(7)])
    if state == "set_aside":
        await set_aside(database, ids, each_later=each_later)
    seen, after = list[int](), None
    while True:
        page = await shelf.page("jobs", state, after, limit=3)
        seen += [row.id for row in page.rows]
        after = page.next
        if after is None:
            break

    assert seen == (ids if state == "waiting" else ids[::-1])


@pytest.mark.parametrize("after", ["x", "", "-1", "1-", "1-2-3", "9" * 30, "999999999999999999-1", "٣"])
async def test_a_place_that_no_page_gave_is_refused(shelf: Shelf, after: str) -> None:
    with pytest.raises(InvalidOption, match="after"):
        await shelf.page("jobs", "set_aside", after)


async def test_a_list_leaves_out_what_is_large_and_the_row_itself_has_it(
    app: App, database: Database, shelf: Shelf
) -> None:
    (large,) = await enqueue_rows(app, database, [{"lane": "x" * MAX_LISTED}])

    (listed,) = (await shelf.page("jobs", "waiting")).rows

    assert listed.data is None
    assert "xxx" in ((await shelf.row(large)).data or "")


async def test_a_row_that_is_tried_again_reaches_redis(
    app: App, database: Database, shelf: Shelf, relay: Relay
) -> None:
    (row_id,) = await enqueue_rows(app, database, [{"number": 7}])
    await set_aside(database, [row_id])
    await relay.tick()
    job_id = (await shelf.row(row_id)).job_id

    await shelf.treat("retry", row_id)
    await relay.tick()

    assert (await app.queue().job(job_id)).name == "note"
    assert await row_ids(database) == []


async def test_a_row_that_waits_is_left_to_the_relay(app: App, database: Database, shelf: Shelf) -> None:
    (row_id,) = await enqueue_rows(app, database, [{}])
    with pytest.raises(RowNotSetAside):
        await shelf.treat("remove", row_id)
    assert await row_ids(database) == [row_id]


@pytest.mark.parametrize("row_id", [0, 4711, 2**63, 2**70])
async def test_a_row_that_is_not_there_is_not_found(shelf: Shelf, row_id: int) -> None:
    with pytest.raises(RowNotFound, match=f"no row {row_id}:"):
        await shelf.row(row_id)


async def test_what_is_set_aside_while_all_are_treated_is_left_as_it_is(
    app: App, database: Database, shelf: Shelf
) -> None:
    """Rows that are tried again and refused at once would else be treated without end."""
    first, second, third = await enqueue_rows(app, database, [{}, {}, {}])
    await set_aside(database, [first, second])
    until = await shelf.last_set_aside("jobs")
    assert until is not None
    await set_aside(database, [first, second, third], each_later=5)

    assert await shelf.treat_some("remove", "jobs", until) == 1
    assert await shelf.treat_some("remove", "jobs", until) == 0
    assert await row_ids(database) == [second, third]


async def test_a_database_without_the_table_says_what_to_do(app: App, tmp_path: object) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/empty.db") as empty:
        with pytest.raises(DatabaseUnavailable, match="jobqueue db upgrade"):
            await Shelf(empty, app.settings.jobs_prefix).queues()
