"""The pages of the outbox: what is on its way, what was set aside, and what is done to it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from board import create_app
from jobqueue.app import App
from jobqueue.inspector import Inspector
from jobqueue.worker import Worker
from tests.board.cron_page_support import MARKUP, addresses_of, words_of
from tests.board.cron_support import CronBoard
from tests.board.outbox_support import PAGES, outbox_board
from tests.board.support import REGISTRY, client_of
from tests.conftest import MakeSettings
from tests.outbox.shelving import enqueue_rows, row_ids, set_aside
from tests.support.eventually import eventually

NO_POSTGRES = "postgresql://ann:s3cr3t@127.0.0.1:1/jobs"


@pytest.fixture
async def board(settings: MakeSettings, database_url: str) -> AsyncIterator[CronBoard]:
    async with outbox_board(settings(environment="local", database_url=database_url)) as board:
        yield board


async def test_an_empty_outbox_says_what_would_be_in_it(board: CronBoard) -> None:
    words = words_of(await board.client.get(PAGES))
    assert "No job is on its way." in words


async def test_each_queue_tells_what_waits_and_what_is_set_aside(board: CronBoard) -> None:
    ids = await enqueue_rows(board.app, board.database, [{"a": 1}, {"a": 2}, {"a": 3}], "notes")
    await set_aside(board.database, ids[:1])
    answer = await board.client.get(PAGES)
    assert re.search(r"notes 2 \S+ \w+ ago 1 –", words_of(answer))
    assert f"{PAGES}?queue=notes&state=waiting" in addresses_of(answer)
    assert "No relay is at work" in words_of(answer)


async def test_rows_show_their_payload_masked_with_the_last_error(board: CronBoard) -> None:
    (row_id,) = await enqueue_rows(board.app, board.database, [{"order": 17, "apiKey": "s3cr3t"}])
    await set_aside(board.database, [row_id], "ERR too large")
    for page in (f"{PAGES}?queue=jobs&state=set_aside", f"{PAGES}/row/{row_id}"):
        answer = await board.client.get(page)
        assert '"order": 17' in words_of(answer)
        assert "ERR too large" in words_of(answer)
        assert "s3cr3t" not in answer.text


async def test_a_secret_of_the_payloads_type_is_masked(board: CronBoard) -> None:
    async with board.database.transaction() as session:
        await board.app.enqueue_job("syncData", {"resource_id": "r1", "pinCode": "4711"}, session=session)
    (row_id,) = await row_ids(board.database)
    for page in (f"{PAGES}?queue=jobs&state=waiting", f"{PAGES}/row/{row_id}"):
        answer = await board.client.get(page)
        assert "r1" in answer.text
        assert "4711" not in answer.text


async def test_trying_a_row_again_lets_a_worker_run_it(board: CronBoard) -> None:
    (row_id,) = await enqueue_rows(board.app, board.database, [{"a": 1}])
    await set_aside(board.database, [row_id])

    async def is_moved() -> bool:
        return await row_ids(board.database) == []

    answer = await board.client.post(f"{PAGES}/row/{row_id}/retry", follow_redirects=True)
    assert "The row will be tried again." in words_of(answer)
    async with Worker(board.app):
        await eventually(is_moved)
    (entry,) = (await Inspector(board.app).audit()).entries
    assert (entry.action, entry.target, entry.outcome) == ("outbox retry", str(row_id), "done")


async def test_removing_a_row_asks_first(board: CronBoard) -> None:
    (row_id,) = await enqueue_rows(board.app, board.database, [{"a": 1}])
    await set_aside(board.database, [row_id])
    asked = await board.client.post(f"{PAGES}/row/{row_id}/remove")
    assert f"Remove row {row_id}, a job for note?" in words_of(asked)
    assert await row_ids(board.database) == [row_id]
    done = await board.client.post(f"{PAGES}/row/{row_id}/remove", data={"confirmed": "yes"}, follow_redirects=True)
    assert "The row was removed; its job will not run." in words_of(done)
    assert await row_ids(board.database) == []
    assert "Remove a row of the outbox" in words_of(await board.client.get("/bullBoard/audit"))


async def test_all_rows_of_a_queue_that_are_set_aside_are_treated_at_once(board: CronBoard) -> None:
    ids = await enqueue_rows(board.app, board.database, [{}, {}, {}])
    others = await enqueue_rows(board.app, board.database, [{}], "others")
    await set_aside(board.database, [*ids[:2], *others])
    asked = await board.client.post(f"{PAGES}/remove", data={"queue": "jobs"})
    assert "Remove: 2 rows of jobs that are set aside?" in words_of(asked)
    done = await board.client.post(f"{PAGES}/remove", data={"queue": "jobs", "confirmed": "yes"}, follow_redirects=True)
    assert "2 rows were removed; their jobs will not run." in words_of(done)
    assert await row_ids(board.database) == [ids[2], *others]
    (entry,) = (await Inspector(board.app).audit("jobs")).entries
    assert (entry.action, entry.count, entry.outcome) == ("outbox remove all", 2, "done")


async def test_what_is_done_to_rows_of_a_queue_that_redis_does_not_know_is_audited_too(board: CronBoard) -> None:
    (row_id,) = await enqueue_rows(board.app, board.database, [{}], "unheard-of")
    await set_aside(board.database, [row_id])
    await board.client.post(f"{PAGES}/row/{row_id}/retry")
    (entry,) = (await Inspector(board.app).audit()).entries
    assert (entry.queue, entry.details["queue"]) == ("jobs", "unheard-of")


async def test_a_row_that_waits_is_refused(board: CronBoard) -> None:
    (row_id,) = await enqueue_rows(board.app, board.database, [{}])
    answer = await board.client.post(f"{PAGES}/row/{row_id}/remove", data={"confirmed": "yes"})
    assert answer.status_code == 409
    assert await row_ids(board.database) == [row_id]


@pytest.mark.parametrize("row_id", ["0", "4711", "99999999999999999999999", "x", "-1", "1.0", "%D9%A3"])
async def test_a_row_that_is_not_there_is_not_found(board: CronBoard, row_id: str) -> None:
    for answer in (
        await board.client.get(f"{PAGES}/row/{row_id}"),
        await board.client.post(f"{PAGES}/row/{row_id}/retry"),
        await board.client.post(f"{PAGES}/row/{row_id}/remove"),
    ):
        assert answer.status_code == 404


async def test_nothing_that_a_row_holds_becomes_markup(board: CronBoard) -> None:
    (row_id, bad) = await enqueue_rows(board.app, board.database, [{MARKUP: MARKUP}, {}])
    await set_aside(board.database, [row_id, bad], MARKUP)
    spoiled = {"text": MARKUP, "data": f'{{"{MARKUP}'}
    async with board.database.transaction() as session:
        await session.execute(text("UPDATE job_outbox SET name = :text, job_id = :text, origin = 'overflow'"), spoiled)
        await session.execute(text(f"UPDATE job_outbox SET data = :data WHERE id = {bad}"), spoiled)
    for page in (f"{PAGES}?queue=jobs", f"{PAGES}/row/{row_id}", f"{PAGES}/row/{bad}", f"{PAGES}?queue={MARKUP}"):
        answer = await board.client.get(page)
        assert answer.status_code == 200
        assert "<script>" not in answer.text
        assert "<img" not in answer.text


async def test_a_read_only_board_shows_no_button_and_refuses_each_change(
    settings: MakeSettings, database_url: str
) -> None:
    async with outbox_board(settings(environment="local", database_url=database_url), read_only=True) as board:
        (row_id,) = await enqueue_rows(board.app, board.database, [{}])
        await set_aside(board.database, [row_id])
        for page in (PAGES, f"{PAGES}?queue=jobs", f"{PAGES}/row/{row_id}"):
            assert "<button" not in (await board.client.get(page)).text
        for act in (f"row/{row_id}/retry", f"row/{row_id}/remove", "retry", "remove"):
            assert (await board.client.post(f"{PAGES}/{act}", data={"queue": "jobs"})).status_code == 403
        assert await row_ids(board.database) == [row_id]


# The overview


async def test_the_overview_leads_to_what_is_set_aside(board: CronBoard) -> None:
    assert "Nothing needs attention." in words_of(await board.client.get("/bullBoard"))
    ids = await enqueue_rows(board.app, board.database, [{}, {}])
    await set_aside(board.database, ids)

    async def is_told() -> bool:
        """The overview does not wait long for a busy database: then it has what was seen a moment later."""
        answer = await board.client.get("/bullBoard")
        return "jobs : 2 jobs were set aside before they were in Redis" in words_of(
            answer
        ) and f"{PAGES}?queue=jobs&state=set_aside" in addresses_of(answer)

    await eventually(is_told)


async def test_the_overview_tells_of_a_queue_that_overflows(settings: MakeSettings, database_url: str) -> None:
    own = settings(environment="local", database_url=database_url, jobs_max_queue_depth=1)
    async with outbox_board(own) as board:
        for _ in range(2):
            await board.app.enqueue_job("note", {"a": 1})
        assert "notes is full: new jobs wait in the database" in words_of(await board.client.get("/bullBoard"))
        assert "full last spilled" in words_of(await board.client.get(PAGES))


async def test_a_database_that_is_away_is_told_on_its_page_and_leaves_the_others_alone(settings: MakeSettings) -> None:
    away = settings(environment="local", database_url=NO_POSTGRES)
    async with App(REGISTRY, away) as app, client_of(create_app(app)) as client:
        answer = await client.get(PAGES)
        assert answer.status_code == 503
        assert "is not available" in words_of(answer)
        assert "s3cr3t" not in answer.text
        assert (await client.get("/bullBoard")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200


async def test_a_database_without_the_table_says_what_to_do(settings: MakeSettings) -> None:
    async with App(REGISTRY, settings(environment="local")) as app, client_of(create_app(app)) as client:
        answer = await client.get(PAGES)
        assert answer.status_code == 503
        assert "run `jobqueue db upgrade`" in words_of(answer)


async def test_a_service_without_a_database_has_no_outbox_in_its_navigation(settings: MakeSettings) -> None:
    own = settings(environment="local")
    without = own.model_copy()
    without.model_fields_set.discard("database_url")
    for chosen, is_there in ((own, True), (without, False)):
        async with App(REGISTRY, chosen) as app, client_of(create_app(app)) as client:
            assert (PAGES in addresses_of(await client.get("/bullBoard"))) is is_there


# Metrics


async def test_the_rows_are_told_to_prometheus(board: CronBoard) -> None:
    ids = await enqueue_rows(board.app, board.database, [{}, {}, {}], "notes")
    await set_aside(board.database, ids[:1])

    async def are_told() -> bool:
        lines = (await board.client.get("/metrics")).text.splitlines()
        return (
            'jobqueue_outbox_rows{queue="notes", state="waiting"} 2' in lines
            and 'jobqueue_outbox_rows{queue="notes", state="set_aside"} 1' in lines
            and any(line.startswith('jobqueue_outbox_oldest_seconds{queue="notes"} ') for line in lines)
        )

    await eventually(are_told)
